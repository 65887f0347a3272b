import { createPerf, withPerf, type CacheOptions, type CallFacts } from "langchain-perf";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { FakeEmbeddings } from "../../support/fakes/embeddings.ts";
import { settle } from "../support/gate.ts";
import { listening } from "../support/listening.ts";
import { Numbered, wishing } from "../support/replies.ts";

beforeEach(() => void vi.useFakeTimers({ toFake: ["Date", "performance"] }));
afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

function setting(cache: CacheOptions) {
  const model = new Numbered();
  const { perf, facts } = listening({ cache, coalesce: true });
  const fast = withPerf(model, perf);
  const ask = async (question = "q"): Promise<string> => (await fast.invoke(question)).text;
  /** How long the answer to the last question is fresh, by the cache's own word. */
  const freshMs = async (): Promise<number> => {
    const { storedAt, freshUntil } = (await perf.cache.get(facts.at(-1)!.cache!.key!))!;
    return freshUntil.getTime() - storedAt.getTime();
  };
  return { perf, facts, fast, model, ask, freshMs };
}

const refreshes = (facts: readonly CallFacts[]): number => facts.filter(({ background }) => background).length;

describe("jitter", () => {
  it("shortens lives at random within its share, and never lengthens one", async () => {
    const { ask, freshMs } = setting({ ttlMs: 100_000, jitter: 0.2 });
    const lives: number[] = [];
    for (let nth = 0; nth < 200; nth += 1) {
      await ask(`q${nth}`);
      lives.push(await freshMs());
    }
    expect(Math.min(...lives)).toBeGreaterThanOrEqual(80_000);
    expect(Math.max(...lives)).toBeLessThanOrEqual(100_000);
    expect(new Set(lives).size).toBeGreaterThan(100);
    expect(Math.max(...lives) - Math.min(...lives)).toBeGreaterThan(10_000);
  });

  it("is none unless asked for, and holds for a call's own ttl", async () => {
    const plain = setting({ ttlMs: 1_000 });
    await plain.ask();
    expect(await plain.freshMs()).toBe(1_000);
    vi.spyOn(Math, "random").mockReturnValue(0.5);
    const { fast, freshMs } = setting({ ttlMs: 1_000, jitter: 0.2 });
    await fast.invoke("q", wishing({ ttlMs: 10_000 }));
    expect(await freshMs()).toBe(9_000);
  });
});

describe("eager refresh", () => {
  it("fetches a newer answer past its share of the life, while the fresh one is given", async () => {
    const { ask, facts } = setting({ ttlMs: 10_000, eagerRefresh: 0.8 });
    await ask();
    vi.advanceTimersByTime(7_999);
    await ask();
    await settle();
    expect(refreshes(facts)).toBe(0);
    vi.advanceTimersByTime(1);
    expect(await ask()).toBe("answer 1");
    expect(facts.at(-1)?.cache?.status).toBe("hit");
    await settle();
    expect(refreshes(facts)).toBe(1);
    expect(await ask()).toBe("answer 2");
    expect(facts.at(-1)?.cache).toMatchObject({ status: "hit", ageMs: 0 });
  });

  it("leaves the fresh answer alone when it fails", async () => {
    const { ask, model, facts } = setting({ ttlMs: 10_000, eagerRefresh: 0.5 });
    await ask();
    vi.advanceTimersByTime(6_000);
    model.failure = new Error("down");
    for (let time = 0; time < 3; time += 1) {
      expect(await ask()).toBe("answer 1");
      await settle();
    }
    expect(refreshes(facts)).toBe(1);
    expect(facts.filter(({ background }) => !background).map(({ cache }) => cache?.status)).toEqual(["miss", "hit", "hit", "hit"]);
  });
});

describe("a hot key", () => {
  it("is refreshed in the last tenth of its life, a cold one is not", async () => {
    const { ask, facts } = setting({ ttlMs: 10_000 });
    await ask("hot");
    await ask("cold");
    for (let time = 0; time < 31; time += 1) await ask("hot");
    vi.advanceTimersByTime(8_999);
    await ask("hot");
    await settle();
    expect(refreshes(facts)).toBe(0);
    vi.advanceTimersByTime(1);
    expect([await ask("hot"), await ask("cold")]).toEqual(["answer 1", "answer 2"]);
    await settle();
    expect(refreshes(facts)).toBe(1);
    expect([await ask("hot"), await ask("cold")]).toEqual(["answer 3", "answer 2"]);
  });

  it("has as many hits as the options say, or is none", async () => {
    for (const [hotKeys, expected] of [[{ minHits: 3 }, 1], [false, 0], [true, 0]] as const) {
      const { ask, facts } = setting({ ttlMs: 10_000, hotKeys });
      for (let time = 0; time < 5; time += 1) await ask();
      vi.advanceTimersByTime(9_500);
      await ask();
      await settle();
      expect(refreshes(facts)).toBe(expected);
    }
  });

  it("is listed with its hits", async () => {
    const { ask, facts, perf } = setting({});
    for (let time = 0; time < 6; time += 1) await ask("often");
    for (let time = 0; time < 3; time += 1) await ask("at times");
    const [often] = facts;
    const [first, second] = perf.cache.stats().hottest;
    expect(first).toEqual({ key: often!.cache!.key, hits: 5 });
    expect(second?.hits).toBe(2);
  });
});

describe("adaptive lives", () => {
  it("are shorter for what is asked once and longer for what is asked often, within the bounds", async () => {
    const { ask, fast, freshMs } = setting({ ttlMs: 10_000, adaptiveTtl: true });
    await ask("once");
    expect(await freshMs()).toBeLessThanOrEqual(10_000);
    expect(await freshMs()).toBeGreaterThanOrEqual(2_500);
    await ask("often");
    for (let time = 0; time < 1_000; time += 1) await ask("often");
    await fast.invoke("often", wishing({ cache: "refresh" }));
    expect(await freshMs()).toBeGreaterThan(20_000);
    expect(await freshMs()).toBeLessThanOrEqual(40_000);
  });

  it("keep to bounds of the user's own", async () => {
    const { ask, fast, freshMs } = setting({ ttlMs: 10_000, adaptiveTtl: { minMs: 9_500, maxMs: 11_000 } });
    for (const question of ["a", "b"]) await ask(question);
    expect(await freshMs()).toBeGreaterThanOrEqual(9_500);
    for (let time = 0; time < 500; time += 1) await ask("b");
    await fast.invoke("b", wishing({ cache: "refresh" }));
    expect(await freshMs()).toBe(11_000);
  });

  it("do not touch a call's own ttl", async () => {
    const { fast, freshMs } = setting({ ttlMs: 10_000, adaptiveTtl: true });
    await fast.invoke("q", wishing({ ttlMs: 77_000 }));
    expect(await freshMs()).toBe(77_000);
  });
});

describe("kinds", () => {
  it("have a ttl of their own, which a call's own beats", async () => {
    const perf = createPerf({ cache: { ttlMs: 60_000, kinds: { embeddings: { ttlMs: 1_000 } } } });
    const model = new Numbered();
    const embeddings = new FakeEmbeddings();
    const [chat, vectors] = [withPerf(model, perf), withPerf(embeddings, perf)];
    await chat.invoke("q");
    await vectors.embedQuery("q");
    await perf.run(() => vectors.embedQuery("long"), { ttlMs: 5_000 });
    vi.advanceTimersByTime(1_000);
    await chat.invoke("q");
    await vectors.embedQuery("q");
    await vectors.embedQuery("long");
    expect([model.seen.length, embeddings.counts.embeddings]).toEqual([1, 3]);
  });
});

it.each<[CacheOptions, string]>([
  [{ jitter: 1.1 }, "cache.jitter"],
  [{ eagerRefresh: -0.1 }, "cache.eagerRefresh"],
  [{ staleMs: -1 }, "cache.staleMs"],
  [{ staleIfErrorMs: Number.NaN }, "cache.staleIfErrorMs"],
  [{ adaptiveTtl: { minMs: 10, maxMs: 5 } }, "cache.adaptiveTtl.maxMs"],
  [{ hotKeys: { minHits: 0 } }, "cache.hotKeys.minHits"],
  [{ kinds: { chat: { staleMs: -1 } } }, "cache.kinds.chat.staleMs"],
])("refuses %j", (cache, option) => {
  expect(() => createPerf({ cache })).toThrow(expect.objectContaining({ name: "OptionError", option }) as Error);
});
