import type { Simulator, SimulatorOptions } from "langchain-perf/testing";
import type { ChatInput } from "../../../src/langchain/kinds/model-inputs.ts";
import { simulator } from "../../testing/support.ts";
import { anthropic, openai } from "./models.ts";

type Model = ReturnType<typeof openai> | ReturnType<typeof anthropic>;

/** The APIs that the simulator speaks. */
export const SIMULATED = ["OpenAI", "OpenAI's responses API", "Anthropic"] as const;

/** Models at a simulated provider, and the provider. */
export async function simulated(options: SimulatorOptions = {}): Promise<Record<(typeof SIMULATED)[number], Model> & { provider: Simulator }> {
  const provider = await simulator(options);
  const { baseURL, anthropicBaseURL } = provider;
  return {
    provider,
    OpenAI: openai({ configuration: { baseURL }, maxTokens: 50 }),
    "OpenAI's responses API": openai({ configuration: { baseURL }, useResponsesApi: true, maxTokens: 50 }),
    Anthropic: anthropic({ anthropicApiUrl: anthropicBaseURL, maxTokens: 50 }),
  };
}

/** The answer to a call, as the layers see it. */
export async function answered({ model, messages, options }: ChatInput, mode: "invoke" | "stream" | "events"): Promise<{ mode: typeof mode; parts: never[] }> {
  if (mode === "invoke") return { mode, parts: [(await model._generate(messages, options as never)) as never] };
  const parts: never[] = [];
  const stream: AsyncIterable<unknown> = mode === "stream" ? model._streamResponseChunks(messages, options as never) : model._streamChatModelEvents(messages, options as never);
  for await (const part of stream) parts.push(part as never);
  return { mode, parts };
}
