import { ChatAnthropic } from "@langchain/anthropic";
import type { BaseMessage } from "@langchain/core/messages";
import { tool } from "@langchain/core/tools";
import { ChatGoogleGenerativeAI } from "@langchain/google-genai";
import { ChatOpenAI, type ChatOpenAIFields } from "@langchain/openai";
import { z } from "zod";
import { Unfit } from "../../../src/core/layer.ts";
import type { ChatInput } from "../../../src/langchain/kinds/model-inputs.ts";
import { chatRouting } from "../../../src/langchain/kinds/routing.ts";
import type { ModelOptions } from "../../../src/langchain/models.ts";

export const openai = (fields: ChatOpenAIFields = {}): ChatOpenAI => new ChatOpenAI({ model: "gpt-4o-mini", apiKey: "a", maxRetries: 0, ...fields });
export const anthropic = (fields: ConstructorParameters<typeof ChatAnthropic>[0] = {}): ChatAnthropic =>
  new ChatAnthropic({ model: "claude-sonnet-4-5", apiKey: "b", maxRetries: 0, ...(fields as object) });
export const google = (fields: object = {}): ChatGoogleGenerativeAI => new ChatGoogleGenerativeAI({ model: "gemini-2.5-flash", apiKey: "c", maxRetries: 0, ...fields });

/** One of each format. */
export const MODELS = { OpenAI: openai, Anthropic: anthropic, Google: google };
export type Format = keyof typeof MODELS;
export const FORMATS = Object.keys(MODELS) as Format[];

export const weather = tool(({ city }) => `Rain in ${city}.`, {
  name: "get_weather",
  description: "Get the current weather for a city",
  schema: z.object({ city: z.string().describe("The city"), unit: z.enum(["C", "F"]).optional() }),
});
export const clock = tool(() => "Noon.", { name: "get_time", description: "Get the time", schema: z.object({}) });

/** A call as a leaf gets it, of a model alone or of one to which something is bound. */
export function call(model: object, options: object = {}, messages: BaseMessage[] = []): ChatInput {
  const { bound, config } = model as { bound?: object; config?: ModelOptions };
  return { model: (bound ?? model) as ChatInput["model"], messages, options: { ...config, ...options } as ModelOptions, runManager: undefined };
}

/** The call made of another model, which must be able to take it. */
export function rebound(input: ChatInput, target: object): ChatInput {
  const fitting = chatRouting.rebind(input, target);
  if (fitting instanceof Unfit) throw new Error(fitting.reason);
  return fitting;
}

/** Why a model cannot take a call; `undefined` = it can. */
export function unfit(input: ChatInput, target: object): string | undefined {
  const fitting = chatRouting.rebind(input, target);
  return fitting instanceof Unfit ? fitting.reason : undefined;
}

/** What a model would send of a call, besides its messages. */
export function sent({ model, options }: ChatInput): Record<string, any> {
  return model.invocationParams(options as never) as Record<string, any>;
}
