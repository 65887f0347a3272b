import type { CallbackManagerForLLMRun } from "@langchain/core/callbacks/manager";
import { BaseChatModel, type BaseChatModelCallOptions } from "@langchain/core/language_models/chat_models";
import { AIMessage, AIMessageChunk, type BaseMessage } from "@langchain/core/messages";
import { ChatGenerationChunk, type ChatResult } from "@langchain/core/outputs";

/** One call that really reached the model. */
export interface SeenCall {
  readonly mode: "invoke" | "stream";
  readonly messages: BaseMessage[];
  readonly signal: AbortSignal | undefined;
}

export interface Script {
  /** LangChain's `_llmType`. @default "scripted" */
  type?: string;
  /** Name of the model. @default "scripted-1" */
  model?: string;
  /** What `_streamResponseChunks` yields. @default two words and an end */
  stream?(call: SeenCall, nth: number): AsyncIterable<ChatGenerationChunk> | Iterable<ChatGenerationChunk>;
  /** What `_generate` gives. @default a short text */
  whole?(call: SeenCall, nth: number): ChatResult | Promise<ChatResult>;
}

/** A chat model that answers exactly what a test says, and remembers who asked. */
export class ScriptedChat extends BaseChatModel<BaseChatModelCallOptions, AIMessageChunk> {
  readonly seen: SeenCall[] = [];
  readonly model: string;
  private readonly script: Script | undefined;

  constructor(script: Script = {}) {
    super({});
    this.script = script;
    this.model = script.model ?? "scripted-1";
  }

  override _llmType(): string {
    // LangChain's constructor asks before the fields exist.
    return this.script?.type ?? "scripted";
  }

  override invocationParams(options?: this["ParsedCallOptions"]): Record<string, unknown> {
    return { model: this.model, stop: options?.stop };
  }

  override async _generate(messages: BaseMessage[], options: this["ParsedCallOptions"]): Promise<ChatResult> {
    const call = this.#note("invoke", messages, options.signal);
    return this.script?.whole ? this.script.whole(call, this.seen.length) : textResult(`answer ${this.seen.length}`);
  }

  override async *_streamResponseChunks(
    messages: BaseMessage[], options: this["ParsedCallOptions"], runManager?: CallbackManagerForLLMRun,
  ): AsyncGenerator<ChatGenerationChunk> {
    const call = this.#note("stream", messages, options.signal);
    const parts = this.script?.stream ? this.script.stream(call, this.seen.length) : textChunks(["answer", ` ${this.seen.length}`]);
    for await (const chunk of parts) {
      yield chunk;
      await runManager?.handleLLMNewToken(chunk.text, undefined, undefined, undefined, undefined, { chunk });
    }
  }

  #note(mode: SeenCall["mode"], messages: BaseMessage[], signal: AbortSignal | undefined): SeenCall {
    const call: SeenCall = { mode, messages, signal };
    this.seen.push(call);
    return call;
  }
}

type ChunkFields = Exclude<ConstructorParameters<typeof AIMessageChunk>[0], string>;

/** A chunk of a stream; its text is the content where that is one. */
export function chunk(fields: ChunkFields, generationInfo?: Record<string, unknown>): ChatGenerationChunk {
  const message = new AIMessageChunk(fields);
  return new ChatGenerationChunk({ text: typeof message.content === "string" ? message.content : "", message, ...(generationInfo ? { generationInfo } : {}) });
}

/** One chunk per word, the last with a reason to end unless `reason` is undefined. */
export function textChunks(words: readonly string[], reason: string | undefined = "stop"): ChatGenerationChunk[] {
  return words.map((content, at) => chunk({ content }, at === words.length - 1 && reason !== undefined ? { finish_reason: reason } : undefined));
}

export function textResult(text: string, generationInfo: Record<string, unknown> = { finish_reason: "stop" }): ChatResult {
  return { generations: [{ text, message: new AIMessage({ content: text }), generationInfo }] };
}
