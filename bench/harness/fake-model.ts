import type { CallbackManagerForLLMRun } from "@langchain/core/callbacks/manager";
import type { BaseCache } from "@langchain/core/caches";
import { BaseChatModel } from "@langchain/core/language_models/chat_models";
import { AIMessage, AIMessageChunk, type BaseMessage } from "@langchain/core/messages";
import { ChatGenerationChunk, type ChatResult } from "@langchain/core/outputs";

export interface FakeModelFields {
  /** Core's own cache, where that is what is measured. */
  readonly cache?: BaseCache;
  /** The answer to a question. @default "An answer." */
  answer?(question: string): string | Promise<string>;
  /** Chunks of a streamed answer. @default 100 */
  readonly chunks?: number;
}

const USAGE = { input_tokens: 12, output_tokens: 34, total_tokens: 46 };

/** A chat model that answers at once, shows its parameters as a provider's model does, and counts its calls. */
export class FakeModel extends BaseChatModel {
  readonly model = "fake";
  calls = 0;
  readonly #answer: NonNullable<FakeModelFields["answer"]>;
  readonly #chunks: number;

  constructor({ cache, answer = () => "An answer.", chunks = 100 }: FakeModelFields = {}) {
    super(cache ? { cache } : {});
    this.#answer = answer;
    this.#chunks = chunks;
  }

  override _llmType(): string {
    return "fake";
  }

  override invocationParams(options?: this["ParsedCallOptions"]): Record<string, unknown> {
    return { model: this.model, temperature: 0, max_tokens: 1024, stop: options?.stop };
  }

  override async _generate(messages: BaseMessage[]): Promise<ChatResult> {
    this.calls += 1;
    const text = await this.#answer(questionOf(messages));
    const message = new AIMessage({ content: text, usage_metadata: { ...USAGE }, response_metadata: { model_name: this.model, finish_reason: "stop" } });
    return { generations: [{ text, message }], llmOutput: { tokenUsage: { promptTokens: 12, completionTokens: 34, totalTokens: 46 } } };
  }

  override async *_streamResponseChunks(messages: BaseMessage[], _options: this["ParsedCallOptions"], runManager?: CallbackManagerForLLMRun): AsyncGenerator<ChatGenerationChunk> {
    this.calls += 1;
    await this.#answer(questionOf(messages));
    for (let at = 1; at <= this.#chunks; at++) {
      const last = at === this.#chunks;
      const text = last ? "" : ` word${at}`;
      const message = new AIMessageChunk({ content: text, ...(last ? { usage_metadata: { ...USAGE }, response_metadata: { finish_reason: "stop" } } : {}) });
      const chunk = new ChatGenerationChunk({ text, message });
      yield chunk;
      await runManager?.handleLLMNewToken(text, undefined, undefined, undefined, undefined, { chunk });
    }
  }
}

function questionOf(messages: readonly BaseMessage[]): string {
  return messages.at(-1)?.text ?? "";
}
