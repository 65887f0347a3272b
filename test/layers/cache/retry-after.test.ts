import { createPerf, withPerf, type CacheOptions } from "langchain-perf";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { FakeEmbeddings } from "../../support/fakes/embeddings.ts";
import { chatModel, simulator } from "../../testing/support.ts";
import { settle } from "../support/gate.ts";
import { listening } from "../support/listening.ts";
import { Numbered, refusal, wishing } from "../support/replies.ts";

beforeEach(() => void vi.useFakeTimers({ toFake: ["Date", "performance", "setTimeout", "clearTimeout"] }));
afterEach(() => void vi.useRealTimers());

/** A model that has refused a call. */
async function refused(error: unknown, cache: CacheOptions = {}) {
  const { perf, facts } = listening({ cache, coalesce: true });
  const model = new Numbered();
  const fast = withPerf(model, perf);
  const refuse = async (failure = error, question = "refused"): Promise<void> => {
    model.failure = failure;
    await expect(fast.invoke(question)).rejects.toBe(failure);
    model.failure = undefined;
  };
  await refuse();
  return { perf, facts, model, fast, refuse };
}

/** Begins a call, and tells whether it has ended once everything that is ready has run. */
async function begin(call: Promise<unknown>): Promise<{ ended(): boolean; call: Promise<unknown> }> {
  let over = false;
  const noted = call.finally(() => (over = true));
  noted.catch(() => {});
  await settle();
  return { ended: () => over, call: noted };
}

describe("a refusal with a time to come back", () => {
  it.each<[string, unknown]>([
    ["in seconds", refusal(429, { "retry-after": "2" })],
    ["in milliseconds, the more exact", refusal(429, { "retry-after": "9", "retry-after-ms": "2000" })],
    ["with status 503", refusal(503, { "retry-after": "2" })],
    ["in a Headers object", refusal(429, new Headers({ "Retry-After": "2" }))],
    ["in the response", Object.assign(new Error("no"), { response: { status: 429, headers: { "retry-after": "2" } } })],
  ])("makes later misses wait: %s", async (_name, error) => {
    const { fast, model } = await refused(error);
    const one = await begin(fast.invoke("one"));
    vi.advanceTimersByTime(1_000);
    const other = await begin(fast.stream("other").then((stream) => Array.fromAsync(stream)));
    await vi.advanceTimersByTimeAsync(999);
    await settle();
    expect([one.ended(), other.ended(), model.seen.length]).toEqual([false, false, 1]);
    await vi.advanceTimersByTimeAsync(1);
    await Promise.all([one.call, other.call]);
    expect(model.seen).toHaveLength(3);
  });

  it("as a date does so too", async () => {
    vi.setSystemTime(new Date("2026-01-01T00:00:00Z"));
    const { fast, model } = await refused(refusal(429, { "retry-after": "Thu, 01 Jan 2026 00:00:03 GMT" }));
    const later = await begin(fast.invoke("one"));
    await vi.advanceTimersByTimeAsync(2_999);
    expect(later.ended()).toBe(false);
    await vi.advanceTimersByTimeAsync(1);
    await later.call;
    expect(model.seen).toHaveLength(2);
  });

  it.each<[string, unknown]>([
    ["of over a minute", refusal(429, { "retry-after": "61" })],
    ["in the past", refusal(429, { "retry-after": "Thu, 01 Jan 1970 00:00:03 GMT" })],
    ["of zero", refusal(429, { "retry-after": "0" })],
    ["that is no time", refusal(429, { "retry-after": "soon" })],
    ["that is missing", refusal(429)],
    ["of another status", refusal(500, { "retry-after": "2" })],
    ["of an error without status", new Error("down")],
  ])("is not waited for: one %s", async (_name, error) => {
    const { fast } = await refused(error);
    expect((await begin(fast.invoke("one"))).ended()).toBe(true);
  });

  it("is heard at the end of the wait by whoever waits: aborts end it at once", async () => {
    const { fast, model } = await refused(refusal(429, { "retry-after": "30" }));
    const caller = new AbortController();
    const [waiting, streaming] = [await begin(fast.invoke("one", { signal: caller.signal })), await begin(fast.stream("two", { signal: caller.signal }).then((stream) => Array.fromAsync(stream)))];
    caller.abort(new Error("left"));
    await expect(waiting.call).rejects.toThrow("left");
    await expect(streaming.call).rejects.toThrow("left");
    expect(model.seen).toHaveLength(1);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("holds for that model alone", async () => {
    const { perf, fast } = await refused(refusal(429, { "retry-after": "2" }));
    const other = withPerf(new Numbered({ model: "scripted-2" }), perf);
    expect((await begin(other.invoke("one"))).ended()).toBe(true);
    expect((await begin(fast.invoke("one"))).ended()).toBe(false);
  });

  it("does not hold hits up, nor calls that go past the cache of another perf", async () => {
    const { perf, fast, model } = await refused(refusal(429, { "retry-after": "2" }));
    await vi.advanceTimersByTimeAsync(2_000);
    await fast.invoke("kept");
    model.failure = refusal(429, { "retry-after": "2" });
    await expect(fast.invoke("again")).rejects.toThrow();
    model.failure = undefined;
    expect((await begin(fast.invoke("kept"))).ended()).toBe(true);
    expect((await begin(withPerf(model, createPerf({ cache: true })).invoke("new"))).ended()).toBe(true);
    expect(perf.cache.stats().entries).toBe(1);
  });

  it("gives an old answer at once instead of waiting", async () => {
    const { fast, refuse, facts, model } = await refused(new Error("first"), { ttlMs: 1_000, staleIfErrorMs: 60_000 });
    await fast.invoke("old");
    vi.advanceTimersByTime(1_000);
    await refuse(refusal(429, { "retry-after": "20" }));
    expect((await begin(fast.invoke("old"))).ended()).toBe(true);
    expect(facts.at(-1)?.cache).toMatchObject({ status: "stale", tier: "memory" });
    const calls = model.seen.length;
    expect((await begin(fast.invoke("new"))).ended()).toBe(false);
    expect(model.seen).toHaveLength(calls);
  });

  it("is remembered where an old answer was given for it", async () => {
    const { fast, model } = await refused(new Error("first"), { ttlMs: 1_000, staleIfErrorMs: 60_000 });
    await fast.invoke("old");
    vi.advanceTimersByTime(1_000);
    model.failure = refusal(429, { "retry-after": "20" });
    expect((await fast.invoke("old")).text).toBe("answer 2");
    model.failure = undefined;
    expect((await begin(fast.invoke("new"))).ended()).toBe(false);
  });
});

describe("the longest wait", () => {
  it.each<[number, boolean]>([[0, true], [1_999, true], [2_000, false]])("of %i ms: a call after a refusal for 2 s goes on at once: %s", async (maxRetryAfterMs, atOnce) => {
    const { fast } = await refused(refusal(429, { "retry-after": "2" }), { maxRetryAfterMs });
    expect((await begin(fast.invoke("one"))).ended()).toBe(atOnce);
  });
});

describe("whoever need not wait does not", () => {
  it("a call past the cache", async () => {
    const { fast } = await refused(refusal(429, { "retry-after": "2" }));
    expect((await begin(fast.invoke("one", wishing({ cache: "bypass" })))).ended()).toBe(true);
    expect((await begin(fast.invoke("one"))).ended()).toBe(false);
  });

  it("a model with a fallback, by invoke, stream and batch, with wishes of its own too; the last of them waits", async () => {
    const { perf, model } = await refused(refusal(429, { "retry-after": "2" }));
    const other = new Numbered({ model: "scripted-2" });
    const chain = withPerf(model.withFallbacks([other]), perf);
    model.failure = refusal(429, { "retry-after": "2" });
    expect((await begin(chain.invoke("one"))).ended()).toBe(true);
    expect((await begin(chain.invoke("two", wishing({ tags: ["a"] })))).ended()).toBe(true);
    expect((await begin(chain.stream("three").then((stream) => Array.fromAsync(stream)))).ended()).toBe(true);
    expect((await begin(chain.batch(["four", "five"]))).ended()).toBe(true);
    expect(other.seen).toHaveLength(5);
    other.failure = refusal(429, { "retry-after": "2" });
    await expect(chain.invoke("six")).rejects.toThrow("429");
    expect((await begin(chain.invoke("seven"))).ended()).toBe(false);
  });
});

it("a refused batch of texts makes the next one wait, each of its texts once", async () => {
  class Refusing extends FakeEmbeddings {
    #refused = false;
    override async embedDocuments(texts: string[]): Promise<number[][]> {
      if (this.#refused) return super.embedDocuments(texts);
      this.#refused = true;
      throw refusal(429, { "retry-after": "2" });
    }
  }
  const bare = new Refusing();
  const fast = withPerf(bare, createPerf());
  await expect(fast.embedDocuments(["a", "b"])).rejects.toThrow("429");
  const waiting = await begin(fast.embedDocuments(["a", "b", "c"]));
  await vi.advanceTimersByTimeAsync(1_999);
  expect([waiting.ended(), bare.counts.embeddings]).toEqual([false, 0]);
  await vi.advanceTimersByTimeAsync(1);
  expect(await waiting.call).toHaveLength(3);
  expect(bare.counts.embeddings).toBe(1);
});

describe("a provider over HTTP", () => {
  beforeEach(() => void vi.useRealTimers());

  it("is left alone until the time that its Retry-After names, at this endpoint only", async () => {
    const faults = [{ kind: "status" as const, status: 429, headers: { "retry-after-ms": "400" }, times: 1 }];
    const [busy, free] = [await simulator({ faults }), await simulator()];
    const perf = createPerf({ cache: true, coalesce: true });
    const [one, other] = [withPerf(chatModel(busy), perf), withPerf(chatModel(free), perf)];
    await expect(one.invoke("refused")).rejects.toMatchObject({ status: 429 });
    const order: string[] = [];
    await Promise.all([
      one.invoke("later").then(() => order.push("busy")),
      other.invoke("now").then(() => order.push("free")),
    ]);
    expect(order).toEqual(["free", "busy"]);
  });
});
