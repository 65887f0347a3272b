import { withPerf, type CacheOptions, type CallFacts } from "langchain-perf";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Gate, settle } from "../support/gate.ts";
import { listening } from "../support/listening.ts";
import { Numbered, wishing } from "../support/replies.ts";
import { ScriptedChat, textResult } from "../support/scripted-chat.ts";

beforeEach(() => void vi.useFakeTimers({ toFake: ["Date", "performance"] }));
afterEach(() => void vi.useRealTimers());

const foreground = (facts: readonly CallFacts[]): CallFacts[] => facts.filter(({ background }) => !background);
const statuses = (facts: readonly CallFacts[]): unknown[] => foreground(facts).map(({ cache }) => cache?.status);

/** A model that numbers its answers, its questions through a cache, and time as the test wants it. */
function setting(cache: CacheOptions, model: ScriptedChat = new Numbered()) {
  const { perf, facts } = listening({ cache, coalesce: true });
  const fast = withPerf(model, perf);
  const ask = async (question = "q"): Promise<string> => (await fast.invoke(question)).text;
  const stream = async (question = "q"): Promise<string> => (await Array.fromAsync(await fast.stream(question))).map(({ text }) => text).join("");
  return { perf, facts, fast, model, ask, stream };
}

describe("a stale answer", () => {
  it("is given at once, and the next call has the newer one", async () => {
    const { ask, facts, model } = setting({ ttlMs: 1_000, staleMs: 5_000 });
    expect(await ask()).toBe("answer 1");
    vi.advanceTimersByTime(1_000);
    expect(await ask()).toBe("answer 1");
    expect(facts.at(-1)?.cache).toMatchObject({ status: "stale", tier: "memory", ageMs: 1_000 });
    await settle();
    expect(await ask()).toBe("answer 2");
    expect(facts.at(-1)?.cache).toMatchObject({ status: "hit", ageMs: 0 });
    expect(statuses(facts)).toEqual(["miss", "stale", "hit"]);
    expect(model.seen).toHaveLength(2);
  });

  it("is refreshed by one call in the background, however many ask and in whatever mode", async () => {
    const gate = new Gate();
    const model = new ScriptedChat({ whole: async (_call, nth) => (nth > 1 && (await gate.promise), textResult(`answer ${nth}`)) });
    const { ask, stream, facts } = setting({ ttlMs: 1_000, staleMs: 5_000 }, model);
    await ask();
    vi.advanceTimersByTime(1_500);
    expect(new Set(await Promise.all([ask(), ask(), stream(), ask(), stream()]))).toEqual(new Set(["answer 1"]));
    await settle();
    expect(await ask()).toBe("answer 1");
    expect(model.seen).toHaveLength(2);
    gate.open();
    await settle();
    expect(await stream()).toBe("answer 2");
    expect(model.seen).toHaveLength(2);
    const background = facts.filter(({ background }) => background);
    expect(background).toHaveLength(1);
    expect(background[0]).toMatchObject({ kind: "chat", mode: "invoke", background: true, cache: { status: "miss" } });
    expect(foreground(facts).every(({ background }) => background === undefined)).toBe(true);
  });

  it("that was streamed is refreshed by a stream when one asks for it", async () => {
    const { stream, model, facts } = setting({ ttlMs: 1_000, staleMs: 5_000 });
    await stream();
    vi.advanceTimersByTime(1_000);
    expect(await stream()).toBe("answer 1");
    await settle();
    expect(await stream()).toBe("answer 2");
    expect(model.seen.map(({ mode }) => mode)).toEqual(["stream", "stream"]);
    expect(facts.find(({ background }) => background)).toMatchObject({ mode: "stream" });
  });

  it("is refreshed though its caller has gone, and with nothing of the caller's", async () => {
    const { fast, ask, model } = setting({ ttlMs: 1_000, staleMs: 5_000 });
    await ask();
    vi.advanceTimersByTime(1_000);
    const caller = new AbortController();
    const tokens: string[] = [];
    await fast.invoke("q", { signal: caller.signal, callbacks: [{ handleLLMNewToken: (token: string) => void tokens.push(token) }] });
    caller.abort();
    await settle();
    expect(model.seen[1]?.signal?.aborted ?? false).toBe(false);
    expect(tokens).toEqual([]);
    expect(await ask()).toBe("answer 2");
  });

  it("keeps the wishes of its call: tenant, tags and ttl", async () => {
    const { fast, perf, facts } = setting({ ttlMs: 1_000, staleMs: 50_000 });
    const wishes = wishing({ tenant: "ann", tags: ["x"], ttlMs: 3_000 });
    await fast.invoke("q", wishes);
    vi.advanceTimersByTime(3_000);
    expect((await fast.invoke("q", wishes)).text).toBe("answer 1");
    await settle();
    vi.advanceTimersByTime(2_999);
    expect((await fast.invoke("q", wishes)).text).toBe("answer 2");
    expect(facts.at(-1)?.cache?.status).toBe("hit");
    expect(await perf.cache.invalidate({ tenant: "ann", tags: ["x"] })).toBe(1);
  });

  it("is left as it is by a refresh that fails, which is not repeated at once", async () => {
    const model = new Numbered();
    const { ask, facts } = setting({ ttlMs: 1_000, staleMs: 50_000 }, model);
    await ask();
    vi.advanceTimersByTime(1_000);
    model.failure = new Error("down");
    for (let time = 0; time < 5; time += 1) {
      expect(await ask()).toBe("answer 1");
      await settle();
    }
    expect(model.seen).toHaveLength(2);
    expect(facts.filter(({ background }) => background)).toMatchObject([{ error: { message: "down" } }]);
    vi.advanceTimersByTime(1_000);
    await ask();
    await settle();
    expect(model.seen).toHaveLength(3);
    model.failure = undefined;
    vi.advanceTimersByTime(1_000);
    expect(await ask()).toBe("answer 1");
    await settle();
    expect(await ask()).toBe("answer 4");
  });

  it("is refreshed no more often than each second by a model whose answers are refused", async () => {
    const model = new ScriptedChat({ whole: (_call, nth) => textResult(`answer ${nth}`, { finish_reason: nth === 1 ? "stop" : "content_filter" }) });
    const { ask } = setting({ ttlMs: 1_000, staleMs: 50_000 }, model);
    await ask();
    vi.advanceTimersByTime(1_000);
    for (let time = 0; time < 5; time += 1) {
      expect(await ask()).toBe("answer 1");
      await settle();
    }
    expect(model.seen).toHaveLength(2);
  });

  it("is a miss for whoever wants no cache, and is replaced by a refresh", async () => {
    const { fast, ask } = setting({ ttlMs: 1_000, staleMs: 5_000 });
    await ask();
    vi.advanceTimersByTime(1_000);
    expect((await fast.invoke("q", wishing({ cache: "bypass" }))).text).toBe("answer 2");
    expect((await fast.invoke("q", wishing({ cache: "refresh" }))).text).toBe("answer 3");
    expect(await ask()).toBe("answer 3");
  });

  it("is gone when its time is up, and with invalidation", async () => {
    const { ask, perf, facts } = setting({ ttlMs: 1_000, staleMs: 5_000 });
    await ask();
    vi.advanceTimersByTime(6_000);
    expect(await ask()).toBe("answer 2");
    vi.advanceTimersByTime(1_000);
    await perf.cache.clear();
    expect(await ask()).toBe("answer 3");
    expect(statuses(facts)).toEqual(["miss", "miss", "miss"]);
  });

  it("counts as a hit and as stale", async () => {
    const { ask, perf } = setting({ ttlMs: 1_000, staleMs: 5_000 });
    await ask();
    vi.advanceTimersByTime(1_000);
    await ask();
    expect(perf.cache.stats().calls.chat).toMatchObject({ hits: { memory: 1 }, stale: 1, misses: 1 });
  });

  it("has a time of its own for each kind", async () => {
    const { ask } = setting({ ttlMs: 60_000, staleMs: 0, kinds: { chat: { ttlMs: 1_000, staleMs: 2_000 } } });
    await ask();
    vi.advanceTimersByTime(2_999);
    expect(await ask()).toBe("answer 1");
    await settle();
    vi.advanceTimersByTime(3_000);
    expect(await ask()).toBe("answer 3");
  });
});
