import { ChatAnthropic } from "@langchain/anthropic";
import type { BaseMessageLike } from "@langchain/core/messages";
import { ChatOpenAI } from "@langchain/openai";
import { createPerf, type CallFacts, type Perf, type PerfOptions } from "langchain-perf";
import type { Simulator, SimulatorOptions } from "langchain-perf/testing";
import { onTestFinished } from "vitest";
import { eventually } from "../../support/services/eventually.ts";
import { simulator } from "../../testing/support.ts";

export { simulator };

/** Retries of LangChain's own, which must never happen inside a route. */
const OWN_RETRIES = { maxRetries: 6 };

/** How a simulated provider is asked. */
export const APIS = {
  OpenAI: ({ baseURL }: Simulator, model = "chunks-8"): ChatOpenAI => new ChatOpenAI({ model, apiKey: "a", configuration: { baseURL, logLevel: "off" }, ...OWN_RETRIES }),
  "OpenAI's responses API": ({ baseURL }: Simulator, model = "chunks-8"): ChatOpenAI =>
    new ChatOpenAI({ model, apiKey: "a", configuration: { baseURL, logLevel: "off" }, useResponsesApi: true, ...OWN_RETRIES }),
  Anthropic: ({ anthropicBaseURL }: Simulator, model = "chunks-8"): ChatAnthropic =>
    new ChatAnthropic({ model, apiKey: "b", anthropicApiUrl: anthropicBaseURL, clientOptions: { logLevel: "off" }, maxTokens: 100, ...OWN_RETRIES }),
};
export type Api = keyof typeof APIS;
export type Model = ChatOpenAI | ChatAnthropic;

/** A perf that ends with the test, and the facts of its calls of models. */
export function listeningPerf(options: PerfOptions): { perf: Perf; calls: CallFacts[] } {
  const perf = createPerf(options);
  onTestFinished(() => perf.close());
  const calls: CallFacts[] = [];
  perf.on("call", (facts) => {
    if (facts.kind === "chat" || facts.kind === "llm" || facts.kind === "embeddings") calls.push(facts);
  });
  return { perf, calls };
}

/** A faulty provider that is asked first, and a sound one. */
export async function faultyAndSound(...faults: NonNullable<SimulatorOptions["faults"]>): Promise<{ faulty: Simulator; sound: Simulator }> {
  const [faulty, sound] = await Promise.all([simulator({ faults }), simulator()]);
  return { faulty, sound };
}

/** Who was asked, and what that failed of: `["faulty timeout", "sound"]`. */
export function askedOf({ attempts }: Pick<CallFacts, "attempts">): string[] {
  return attempts.map(({ deployment, error }) => (error === undefined ? deployment : `${deployment} ${error}`));
}

/** Waits until nothing is under way at the deployments or the providers. */
export async function quiet(perf: Perf, ...providers: Simulator[]): Promise<void> {
  await eventually(() => perf.deployments().every(({ inFlight }) => inFlight === 0) && providers.every(({ load, count }) => load.active + load.waiting + count({ outcome: "running" }) === 0));
}

export type ChatLike = {
  invoke(input: BaseMessageLike[] | string, config?: object): Promise<{ text: string }>;
  stream(input: BaseMessageLike[] | string, config?: object): Promise<AsyncIterable<{ text: string }>>;
  streamEvents(input: BaseMessageLike[] | string, config: object): unknown;
};

/** What a reader got: all of it, or what came before an error. */
export interface Reading {
  text: string;
  /** Parts that were given. */
  parts: number;
  error?: unknown;
}

async function readAll<T>(stream: AsyncIterable<T>, textOf: (part: T) => string): Promise<Reading> {
  const reading: Reading = { text: "", parts: 0 };
  try {
    for await (const part of stream) {
      reading.parts += 1;
      reading.text += textOf(part);
    }
  } catch (error) {
    reading.error = error;
  }
  return reading;
}

async function* whole(answer: () => Promise<{ text: string }>): AsyncGenerator<{ text: string }> {
  yield await answer();
}

async function* inParts(stream: () => Promise<AsyncIterable<{ text: string }>>): AsyncGenerator<{ text: string }> {
  yield* await stream();
}

interface TextEvent {
  event: string;
  delta?: { type: string; text?: string };
}

/** Ways to read a model's answer. */
export type Way = "invoke" | "stream" | "events";
export const WAYS_TO_READ: readonly Way[] = ["invoke", "stream", "events"];

/** Asks a model to say hello. */
export function read(way: Way, model: ChatLike, config: object = {}): Promise<Reading> {
  if (way === "invoke") return readAll(whole(() => model.invoke("Hello", config)), ({ text }) => text);
  if (way === "stream") return readAll(inParts(() => model.stream("Hello", config)), ({ text }) => text);
  const events = model.streamEvents("Hello", { ...config, version: "v3" }) as AsyncIterable<TextEvent>;
  return readAll(events, ({ delta }) => (delta?.type === "text-delta" ? (delta.text ?? "") : ""));
}
