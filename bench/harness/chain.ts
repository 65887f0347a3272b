import { StringOutputParser } from "@langchain/core/output_parsers";
import { ChatPromptTemplate } from "@langchain/core/prompts";
import type { Runnable } from "@langchain/core/runnables";
import { FakeModel } from "./fake-model.ts";
import type { Side } from "./paired.ts";

/** The three-step chain that the figures speak of. */
export function threeStepChain(): Runnable<{ question: string }, string> {
  const prompt = ChatPromptTemplate.fromMessages<{ question: string }>([
    ["system", "You are a helpful assistant. Answer in one sentence."],
    ["human", "{question}"],
  ]);
  return prompt.pipe(new FakeModel()).pipe(new StringOutputParser());
}

/** Asks the chain a new question each time. */
export function askingAnew(chain: Runnable<{ question: string }, string>): Side {
  let asked = 0;
  return {
    async run(calls) {
      for (let call = 0; call < calls; call++) await chain.invoke({ question: `What is the capital of country number ${asked++}?` });
    },
  };
}
