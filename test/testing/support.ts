import { afterEach } from "vitest";
import { ChatOpenAI, type ChatOpenAIFields } from "@langchain/openai";
import { createSimulator, type Simulator, type SimulatorOptions } from "langchain-perf/testing";

const running: Simulator[] = [];

/** Starts a simulator that ends with the test. */
export async function simulator(options: SimulatorOptions = {}): Promise<Simulator> {
  const started = await createSimulator(options);
  running.push(started);
  return started;
}

afterEach(async () => {
  await Promise.all(running.splice(0).map((started) => started.close()));
});

export function chatModel({ baseURL }: Simulator, fields: ChatOpenAIFields = {}): ChatOpenAI {
  return new ChatOpenAI({ model: "gpt-4o-mini", apiKey: "any", maxRetries: 0, configuration: { baseURL }, ...fields });
}

/** A request to an endpoint, as JSON. */
export function post(url: string, body: unknown, init: RequestInit = {}): Promise<Response> {
  return fetch(url, { method: "POST", body: JSON.stringify(body), ...init, headers: { "content-type": "application/json", ...init.headers } });
}

/** A chat completion of one user message. */
export function ask({ baseURL }: Simulator, content: string, body: object = {}, init: RequestInit = {}): Promise<Response> {
  return post(`${baseURL}/chat/completions`, { model: "gpt-4o-mini", messages: [{ role: "user", content }], ...body }, init);
}

/** A response's JSON, whatever it holds. */
export async function json(response: Response | Promise<Response>): Promise<Record<string, any>> {
  return (await (await response).json()) as Record<string, any>;
}

/** The data of a stream's events; JSON parsed, `[DONE]` as it is. */
export function events(text: string): Record<string, any>[] {
  return text
    .split("\n\n")
    .filter(Boolean)
    .map((event) => event.split("\n").find((line) => line.startsWith("data: "))!.slice(6))
    .map((data) => (data === "[DONE]" ? { done: true } : (JSON.parse(data) as Record<string, unknown>)));
}

/** Waits until something is so; the test's own timeout is the limit. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}
