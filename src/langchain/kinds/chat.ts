import { randomUUID } from "node:crypto";
import type { AIMessage, AIMessageChunk } from "@langchain/core/messages";
import type { ChatResult } from "@langchain/core/outputs";
import type { Usage } from "../../core/facts.ts";
import { writeIdentity } from "../../core/key.ts";
import { opaque, type Kind } from "../../core/layer.ts";
import { eventsHaveContent, eventsUsage, freshEvent, type StreamEvent } from "./chat-events.ts";
import { bridge, chunkPacker, chunksOf, mapResult, sizeOfParts, TextChunk, unpackChunk, wholeOf, type PackedChunk, type PackedPart } from "./chat-parts.ts";
import { chatCodec } from "./codecs.ts";
import { chatEstimate } from "./estimates.ts";
import { chatReasons, generationsOf } from "./reasons.ts";
import { chatRouting } from "./routing.ts";
import type { ChatInput, ChatPart } from "./model-inputs.ts";
import { copyMessage, deepCopy, reissueMessage, withoutSpentUsage, type FreshIds, type MessageLike, type UsageLike } from "../messages.ts";
import { completenessOf, modelFields, modelName, named, targetOf } from "../models.ts";
import { messageFields } from "../identity.ts";

export const chatKind: Kind<ChatInput, ChatPart> = opaque<ChatInput, ChatPart, PackedPart>({
  name: "chat",

  identity({ model, messages, options }, own) {
    const fields = modelFields(model, options, own);
    if (!fields) return undefined;
    if (own.key !== undefined) return writeIdentity([...fields, ["key", own.key]]);
    return writeIdentity([...fields, ...messageFields(messages, model._useResponsesApi?.(options) ?? false)]);
  },

  question: ({ model, messages, options }) => ({ asked: messages, config: options, ...named(modelName(model)) }),

  target: ({ model }) => targetOf(model),

  estimate: ({ model, messages, options }) => chatEstimate(model, messages, options),

  /** The message, as `invoke` gives it. */
  whole(answer) {
    const message = wholeOf(answer).generations[0]?.message;
    return message && copyMessage(message);
  },

  codec: chatCodec,

  routing: chatRouting,

  convert(answer, mode) {
    if (answer.mode === mode) return answer.parts;
    if (mode === "invoke") return [wholeOf(answer)];
    const chunks = answer.mode === "stream" ? (answer.parts as PackedChunk[]) : chunksOf(wholeOf(answer));
    return mode === "stream" ? chunks : bridge(chunks);
  },

  packer(mode) {
    if (mode === "events") return (event) => deepCopy(event) as StreamEvent;
    if (mode === "invoke") return (result) => mapResult(result as ChatResult, copyMessage);
    return chunkPacker() as (part: ChatPart) => PackedChunk;
  },

  reissuer(mode, { runManager }) {
    const ids: FreshIds = new Map();
    const id = `run-${runManager?.runId ?? randomUUID()}`;
    // Without a run LangChain gives no id, but the provider may have given one.
    const idFor = (original: string | undefined): string | undefined => (runManager?.runId === undefined && original === undefined ? undefined : id);
    if (mode === "events") return (part) => freshEvent(part as StreamEvent, idFor((part as { id?: string }).id), ids);
    const fresh = <M extends MessageLike>(message: M): M => reissueMessage(message, idFor(message.id), ids);
    if (mode === "stream") return (part) => unpackChunk(part as PackedChunk, fresh);
    return (part) => {
      const result = mapResult(part as ChatResult, fresh);
      return result.llmOutput ? { ...result, llmOutput: withoutSpentUsage(result.llmOutput) } : result;
    };
  },

  completeness(answer, { model }) {
    return completenessOf(chatReasons(answer), model);
  },

  sizeOf: sizeOfParts,

  usage(mode, parts) {
    if (mode === "events") return usageOf(eventsUsage(parts as StreamEvent[]));
    let total: Usage | undefined;
    for (const { message } of generationsOf(mode, parts)) {
      // Every completion of one request carries the whole request's usage.
      if (mode === "invoke" && total) break;
      total = addUsage(total, usageOf((message as AIMessage).usage_metadata));
    }
    return total;
  },

  hasContent(part) {
    if (part instanceof TextChunk) return part.text !== "";
    if ("event" in part) return eventsHaveContent(part);
    if (!("message" in part)) return true;
    const { content, tool_call_chunks: calls } = part.message as Partial<AIMessageChunk>;
    return part.text !== "" || (calls?.length ?? 0) > 0 || (Array.isArray(content) && content.length > 0);
  },
});

/** LangChain's count of tokens as facts have it. */
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
