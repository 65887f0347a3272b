import { BaseChatModel } from "@langchain/core/language_models/chat_models";
import { AIMessage, AIMessageChunk, type BaseMessage } from "@langchain/core/messages";
import { ChatGenerationChunk, type ChatGeneration, type ChatResult } from "@langchain/core/outputs";
import type { Usage } from "../../core/facts.ts";
import { writeIdentity } from "../../core/key.ts";
import type { Answer, Kind } from "../../core/layer.ts";
import { eventsHaveContent, eventsReason, eventsUsage, freshEvent, messageOfEvents, type StreamEvent } from "./chat-events.ts";
import { copyMessage, deepCopy, estimateBytes, reissueMessage, withoutSpentUsage, type FreshIds, type MessageLike, type UsageLike } from "../messages.ts";
import { completenessOf, finishReason, modelFields, modelName, named, type LLMRunManager, type ModelLike, type ModelOptions } from "../models.ts";
import { messageFields } from "../identity.ts";

/** One chat model call as its leaf gets it. */
export interface ChatInput {
  readonly model: BaseChatModel & ModelLike;
  readonly messages: BaseMessage[];
  readonly options: ModelOptions;
  readonly runManager: LLMRunManager | undefined;
}

/** `invoke` has a ChatResult, `stream` ChatGenerationChunks, `events` the events of the content-block protocol. */
export type ChatPart = ChatResult | ChatGenerationChunk | StreamEvent;

export const chatKind: Kind<ChatInput, ChatPart> = {
  name: "chat",

  identity({ model, messages, options }, own) {
    const fields = modelFields(model, options, own);
    if (!fields) return undefined;
    if (own.key !== undefined) return writeIdentity([...fields, ["key", own.key]]);
    return writeIdentity([...fields, ...messageFields(messages, model._useResponsesApi?.(options) ?? false)]);
  },

  question: ({ model, messages, options }) => ({ asked: messages, config: options, ...named(modelName(model)) }),

  convert(answer, mode) {
    if (answer.mode === mode) return answer.parts;
    if (mode === "invoke") return [wholeOf(answer)];
    const chunks = answer.mode === "stream" ? (answer.parts as ChatGenerationChunk[]) : chunksOf(wholeOf(answer));
    return mode === "stream" ? chunks : bridge(chunks);
  },

  copy(part, mode) {
    if (mode === "events") return deepCopy(part);
    return mode === "invoke" ? mapResult(part as ChatResult, copyMessage) : mapChunk(part as ChatGenerationChunk, copyMessage);
  },

  reissuer(mode, { runManager }) {
    const ids: FreshIds = new Map();
    const id = runManager?.runId === undefined ? undefined : `run-${runManager.runId}`;
    if (mode === "events") return (part) => freshEvent(part as StreamEvent, id, ids);
    const fresh = <M extends MessageLike>(message: M): M => reissueMessage(message, id, ids);
    if (mode === "stream") return (part) => mapChunk(part as ChatGenerationChunk, fresh);
    return (part) => {
      const result = mapResult(part as ChatResult, fresh);
      return result.llmOutput ? { ...result, llmOutput: withoutSpentUsage(result.llmOutput) } : result;
    };
  },

  completeness(answer, { model }) {
    if (answer.mode === "events") return completenessOf(eventsReason(answer.parts as StreamEvent[]), model);
    return completenessOf(lastReason(answer), model);
  },

  sizeOf: (answer) => estimateBytes(answer.parts),

  usage(answer) {
    if (answer.mode === "events") return usageOf(eventsUsage(answer.parts as StreamEvent[]));
    let total: Usage | undefined;
    for (const { message } of generationsOf(answer)) total = addUsage(total, usageOf((message as AIMessage).usage_metadata));
    return total;
  },

  hasContent(part) {
    if ("event" in part) return eventsHaveContent(part);
    if (!("message" in part)) return true;
    return part.text !== "" || ((part.message as Partial<AIMessageChunk>).tool_call_chunks?.length ?? 0) > 0 || (Array.isArray(part.message.content) && part.message.content.length > 0);
  },
};

/** Every generation of an answer; a streamed one has one per chunk. */
function generationsOf(answer: Answer<ChatPart>): readonly { message: BaseMessage; generationInfo?: Record<string, unknown> }[] {
  return answer.mode === "invoke" ? (answer.parts[0] as ChatResult).generations : (answer.parts as ChatGenerationChunk[]);
}

function lastReason(answer: Answer<ChatPart>): string | undefined {
  let reason: string | undefined;
  for (const { message, generationInfo } of generationsOf(answer)) {
    reason = finishReason(generationInfo) ?? finishReason(message.response_metadata) ?? finishReason(message.additional_kwargs) ?? reason;
  }
  return reason;
}

export function usageOf(usage: UsageLike | undefined): Usage | undefined {
  if (!usage) return undefined;
  const { input_tokens: inputTokens = 0, output_tokens: outputTokens = 0, input_token_details: details } = usage;
  const cached = details?.cache_read;
  return { inputTokens, outputTokens, ...(cached ? { cachedInputTokens: cached } : {}) };
}

function addUsage(total: Usage | undefined, more: Usage | undefined): Usage | undefined {
  if (!total || !more) return total ?? more;
  const cached = (total.cachedInputTokens ?? 0) + (more.cachedInputTokens ?? 0);
  return {
    inputTokens: total.inputTokens + more.inputTokens,
    outputTokens: total.outputTokens + more.outputTokens,
    ...(cached ? { cachedInputTokens: cached } : {}),
  };
}

function mapChunk(chunk: ChatGenerationChunk, map: <M extends MessageLike>(message: M) => M): ChatGenerationChunk {
  const copy = Object.assign(Object.create(Object.getPrototypeOf(chunk) as object), chunk) as ChatGenerationChunk;
  copy.message = map(chunk.message as unknown as MessageLike) as unknown as ChatGenerationChunk["message"];
  if (chunk.generationInfo) copy.generationInfo = deepCopy(chunk.generationInfo);
  return copy;
}

function mapResult(result: ChatResult, map: <M extends MessageLike>(message: M) => M): ChatResult {
  const generations = result.generations.map((generation) => mapChunk(generation as ChatGenerationChunk, map) as ChatGeneration);
  return { ...result, generations, ...(result.llmOutput ? { llmOutput: deepCopy(result.llmOutput) } : {}) };
}

/** A streamed answer as `_generate` would have given it: one generation per completion index. */
function wholeOf(answer: Answer<ChatPart>): ChatResult {
  if (answer.mode === "invoke") return answer.parts[0] as ChatResult;
  if (answer.mode === "events") {
    const message = messageOfEvents(answer.parts as StreamEvent[]);
    return { generations: [{ text: message.text, message }] };
  }
  const byIndex = new Map<number, ChatGenerationChunk>();
  let lastIndex = 0;
  for (const chunk of answer.parts as ChatGenerationChunk[]) {
    const index = Number(chunk.generationInfo?.completion ?? lastIndex);
    lastIndex = index;
    const before = byIndex.get(index);
    byIndex.set(index, before ? before.concat(chunk) : chunk);
  }
  const generations = [...byIndex].sort(([a], [b]) => a - b).map(([, chunk]) => generationOf(chunk));
  const usage = generations.length === 1 ? (generations[0]?.message as AIMessage).usage_metadata : undefined;
  return { generations, ...(usage ? { llmOutput: { tokenUsage: tokenUsage(usage) } } : {}) };
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

/** A whole answer as the one chunk of a stream. */
function chunksOf(result: ChatResult): ChatGenerationChunk[] {
  return result.generations.map(({ text, message, generationInfo }) => {
    const { id, name, content, tool_calls, usage_metadata, additional_kwargs, response_metadata } = message as AIMessage;
    const chunk = new AIMessageChunk({
      content,
      ...(id === undefined ? {} : { id }),
      ...(name === undefined ? {} : { name }),
      ...(usage_metadata ? { usage_metadata } : {}),
      additional_kwargs: { ...additional_kwargs },
      response_metadata: { ...(result.generations.length === 1 ? result.llmOutput : {}), ...response_metadata },
      tool_call_chunks: (tool_calls ?? []).map((call, index) => ({
        type: "tool_call_chunk" as const,
        index,
        name: call.name,
        args: JSON.stringify(call.args),
        ...(call.id === undefined ? {} : { id: call.id }),
      })),
    });
    return new ChatGenerationChunk({ text, message: chunk, ...(generationInfo ? { generationInfo } : {}) });
  });
}

/** Chunks as events, by LangChain's own bridge. */
function bridge(chunks: readonly ChatGenerationChunk[]): AsyncIterable<StreamEvent> {
  const replay = {
    async *_streamResponseChunks() {
      yield* chunks;
    },
  };
  return BaseChatModel.prototype._streamChatModelEvents.call(replay as unknown as BaseChatModel, [], {} as never) as AsyncIterable<StreamEvent>;
}

