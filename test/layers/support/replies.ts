import type { CallWishes } from "langchain-perf";
import { ScriptedChat, textChunks, textResult, type Script } from "./scripted-chat.ts";

/** A call's own wishes as LangChain's config carries them. */
export const wishing = (perf: CallWishes): { configurable: { perf: CallWishes } } => ({ configurable: { perf } });

/** A model whose answers are numbered, in one part or in two, and which fails as long as `failure` is set. */
export class Numbered extends ScriptedChat {
  failure: unknown;

  constructor(script: Pick<Script, "model" | "type"> = {}) {
    super({
      ...script,
      whole: (_call, nth) => (this.#failIfSet(), textResult(`answer ${nth}`)),
      stream: (_call, nth) => (this.#failIfSet(), textChunks(["answer", ` ${nth}`])),
    });
  }

  #failIfSet(): void {
    if (this.failure !== undefined) throw this.failure;
  }
}

/** What a provider's client throws when it is refused. */
export function refusal(status: number, headers: Record<string, string> | Headers = {}): Error {
  return Object.assign(new Error(`refused with ${status}`), { status, headers });
}
