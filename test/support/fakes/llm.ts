import type { CallbackManagerForLLMRun } from "@langchain/core/callbacks/manager";
import { type BaseLLMCallOptions, type BaseLLMParams, LLM } from "@langchain/core/language_models/llms";
import { GenerationChunk } from "@langchain/core/outputs";
import { type CallCounts, noCalls } from "./counts.ts";
import { digestOf } from "./request.ts";
import { wait } from "./wait.ts";

export interface FakeLLMFields extends BaseLLMParams {
  /** The model's name; part of every answer's digest. @default "fake-llm" */
  model?: string;
  /** Where each prompt is counted. @default counts of its own */
  counts?: CallCounts;
  /** Milliseconds before the answer, or before the first chunk. @default 0 */
  delayMs?: number;
}

/** A completion model (text in, text out) whose answer depends on nothing but the prompt; streams word by word. */
export class FakeLLM extends LLM<BaseLLMCallOptions> {
  static override lc_name(): string {
    return "FakeLLM";
  }

  readonly model: string;
  readonly counts: CallCounts;
  readonly delayMs: number;

  constructor(fields: FakeLLMFields = {}) {
    super(fields);
    this.model = fields.model ?? "fake-llm";
    this.counts = fields.counts ?? noCalls();
    this.delayMs = fields.delayMs ?? 0;
  }

  override _llmType(): string {
    return "fake-llm";
  }

  override invocationParams(options?: this["ParsedCallOptions"]): Record<string, unknown> {
    return { model: this.model, stop: options?.stop };
  }

  override async _call(prompt: string, options: this["ParsedCallOptions"]): Promise<string> {
    this.counts.llm += 1;
    await wait(this.delayMs, options.signal);
    return this.#answer(prompt, options);
  }

  override async *_streamResponseChunks(
    prompt: string,
    options: this["ParsedCallOptions"],
    runManager?: CallbackManagerForLLMRun,
  ): AsyncGenerator<GenerationChunk> {
    this.counts.llm += 1;
    await wait(this.delayMs, options.signal);
    for (const word of this.#answer(prompt, options).match(/\s*\S+/g) ?? []) {
      options.signal?.throwIfAborted();
      const chunk = new GenerationChunk({ text: word });
      yield chunk;
      await runManager?.handleLLMNewToken(word, undefined, undefined, undefined, undefined, { chunk });
    }
  }

  #answer(prompt: string, options: this["ParsedCallOptions"]): string {
    return `[${digestOf(this.model, prompt, options.stop)}] You wrote: ${prompt}`;
  }
}
