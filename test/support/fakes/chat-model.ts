import { randomUUID } from "node:crypto";
import type { CallbackManagerForLLMRun } from "@langchain/core/callbacks/manager";
import type { BaseLanguageModelInput } from "@langchain/core/language_models/base";
import {
  BaseChatModel,
  type BaseChatModelCallOptions,
  type BaseChatModelParams,
  type BindToolsInput,
} from "@langchain/core/language_models/chat_models";
import { AIMessageChunk, type BaseMessage, type UsageMetadata } from "@langchain/core/messages";
import { ChatGenerationChunk, type ChatResult } from "@langchain/core/outputs";
import type { Runnable } from "@langchain/core/runnables";
import { convertToOpenAITool } from "@langchain/core/utils/function_calling";
import { type CallCounts, noCalls } from "./counts.ts";
import { argumentsFor, digestOf, type FakeRequest, questionOf, textOf, type ToolSpec, unansweredTools } from "./request.ts";
import { wait } from "./wait.ts";

/** An answer: text, or text and tool calls. */
export type FakeReply = string | { text?: string; toolCalls?: { name: string; args: unknown }[] };

interface BoundTool {
  type: "function";
  function: ToolSpec;
}

export interface FakeChatCallOptions extends BaseChatModelCallOptions {
  tools?: BoundTool[];
}

export interface FakeChatModelFields extends BaseChatModelParams {
  /** The model's name; part of every answer's digest. @default "fake-chat" */
  model?: string;
  /** Where each real call is counted. @default counts of its own */
  counts?: CallCounts;
  /** The script. @default `defaultReply` */
  reply?(request: FakeRequest): FakeReply;
  /** Called for every request; what it returns, unless undefined, is thrown. */
  failure?(request: FakeRequest): unknown;
  /** How many chunks of a stream arrive before the failure. @default 0 */
  failAfterChunks?: number;
  /** Milliseconds before the answer, or before the first chunk. @default 0 */
  delayMs?: number;
  /** Milliseconds before each later chunk. @default 0 */
  chunkDelayMs?: number;
}

/** Calls each bound tool once after the last human message, in the order they were bound; then answers with a text. */
export function defaultReply(request: FakeRequest): FakeReply {
  const question = textOf(request.messages.findLast((message) => message.type === "human"));
  const [next] = unansweredTools(request.messages, request.tools);
  if (next !== undefined) {
    return { toolCalls: [{ name: next.name, args: argumentsFor(next.parameters, question, request.digest) }] };
  }
  return `[${request.digest}] You said: ${request.text}`;
}

/**
 * A chat model as a third party would write one: no network, an answer that depends on nothing but
 * the request, real chunks, usage, tool calls (in pieces when streamed), structured output through
 * `bindTools`, and a count of the calls that really reached it.
 */
export class FakeChatModel extends BaseChatModel<FakeChatCallOptions, AIMessageChunk> {
  static override lc_name(): string {
    return "FakeChatModel";
  }

  readonly model: string;
  readonly counts: CallCounts;
  readonly #script: FakeChatModelFields;
  readonly #attempts = new Map<string, number>();
  #calls = 0;

  constructor(fields: FakeChatModelFields = {}) {
    super(fields);
    this.model = fields.model ?? "fake-chat";
    this.counts = fields.counts ?? noCalls();
    this.#script = fields;
  }

  override _llmType(): string {
    return "fake-chat";
  }

  override invocationParams(options?: this["ParsedCallOptions"]): Record<string, unknown> {
    return { model: this.model, tools: options?.tools, tool_choice: options?.tool_choice, stop: options?.stop };
  }

  override bindTools(
    tools: BindToolsInput[],
    kwargs?: Partial<FakeChatCallOptions>,
  ): Runnable<BaseLanguageModelInput, AIMessageChunk, FakeChatCallOptions> {
    return this.withConfig({ tools: tools.map((bound) => convertToOpenAITool(bound) as BoundTool), ...kwargs });
  }

  override async _generate(messages: BaseMessage[], options: this["ParsedCallOptions"]): Promise<ChatResult> {
    const request = this.#receive(messages, options);
    await wait(this.#script.delayMs ?? 0, options.signal);
    this.#failIfScripted(request);
    const answer = this.#answer(request).reduce((whole, chunk) => whole.concat(chunk));
    const { text, message, generationInfo } = answer;
    const usage = (message as AIMessageChunk).usage_metadata;
    return { generations: [{ text, message, generationInfo }], llmOutput: { tokenUsage: tokenUsage(usage) } };
  }

  override async *_streamResponseChunks(
    messages: BaseMessage[],
    options: this["ParsedCallOptions"],
    runManager?: CallbackManagerForLLMRun,
  ): AsyncGenerator<ChatGenerationChunk> {
    const request = this.#receive(messages, options);
    const failAt = this.#script.failAfterChunks ?? 0;
    for (const [index, chunk] of this.#answer(request).entries()) {
      await wait((index === 0 ? this.#script.delayMs : this.#script.chunkDelayMs) ?? 0, options.signal);
      if (index === failAt) this.#failIfScripted(request);
      yield chunk;
      await runManager?.handleLLMNewToken(chunk.text, undefined, undefined, undefined, undefined, { chunk });
    }
  }

  #receive(messages: BaseMessage[], options: this["ParsedCallOptions"]): FakeRequest {
    const tools = (options.tools ?? []).map((bound) => bound.function);
    const stop = options.stop ?? [];
    const digest = digestOf(this.model, messages.map(questionOf), tools, options.tool_choice, stop);
    const attempt = (this.#attempts.get(digest) ?? 0) + 1;
    this.#attempts.set(digest, attempt);
    this.#calls += 1;
    this.counts.chat += 1;
    return { messages, text: textOf(messages.at(-1)), tools, stop, digest, call: this.#calls, attempt };
  }

  #failIfScripted(request: FakeRequest): void {
    const failure = this.#script.failure?.(request);
    if (failure !== undefined) throw failure;
  }

  #answer(request: FakeRequest): ChatGenerationChunk[] {
    const reply = (this.#script.reply ?? defaultReply)(request);
    const { text = "", toolCalls = [] } = typeof reply === "string" ? { text: reply } : reply;
    const words = beforeStop(text, request.stop).match(/\s*\S+/g) ?? [];
    const pieces = toolCalls.flatMap(({ name, args }, index) => toolCallPieces(index, name, JSON.stringify(args)));
    const input = request.messages.reduce((sum, message) => sum + textOf(message).split(/\s+/).length, 0);
    const output = words.length + pieces.length;
    return [
      ...words.map((word) => chunkOf(word, { content: word })),
      ...pieces.map((piece) => chunkOf("", { content: "", tool_call_chunks: [piece] })),
      new ChatGenerationChunk({
        text: "",
        generationInfo: { finish_reason: toolCalls.length > 0 ? "tool_calls" : "stop" },
        message: new AIMessageChunk({
          content: "",
          response_metadata: { model_name: this.model },
          usage_metadata: { input_tokens: input, output_tokens: output, total_tokens: input + output },
        }),
      }),
    ];
  }
}

type MessageFields = Exclude<ConstructorParameters<typeof AIMessageChunk>[0], string>;
type ToolCallPiece = NonNullable<AIMessageChunk["tool_call_chunks"]>[number];

function chunkOf(text: string, fields: MessageFields): ChatGenerationChunk {
  return new ChatGenerationChunk({ text, message: new AIMessageChunk(fields) });
}

/** As providers send it: the name and a random id first, then the arguments in two halves. */
function toolCallPieces(index: number, name: string, args: string): ToolCallPiece[] {
  const half = Math.ceil(args.length / 2);
  return [
    { type: "tool_call_chunk", index, name, id: `call_${randomUUID()}`, args: "" },
    { type: "tool_call_chunk", index, args: args.slice(0, half) },
    { type: "tool_call_chunk", index, args: args.slice(half) },
  ];
}

function beforeStop(text: string, stop: string[]): string {
  const ends = stop.map((word) => text.indexOf(word)).filter((index) => index >= 0);
  return ends.length > 0 ? text.slice(0, Math.min(...ends)) : text;
}

function tokenUsage(usage: UsageMetadata | undefined): Record<string, number | undefined> {
  return { promptTokens: usage?.input_tokens, completionTokens: usage?.output_tokens, totalTokens: usage?.total_tokens };
}
