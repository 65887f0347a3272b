import type { BaseChatModel } from "@langchain/core/language_models/chat_models";
import type { Side } from "./paired.ts";

/** Streams the answer to a new question each time. */
export function streamingAnew(model: BaseChatModel): Side {
  let asked = 0;
  return {
    async run(calls) {
      for (let call = 0; call < calls; call++) {
        let chunks = 0;
        for await (const _ of await model.stream(`What is the capital of country number ${asked++}?`)) chunks += 1;
        if (chunks < 100) throw new Error(`The stream had ${chunks} chunks, wanted 100.`);
      }
    },
  };
}
