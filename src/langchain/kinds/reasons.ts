import type { BaseMessage } from "@langchain/core/messages";
import type { ChatGenerationChunk, ChatResult, GenerationChunk, LLMResult } from "@langchain/core/outputs";
import type { Answer, Mode } from "../../core/layer.ts";
import { finishReason } from "../models.ts";
import { eventsReasons, type StreamEvent } from "./chat-events.ts";
import { TextChunk, type PackedPart } from "./chat-parts.ts";
import type { ChatPart } from "./model-inputs.ts";
import type { LLMPart } from "./codecs.ts";

interface Generation {
  readonly message: BaseMessage;
  readonly generationInfo?: Record<string, unknown>;
}

/** Every generation of a chat answer that may say more than text; a streamed answer has one per chunk. */
export function generationsOf(mode: Mode, parts: readonly (ChatPart | PackedPart)[]): readonly Generation[] {
  if (mode === "invoke") return (parts[0] as ChatResult).generations;
  return parts.filter((part) => !(part instanceof TextChunk)) as ChatGenerationChunk[];
}

/** Why each generation of a chat answer ended; `undefined` where nobody said so. */
export function chatReasons({ mode, parts }: Answer<ChatPart | PackedPart>): (string | undefined)[] {
  if (mode === "events") return eventsReasons(parts as StreamEvent[]);
  const reasons = new Map<number, string | undefined>();
  let index = 0;
  for (const [at, { message, generationInfo }] of generationsOf(mode, parts).entries()) {
    index = mode === "invoke" ? at : Number(generationInfo?.completion ?? index);
    const reason = finishReason(generationInfo) ?? finishReason(message.response_metadata) ?? finishReason(message.additional_kwargs);
    reasons.set(index, reason ?? reasons.get(index));
  }
  return [...reasons.values()];
}

/** Why each generation of a completion model's answer ended; `undefined` where nobody said so. */
export function llmReasons({ mode, parts }: Answer<LLMPart>): (string | undefined)[] {
  if (mode === "invoke") return (parts[0] as LLMResult).generations.flat().map(({ generationInfo }) => finishReason(generationInfo));
  const chunks = parts as readonly GenerationChunk[];
  const last = chunks.findLast(({ generationInfo }) => finishReason(generationInfo)) ?? chunks.at(-1);
  return last ? [finishReason(last.generationInfo)] : [];
}
