import { ChatOpenAI, OpenAIEmbeddings } from "@langchain/openai";
import type { Simulator, SimulatorOptions } from "langchain-perf/testing";
import { pooledFetch } from "langchain-perf/http";
import { createSimulator } from "langchain-perf/testing";
import { Agent, fetch as undiciFetch, request as undiciRequest } from "undici";
import { afterAll, beforeEach, describe, expect, it, vi } from "vitest";
import { NO_WISHES } from "../../src/core/control.ts";
import type { KindName } from "../../src/core/facts.ts";
import { listenToResponses } from "../../src/langchain/response-headers.ts";
import { inScope, leafScope, type PerfRuntime, type Scope } from "../../src/langchain/scope.ts";

listenToResponses();

const perf = { closed: false } as PerfRuntime;
const root: Scope = { perf, control: NO_WISHES, leaf: undefined, released: undefined, answered: undefined };

interface Heard {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
}

/** Does the work as the request of an attempt. @returns the result, and what the attempt heard until then */
async function attempt<T>(kind: KindName, work: () => Promise<T>, hear: (heard: Heard) => void = () => {}): Promise<{ result: T; heard: Heard[] }> {
  const heard: Heard[] = [];
  const listener = (status: number, headers: ReadonlyMap<string, string>): void => {
    heard.push({ status, headers });
    hear({ status, headers });
  };
  const result = await inScope(leafScope(root, { kind, shared: undefined, attempt: { hasPermit: true, heard: listener } }), work);
  return { result, heard };
}

const running: Simulator[] = [];
let provider: Simulator;

async function simulator(options: SimulatorOptions = {}): Promise<Simulator> {
  const started = await createSimulator({ limits: { requestsPerMinute: 600, tokensPerMinute: 60_000 }, ...options });
  running.push(started);
  return started;
}

beforeEach(async () => {
  provider = await simulator();
});

afterAll(async () => {
  await Promise.all(running.map((started) => started.close()));
});

function chat({ baseURL }: Simulator = provider): ChatOpenAI {
  return new ChatOpenAI({ model: "gpt-4o-mini", apiKey: "any", maxRetries: 0, configuration: { baseURL } });
}

function post(path: string, body: object): Promise<Response> {
  return fetch(new URL(path, provider.baseURL), { method: "POST", headers: { "content-type": "application/json", "x-api-key": "any", "anthropic-version": "2023-06-01" }, body: JSON.stringify(body) });
}

const MESSAGES = { model: "gpt-4o-mini", messages: [{ role: "user", content: "Hello" }], max_tokens: 20 };

describe("an attempt hears of the response", () => {
  it("to a chat model's call", async () => {
    const { heard } = await attempt("chat", () => chat().invoke("Hello"));
    expect(heard).toHaveLength(1);
    expect(heard[0]!.status).toBe(200);
    expect(heard[0]!.headers.get("x-ratelimit-limit-requests")).toBe("600");
    expect(heard[0]!.headers.get("x-ratelimit-remaining-requests")).toBe("599");
    expect(heard[0]!.headers.get("content-type")).toContain("application/json");
  });

  it("to a streamed call, before its first part", async () => {
    const order: string[] = [];
    const read = async (): Promise<void> => {
      for await (const _ of await chat().stream("Hello")) order.push("part");
    };
    await attempt("chat", read, ({ status }) => order.push(`heard ${status}`));
    expect(order.slice(0, 2)).toEqual(["heard 200", "part"]);
    expect(order.filter((what) => what !== "part")).toHaveLength(1);
  });

  it("to a call of embeddings", async () => {
    const embeddings = new OpenAIEmbeddings({ apiKey: "any", configuration: { baseURL: provider.baseURL } });
    const { heard } = await attempt("embeddings", () => embeddings.embedQuery("Hello"));
    expect(heard.map(({ status, headers }) => [status, headers.has("x-ratelimit-remaining-tokens")])).toEqual([[200, true]]);
  });

  it("of a provider that speaks like Anthropic", async () => {
    const { heard } = await attempt("chat", () => post("/v1/messages", MESSAGES));
    expect(heard[0]!.headers.get("anthropic-ratelimit-requests-limit")).toBe("600");
    expect(Date.parse(heard[0]!.headers.get("anthropic-ratelimit-tokens-reset") ?? "")).toBeGreaterThan(0);
  });

  it("that refuses, with the time to come back", async () => {
    provider = await simulator({ limits: { requestsPerMinute: 1 } });
    await chat().invoke("Hello");
    const { heard, result } = await attempt("chat", () => chat().invoke("Hello").catch((error: unknown) => error));
    expect(result).toMatchObject({ status: 429 });
    expect(heard.map(({ status, headers }) => [status, Number(headers.get("retry-after-ms")) > 0])).toEqual([[429, true]]);
  });

  it("to a request made through the undici package", async () => {
    const url = `${provider.baseURL}/models`;
    const { heard } = await attempt("chat", async () => {
      await (await undiciFetch(url)).text();
      await (await undiciRequest(url)).body.text();
    });
    expect(heard.map(({ status }) => status)).toEqual([200, 200]);
  });

  it("to its own request alone, however many are under way", async () => {
    provider = await simulator({ digestInText: true, latency: { meanMs: 10, sdMs: 10 } });
    const asked = chat();
    const calls = Array.from({ length: 50 }, (_, number) => attempt("chat", () => asked.invoke(`Question ${number}`)));
    for (const { result, heard } of await Promise.all(calls)) {
      expect(heard).toHaveLength(1);
      expect(result.text).toContain(`[#${heard[0]!.headers.get("x-request-digest")}]`);
    }
  });
});

describe("listening to responses", () => {
  it("tells nobody outside of an attempt", async () => {
    const before = vi.fn();
    await attempt("chat", () => chat().invoke("Hello"), before);
    await chat().invoke("Hello");
    await inScope(root, () => chat().invoke("Hello"));
    await inScope(leafScope(root, { kind: "chat", shared: undefined, attempt: { hasPermit: true } }), () => chat().invoke("Hello"));
    expect(before).toHaveBeenCalledTimes(1);
  });

  it("tells once, however often and by however many copies of the package it was asked for", async () => {
    listenToResponses();
    vi.resetModules();
    const copy = (await import("../../src/langchain/response-headers.ts")) as { listenToResponses: typeof listenToResponses };
    expect(copy.listenToResponses).not.toBe(listenToResponses);
    copy.listenToResponses();
    const { heard } = await attempt("chat", () => chat().invoke("Hello"));
    expect(heard).toHaveLength(1);
  });

  it("does no harm to a call when its listener fails", async () => {
    const uncaught = vi.fn();
    process.on("uncaughtException", uncaught);
    const { result } = await attempt("chat", () => chat().invoke("Hello"), () => {
      throw new Error("a listener's mistake");
    });
    await new Promise((resolve) => setImmediate(resolve));
    process.off("uncaughtException", uncaught);
    expect(result.text).not.toBe("");
    expect(uncaught).not.toHaveBeenCalled();
  });

  /** Ten calls at once: of each, which of the responses that it heard of were its own. */
  async function heardByTen(fetchOf: (url: string, init: { method: string; headers: Record<string, string>; body: string }) => Promise<{ text(): Promise<string> }>): Promise<boolean[][]> {
    const ask = async (number: number): Promise<string> => {
      const body = JSON.stringify({ ...MESSAGES, messages: [{ role: "user", content: `Question ${number}` }] });
      return (await fetchOf(`${provider.baseURL}/chat/completions`, { method: "POST", headers: { "content-type": "application/json" }, body })).text();
    };
    const calls = await Promise.all(Array.from({ length: 10 }, (_, number) => attempt("chat", () => ask(number))));
    return calls.map(({ heard, result }) => heard.map(({ headers }) => result.includes(`fp_${headers.get("x-request-digest")}`)));
  }

  it("tells each call of its own where requests wait for a connection of pooledFetch", async () => {
    await using fetch = pooledFetch({ connections: 2 });
    expect(await heardByTen(fetch)).toEqual(Array.from({ length: 10 }, () => [true]));
  });

  it("tells of requests that waited for a connection of another pool whoever had that connection before", async () => {
    const dispatcher = new Agent({ connections: 2 });
    const lists = await heardByTen((url, init) => undiciFetch(url, { ...init, dispatcher }));
    expect(lists.slice(0, 2).map(([own, ...others]) => [own, others.includes(true)])).toEqual([[true, false], [true, false]]);
    expect(lists.flat()).toHaveLength(10);
    expect(lists.slice(2).flat()).toEqual([]);
    await dispatcher.close();
  });
});
