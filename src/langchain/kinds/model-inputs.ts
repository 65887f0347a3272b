import type { BaseChatModel } from "@langchain/core/language_models/chat_models";
import type { BaseLLM } from "@langchain/core/language_models/llms";
import type { BaseMessage } from "@langchain/core/messages";
import type { ChatGenerationChunk, ChatResult } from "@langchain/core/outputs";
import type { LLMRunManager, ModelLike, ModelOptions } from "../models.ts";
import type { StreamEvent } from "./chat-events.ts";

/** One chat model call as its leaf gets it. */
export interface ChatInput {
  readonly model: BaseChatModel & ModelLike;
  readonly messages: BaseMessage[];
  readonly options: ModelOptions;
  readonly runManager: LLMRunManager | undefined;
}

/** `invoke` has a ChatResult, `stream` ChatGenerationChunks, `events` the events of the content-block protocol. */
export type ChatPart = ChatResult | ChatGenerationChunk | StreamEvent;

/** One call of a text completion model as its leaf gets it. */
export interface LLMInput {
  readonly model: BaseLLM & ModelLike;
  readonly prompts: readonly string[];
  readonly options: ModelOptions;
  readonly runManager: LLMRunManager | undefined;
}
