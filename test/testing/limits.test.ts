import { describe, expect, it } from "vitest";
import type { Simulator } from "langchain-perf/testing";
import { Capacity } from "../../src/testing/capacity.ts";
import { formatDuration, RateLimits } from "../../src/testing/rate-limits.ts";
import { ask, chatModel, simulator, until } from "./support.ts";

describe("rate limits", () => {
  it("are told in the headers of every answer", async () => {
    const { headers } = await ask(await simulator({ limits: { requestsPerMinute: 60, tokensPerMinute: 6_000 } }), "Hello");
    expect(headers.get("x-ratelimit-limit-requests")).toBe("60");
    expect(headers.get("x-ratelimit-remaining-requests")).toBe("59");
    expect(headers.get("x-ratelimit-limit-tokens")).toBe("6000");
    expect(Number(headers.get("x-ratelimit-remaining-tokens"))).toBeGreaterThan(5_900);
    expect(headers.get("x-ratelimit-reset-requests")).toMatch(/^(?:1s|0?\.?\d+m?s)$/);
  });

  it("are absent without limits", async () => {
    expect([...(await ask(await simulator(), "Hello")).headers.keys()].filter((name) => name.includes("ratelimit"))).toEqual([]);
  });

  it("answer 429 above the requests per minute, and say when to come back", async () => {
    const provider = await simulator({ limits: { requestsPerMinute: 2 } });
    const responses = [await ask(provider, "a"), await ask(provider, "b"), await ask(provider, "c")];
    expect(responses.map((response) => response.status)).toEqual([200, 200, 429]);
    const { headers } = responses[2]!;
    const afterMs = Number(headers.get("retry-after-ms"));
    expect(afterMs).toBeGreaterThan(0);
    expect(afterMs).toBeLessThanOrEqual(30_000);
    expect(Number(headers.get("retry-after"))).toBe(Math.ceil(afterMs / 1_000));
    expect(headers.get("x-ratelimit-remaining-requests")).toBe("0");
    expect(await responses[2]!.json()).toMatchObject({ error: { code: "rate_limit_exceeded", type: "requests" } });
    expect(provider.count({ outcome: "rejected" })).toBe(1);
  });

  it("answer 429 above the tokens per minute; what can never fit has no time to come back", async () => {
    const provider = await simulator({ limits: { tokensPerMinute: 40 } });
    expect((await ask(provider, "Hello")).status).toBe(200);
    expect((await ask(provider, "Hello, this question is so much longer than the first one was that what is left cannot hold it")).status).toBe(429);
    const never = await ask(provider, "word ".repeat(100));
    expect([never.status, never.headers.get("retry-after")]).toEqual([429, null]);
  });

  it("fill up evenly", () => {
    let now = 0;
    const limits = new RateLimits({ requestsPerMinute: 60, tokensPerMinute: 600 }, () => now);
    for (let at = 0; at < 60; at++) expect(limits.admit(1)).toBeUndefined();
    expect(limits.admit(1)).toEqual({ what: "requests", limit: 60, retryAfterMs: 1_000 });
    now = 1_000;
    expect(limits.admit(1)).toBeUndefined();
    limits.spend(600);
    now = 2_000;
    expect(limits.admit(1)).toMatchObject({ what: "tokens", retryAfterMs: 4_200 });
    now = 120_000;
    expect(limits.headers("openai")).toMatchObject({ "x-ratelimit-remaining-requests": "60", "x-ratelimit-reset-tokens": "0ms" });
  });

  it.each([[7, "7ms"], [999.5, "1s"], [1_500, "1.5s"], [60_000, "1m0s"], [360_000, "6m0s"], [3_725_000, "1h2m5s"]])("write %d ms as %s", (durationMs, text) => {
    expect(formatDuration(durationMs)).toBe(text);
  });
});

/** Holds a place until it is told to leave. */
function hold(provider: Simulator): AbortController {
  const leave = new AbortController();
  void ask(provider, "hold", { stream: true, model: "chunks-2+stall=1" }, { signal: leave.signal }).then((response) => response.text()).catch(() => {});
  return leave;
}

describe("capacity", () => {
  it("lets the rest wait, first come first served", async () => {
    const provider = await simulator({ capacity: 1 });
    const holder = hold(provider);
    await until(() => provider.load.active === 1);
    const answered: string[] = [];
    const waiting: Promise<unknown>[] = [];
    for (const name of ["first", "second", "third"]) {
      waiting.push(ask(provider, name).then(() => answered.push(name)));
      await until(() => provider.load.waiting === waiting.length);
    }
    expect(answered).toEqual([]);
    holder.abort();
    await Promise.all(waiting);
    expect(answered).toEqual(["first", "second", "third"]);
    expect(provider.load).toEqual({ active: 0, waiting: 0 });
    expect(provider.requests[3]!.queuedMs).toBeGreaterThan(0);
  });

  it.each([503, 429] as const)("answers %d when the queue is full", async (fullStatus) => {
    const provider = await simulator({ capacity: { concurrency: 1, maxQueue: 0, fullStatus } });
    hold(provider);
    await until(() => provider.load.active === 1);
    const response = await ask(provider, "x");
    expect([response.status, response.headers.get("retry-after")]).toEqual([fullStatus, "1"]);
    await expect(chatModel(provider).invoke("x")).rejects.toMatchObject({ status: fullStatus });
  });

  it("forgets who leaves the queue", async () => {
    const provider = await simulator({ capacity: 1 });
    hold(provider);
    await until(() => provider.load.active === 1);
    const leave = new AbortController();
    const waiting = ask(provider, "x", {}, { signal: leave.signal });
    await until(() => provider.load.waiting === 1);
    leave.abort();
    await expect(waiting).rejects.toThrow();
    await until(() => provider.load.waiting === 0);
    expect(provider.requests[1]!.outcome).toBe("aborted");
    expect(provider.load.active).toBe(1);
  });

  it("gives a place back once, however often it is released", async () => {
    const capacity = new Capacity(1, 1);
    const release = await capacity.acquire(new AbortController().signal);
    if (typeof release === "string") throw new Error(release);
    release();
    release();
    expect(capacity.active).toBe(0);
    expect(await capacity.acquire(new AbortController().signal)).toBeTypeOf("function");
    expect(await capacity.acquire(AbortSignal.abort())).toBe("aborted");
  });
});

describe("a client that leaves", () => {
  it("ends the work, and the log says aborted", async () => {
    const provider = await simulator({ latency: { ttftMs: 5, interTokenMs: 50_000 } });
    const leave = new AbortController();
    const response = await ask(provider, "x", { model: "chunks-5", stream: true }, { signal: leave.signal });
    await response.body!.getReader().read();
    leave.abort();
    await until(() => provider.requests[0]!.outcome === "aborted");
    expect(provider.load.active).toBe(0);
    expect(provider.requests[0]!.durationMs).toBeLessThan(50_000);
  });
});
