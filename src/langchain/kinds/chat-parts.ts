import { BaseChatModel } from "@langchain/core/language_models/chat_models";
import { AIMessage, AIMessageChunk } from "@langchain/core/messages";
import { ChatGenerationChunk, type ChatGeneration, type ChatResult } from "@langchain/core/outputs";
import type { Answer } from "../../core/layer.ts";
import { messageOfEvents, type StreamEvent } from "./chat-events.ts";
import { copyMessage, deepCopy, estimateBytes, isEmpty, type MessageLike, type UsageLike } from "../messages.ts";

/** A chunk that differs from an earlier one of its stream in nothing but its text: most do, and are kept as this. */
export class TextChunk {
  readonly text: string;
  readonly like: ChatGenerationChunk;

  constructor(text: string, like: ChatGenerationChunk) {
    this.text = text;
    this.like = like;
  }
}

export type PackedChunk = ChatGenerationChunk | TextChunk;
export type PackedPart = ChatResult | PackedChunk | StreamEvent;

/** Snapshots of one stream's chunks. */
export function chunkPacker(): (chunk: ChatGenerationChunk) => PackedChunk {
  let template: ChatGenerationChunk | undefined;
  return (chunk) => {
    if (!isPlain(chunk)) return mapChunk(chunk, copyMessage);
    if (template && differsInTextAlone(chunk, template)) return new TextChunk(chunk.text, template);
    return (template = mapChunk(chunk, copyMessage));
  };
}

function isPlain({ text, message }: ChatGenerationChunk): boolean {
  const { content, tool_calls, invalid_tool_calls, tool_call_chunks, usage_metadata, additional_kwargs } = message as AIMessageChunk;
  return content === text && !tool_calls?.length && !invalid_tool_calls?.length && !tool_call_chunks?.length && !usage_metadata && isEmpty(additional_kwargs);
}

function differsInTextAlone(chunk: ChatGenerationChunk, template: ChatGenerationChunk): boolean {
  const a = chunk.message;
  const b = template.message;
  return (
    a.id === b.id && a.name === b.name && a.constructor === b.constructor && isEqualData(a.response_metadata, b.response_metadata) &&
    isEqualData(chunk.generationInfo, template.generationInfo) && countFields(a) === countFields(b)
  );
}

function countFields(object: object): number {
  let fields = 0;
  for (const _ in object) fields += 1;
  return fields;
}

/** Equality of plain data by value: providers make their metadata anew for each chunk. */
function isEqualData(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== "object" || typeof b !== "object" || !a || !b || Array.isArray(a) !== Array.isArray(b)) return false;
  let keys = 0;
  for (const key in a) {
    if (!isEqualData((a as Record<string, unknown>)[key], (b as Record<string, unknown>)[key])) return false;
    keys += 1;
  }
  for (const _ in b) keys -= 1;
  return keys === 0;
}

/** A full chunk of a snapshot, its message mapped. */
export function unpackChunk(packed: PackedChunk, map: <M extends MessageLike>(message: M) => M): ChatGenerationChunk {
  if (!(packed instanceof TextChunk)) return mapChunk(packed, map);
  const chunk = mapChunk(packed.like, map);
  const { message } = chunk;
  chunk.text = packed.text;
  message.content = packed.text;
  if ("content" in message.lc_kwargs) message.lc_kwargs.content = packed.text;
  return chunk;
}

function mapChunk(chunk: ChatGenerationChunk, map: <M extends MessageLike>(message: M) => M): ChatGenerationChunk {
  const copy = Object.assign(Object.create(Object.getPrototypeOf(chunk) as object), chunk) as ChatGenerationChunk;
  copy.message = map(chunk.message as unknown as MessageLike) as unknown as ChatGenerationChunk["message"];
  if (chunk.generationInfo) copy.generationInfo = deepCopy(chunk.generationInfo);
  return copy;
}

export function mapResult(result: ChatResult, map: <M extends MessageLike>(message: M) => M): ChatResult {
  const generations = result.generations.map((generation) => mapChunk(generation as ChatGenerationChunk, map) as ChatGeneration);
  return { ...result, generations, ...(result.llmOutput ? { llmOutput: deepCopy(result.llmOutput) } : {}) };
}

export function sizeOfParts({ mode, parts }: Answer<PackedPart>): number {
  if (mode === "events") return estimateBytes(parts);
  // The text of a generation is its message's content, the same string.
  if (mode === "invoke") return estimateBytes(parts) - (parts[0] as ChatResult).generations.reduce((sum, { text }) => sum + text.length, 0);
  let bytes = 0;
  for (const part of parts as PackedChunk[]) bytes += part instanceof TextChunk ? TEXT_CHUNK_BYTES + part.text.length : estimateBytes(part) - part.text.length;
  return bytes;
}

const TEXT_CHUNK_BYTES = 56;

/** An answer as `_generate` would have given it: one generation per completion index. */
export function wholeOf(answer: Answer<PackedPart>): ChatResult {
  if (answer.mode === "invoke") return answer.parts[0] as ChatResult;
  if (answer.mode === "events") {
    const message = messageOfEvents(answer.parts as StreamEvent[]);
    return { generations: [{ text: message.text, message }] };
  }
  const byIndex = new Map<number, ChatGenerationChunk>();
  let lastIndex = 0;
  for (const chunk of joined(answer.parts as PackedChunk[])) {
    lastIndex = Number(chunk.generationInfo?.completion ?? lastIndex);
    const before = byIndex.get(lastIndex);
    byIndex.set(lastIndex, before ? before.concat(chunk) : chunk);
  }
  const generations = [...byIndex].sort(([a], [b]) => a - b).map(([, chunk]) => generationOf(chunk));
  const [first, ...others] = generations;
  const usage = first && others.length === 0 ? (first.message as AIMessage).usage_metadata : undefined;
  return { generations, ...(usage ? { llmOutput: { tokenUsage: tokenUsage(usage) } } : {}) };
}

/** Full chunks, runs of text in one. */
function* joined(parts: readonly PackedChunk[]): Generator<ChatGenerationChunk> {
  let run: TextChunk | undefined;
  const identity = <M>(message: M): M => message;
  for (const part of parts) {
    if (part instanceof TextChunk && run?.like === part.like) {
      run = new TextChunk(run.text + part.text, run.like);
      continue;
    }
    if (run) yield unpackChunk(run, copyMessage);
    run = part instanceof TextChunk ? part : undefined;
    if (!(part instanceof TextChunk)) yield mapChunk(part, identity);
  }
  if (run) yield unpackChunk(run, copyMessage);
}

function tokenUsage(usage: UsageLike): Record<string, number> {
  const { input_tokens: promptTokens = 0, output_tokens: completionTokens = 0, total_tokens: totalTokens = 0 } = usage;
  return { promptTokens, completionTokens, totalTokens };
}

function generationOf(chunk: ChatGenerationChunk): ChatGeneration {
  const { id, name, content, tool_calls, invalid_tool_calls, usage_metadata, additional_kwargs, response_metadata } = chunk.message as AIMessageChunk;
  const message = new AIMessage({
    content,
    tool_calls,
    invalid_tool_calls,
    usage_metadata,
    additional_kwargs: { ...additional_kwargs },
    response_metadata: { ...response_metadata },
    ...(id === undefined ? {} : { id }),
    ...(name === undefined ? {} : { name }),
  });
  return { text: chunk.text, message, ...(chunk.generationInfo ? { generationInfo: chunk.generationInfo } : {}) };
}

/** A whole answer as a stream of one chunk per completion. */
export function chunksOf(result: ChatResult): ChatGenerationChunk[] {
  const several = result.generations.length > 1;
  return result.generations.map(({ text, message, generationInfo }, completion) => {
    const { id, name, content, usage_metadata, additional_kwargs, response_metadata } = message as AIMessage;
    const chunk = new AIMessageChunk({
      content,
      ...(id === undefined ? {} : { id }),
      ...(name === undefined ? {} : { name }),
      ...(usage_metadata ? { usage_metadata } : {}),
      additional_kwargs: { ...additional_kwargs },
      response_metadata: { ...(several ? {} : result.llmOutput), ...response_metadata },
      tool_call_chunks: toolCallChunks(message as AIMessage),
    });
    const info = several ? { prompt: 0, completion, ...generationInfo } : generationInfo;
    return new ChatGenerationChunk({ text, message: chunk, ...(info ? { generationInfo: info } : {}) });
  });
}

/** Calls with broken arguments too: the chunk finds out again that they are. */
function toolCallChunks({ tool_calls: calls = [], invalid_tool_calls: broken = [] }: AIMessage): NonNullable<AIMessageChunk["tool_call_chunks"]> {
  const written = [...calls.map((call) => ({ ...call, args: JSON.stringify(call.args) })), ...broken];
  return written.map(({ id, name, args }, index) => ({
    type: "tool_call_chunk" as const,
    index,
    ...(name === undefined ? {} : { name }),
    ...(args === undefined ? {} : { args }),
    ...(id === undefined ? {} : { id }),
  }));
}

/** Chunks as events, by LangChain's own bridge. */
export function bridge(chunks: readonly PackedChunk[]): AsyncIterable<StreamEvent> {
  const replay = {
    async *_streamResponseChunks() {
      for (const chunk of chunks) yield unpackChunk(chunk, copyMessage);
    },
  };
  return BaseChatModel.prototype._streamChatModelEvents.call(replay as unknown as BaseChatModel, [], {} as never) as AsyncIterable<StreamEvent>;
}
