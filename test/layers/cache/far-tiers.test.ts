import { createPerf, withPerf, type CacheOptions, type Perf, type StoreErrorEvent } from "langchain-perf";
import { afterAll, afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { eventually } from "../../support/services.ts";
import { end, endRedis, farTier, life } from "../support/far.ts";
import { settle } from "../support/gate.ts";
import { Numbered, wishing } from "../support/replies.ts";
import { ScriptedChat, textResult } from "../support/scripted-chat.ts";
import { temporarySqlite } from "../support/temporary.ts";

afterAll(endRedis);

const tiers = ["persistent", "redis"] as const;
const asking = (perf: Perf, model = new Numbered()) => async (question: string): Promise<string> => (await withPerf(model, perf).invoke(question)).text;

describe.each(tiers)("with no memory, the %s tier", (tier) => {
  it("answers each time", async () => {
    const one = life({ ...(await farTier(tier)), memory: false });
    const ask = asking(one.perf);
    expect([await ask("q"), await ask("q"), await ask("q")]).toEqual(["answer 1", "answer 1", "answer 1"]);
    expect(one.found()).toEqual(["miss", `hit ${tier}`, `hit ${tier}`]);
    expect(one.perf.cache.stats()).toMatchObject({ entries: 0, calls: { chat: { hits: { memory: 0, [tier]: 2 }, misses: 1 } } });
  });

  it("has a stale answer refreshed, and does not ask a failing model at every call", async () => {
    const one = life({ ...(await farTier(tier)), memory: false, ttlMs: 60_000, staleMs: 600_000 });
    const model = new Numbered();
    const ask = asking(one.perf, model);
    vi.useFakeTimers({ toFake: ["Date"] });
    try {
      vi.setSystemTime(Date.now() - 100_000);
      await ask("q");
      await one.perf.flush();
    } finally {
      vi.useRealTimers();
    }
    model.failure = new Error("down");
    for (let time = 0; time < 3; time += 1) {
      expect(await ask("q")).toBe("answer 1");
      await settle();
      await one.perf.flush();
    }
    expect(model.seen).toHaveLength(2);
    model.failure = undefined;
    await eventually(async () => (await ask("q")) !== "answer 1");
    expect(one.found().at(-1)).toBe(`hit ${tier}`);
  });

  it("answers when the model fails, until the entry's last day", async () => {
    const one = life({ ...(await farTier(tier)), memory: false, ttlMs: 60_000, staleIfErrorMs: 600_000 });
    const model = new Numbered();
    const ask = asking(one.perf, model);
    vi.useFakeTimers({ toFake: ["Date"] });
    try {
      vi.setSystemTime(Date.now() - 100_000);
      await ask("q");
      await one.perf.flush();
    } finally {
      vi.useRealTimers();
    }
    model.failure = new Error("down");
    expect(await ask("q")).toBe("answer 1");
    expect((await Array.fromAsync(await withPerf(model, one.perf).stream("q"))).map(({ text }) => text)).toEqual(["answer 1"]);
    expect(one.found().slice(1)).toEqual([`stale ${tier}`, `stale ${tier}`]);
    model.failure = undefined;
    expect(await ask("q")).toBe("answer 4");
  });

  it("is looked in before \"only\" gives up", async () => {
    const cache = await farTier(tier);
    const before = life(cache);
    await asking(before.perf)("q");
    await end(before);
    const after = life({ ...cache, memory: false });
    const fast = withPerf(new Numbered(), after.perf);
    expect((await fast.invoke("q", wishing({ cache: "only" }))).text).toBe("answer 1");
    await expect(fast.invoke("other", wishing({ cache: "only" }))).rejects.toMatchObject({ code: "PERF_CACHE_MISS" });
  });
});

it("a call that asks the cache only has no say in what others get who ask at the same time", async () => {
  const one = life(await farTier("persistent"));
  const model = new Numbered();
  const fast = withPerf(model, one.perf);
  for (const question of ["whole", "streamed"]) {
    const ask = (wish: "only" | "use") => (question === "whole" ? fast.invoke(question, wishing({ cache: wish })) : Array.fromAsync((async function* () { yield* await fast.stream(question, wishing({ cache: wish })); })()));
    const outcomes = await Promise.allSettled([ask("only"), ask("use"), ask("only"), ask("use")]);
    expect(outcomes.map(({ status }) => status)).toEqual(["rejected", "fulfilled", "rejected", "fulfilled"]);
  }
  expect(model.seen).toHaveLength(2);
});

describe("two tiers behind memory", () => {
  it("are asked the nearest first, and what is found behind is copied before", async () => {
    const { address } = temporarySqlite();
    const redis = await farTier("redis");
    const model = new Numbered();
    const both: CacheOptions = { ...redis, persistent: address };
    const first = life({ persistent: address, namespace: redis.namespace!, warmStart: false });
    await asking(first.perf, model)("q");
    await end(first);
    for (const tier of ["persistent", "redis"]) {
      const next = life(both);
      expect(await asking(next.perf, model)("q")).toBe("answer 1");
      expect(next.found()).toEqual([`hit ${tier}`]);
      await end(next);
    }
    expect(model.seen).toHaveLength(1);
  });

  it("forget a tenant together, and count what the fullest had", async () => {
    const { address } = temporarySqlite();
    const both: CacheOptions = { ...(await farTier("redis")), persistent: address };
    const one = life(both);
    const fast = withPerf(new Numbered(), one.perf);
    for (const question of ["a", "b", "c"]) for (const tenant of ["ann", "bob"]) await fast.invoke(question, wishing({ tenant }));
    await one.perf.flush();
    const keys = one.facts.filter(({ tenant }) => tenant === "ann").map(({ cache }) => cache!.key!);
    expect(await one.perf.cache.invalidate({ tenant: "ann" })).toBe(3);
    await end(one);
    const next = life(both);
    for (const key of keys) expect(await next.perf.cache.get(key)).toBeUndefined();
    for (const { key } of await Array.fromAsync(next.perf.cache.keys())) expect(keys).not.toContain(key);
    const again = withPerf(new Numbered(), next.perf);
    expect((await again.invoke("a", wishing({ tenant: "bob" }))).text).toBe("answer 2");
    expect((await again.invoke("a", wishing({ tenant: "ann" }))).text).toBe("answer 1");
    expect(next.found()).toEqual(["hit redis", "miss"]);
  });
});

describe.each(tiers)("an entry of the %s tier", (tier) => {
  const texts = (): ScriptedChat => new ScriptedChat({ whole: ({ messages }) => textResult("x".repeat(Number(messages[0]!.text))) });

  it("that is larger than allowed stays in this process", async () => {
    const cache = { ...(await farTier(tier)), maxEntryBytes: 2_000 };
    const model = texts();
    const [before, after] = [life(cache), life(cache)];
    for (const size of ["10", "5000", "5000"]) await withPerf(model, before.perf).invoke(size);
    expect(before.found()).toEqual(["miss", "miss", "hit memory"]);
    await end(before);
    for (const size of ["10", "5000"]) await withPerf(model, after.perf).invoke(size);
    expect(after.found()).toEqual([`hit ${tier}`, "miss"]);
  });

  it("takes less room when it is compressed, and can be read with and without the option", async () => {
    const cache = await farTier(tier);
    const model = texts();
    const sizes: number[] = [];
    for (const [compressAboveBytes, question] of [[undefined, "50000"], [1_000, "50001"]] as const) {
      const one = life({ ...cache, memory: false, ...(compressAboveBytes ? { compressAboveBytes } : {}) });
      await withPerf(model, one.perf).invoke(question);
      await one.perf.flush();
      const key = one.facts[0]!.cache!.key;
      for await (const stored of one.perf.cache.keys()) if (stored.key === key) sizes.push(stored.sizeBytes ?? Number.NaN);
      await end(one);
    }
    if (tier === "persistent") expect(sizes[1]!).toBeLessThan(sizes[0]! / 10);
    const plain = life(cache);
    for (const question of ["50000", "50001"]) expect((await withPerf(model, plain.perf).invoke(question)).text).toHaveLength(Number(question));
    expect(plain.found()).toEqual([`hit ${tier}`, `hit ${tier}`]);
  });

  it("can be looked at: what, whose, of which model, until when", async () => {
    const cache = await farTier(tier);
    const before = life(cache);
    await withPerf(new Numbered(), before.perf).invoke("q", wishing({ tenant: "carl", tags: ["x"], ttlMs: 60_000 }));
    await end(before);
    const after = life(cache);
    const { key } = before.facts[0]!.cache!;
    const entry = (await after.perf.cache.get(key!))!;
    expect(entry).toMatchObject({ key, tier, kind: "chat", model: "scripted-1", tenant: "carl", tags: ["x"], answer: { content: "answer 1" } });
    expect(entry.freshUntil.getTime() - entry.storedAt.getTime()).toBe(60_000);
    expect(await after.perf.cache.explain(key!)).toMatchObject({ key, tier });
  });
});

it("what is looked at in memory is a copy", async () => {
  const one = life({ memory: true });
  const fast = withPerf(new Numbered(), one.perf);
  await fast.invoke("q");
  const lookup = one.perf.cached("lookup", async () => ({ list: [1] }));
  await lookup();
  for (const { cache } of one.facts) {
    const { answer } = (await one.perf.cache.get(cache!.key!))!;
    Object.assign(answer as object, { content: "changed", list: [] });
  }
  expect((await fast.invoke("q")).text).toBe("answer 1");
  expect(await lookup()).toEqual({ list: [1] });
});

describe.each(tiers)("what the %s tier cannot hold", (tier) => {
  it("stays in this process, and keeps nothing else from being written", async () => {
    const cache = await farTier(tier);
    const warned = vi.spyOn(process, "emitWarning").mockImplementation(() => {});
    const errors: StoreErrorEvent[] = [];
    const before = life(cache);
    before.perf.on("store-error", (event) => void errors.push(event));
    const session = before.perf.cached("session", async (n: number) => ({ n, session: /only here/ as RegExp | undefined }));
    const plain = before.perf.cached("plain", async (n: number) => ({ n }));
    for (let n = 0; n < 20; n += 1) await session(n);
    for (let n = 0; n < 20; n += 1) await plain(n);
    expect((await session(3)).session).toEqual(/only here/);
    await before.perf.flush();
    expect(before.perf.cache.stats().tiers).toMatchObject([{ circuit: "closed", pending: 0 }]);
    await end(before);
    expect(errors.map(({ operation }) => operation)).toEqual(Array.from({ length: 20 }, () => "encode"));
    const after = life(cache);
    const again = after.perf.cached("session", async (n: number) => ({ n: -n, session: undefined }));
    const same = after.perf.cached("plain", async (n: number) => ({ n: -n }));
    expect(await again(7)).toEqual({ n: -7, session: undefined });
    for (let n = 0; n < 20; n += 1) expect(await same(n)).toEqual({ n });
    expect(after.found()).toEqual(["miss", ...Array.from({ length: 20 }, () => `hit ${tier}`)]);
    warned.mockRestore();
  });
});

describe("the hottest entries", () => {
  beforeEach(() => void vi.restoreAllMocks());
  afterEach(() => void vi.useRealTimers());

  it.each(tiers)("of the %s tier come to memory at the start, without a call, and not more than asked for", async (tier) => {
    // Redis ranks by hits of all namespaces: these are many.
    const cache = await farTier(tier);
    const model = new Numbered();
    const before = life(cache);
    const ask = asking(before.perf, model);
    for (let nth = 0; nth < 6; nth += 1) for (let time = 0; time <= nth * 100; time += 1) await ask(`q${nth}`);
    const keyOf = (question: number): string => before.facts.filter(({ cache: at }) => at?.status === "miss")[question]!.cache!.key!;
    await end(before);
    const after = life({ ...cache, warmStart: { maxEntries: 2 } });
    await eventually(() => after.perf.cache.stats().entries === 2);
    await after.perf.flush();
    expect(after.perf.cache.stats().entries).toBe(2);
    expect(new Set((await Array.fromAsync(after.perf.cache.keys())).filter(({ tier: at }) => at === "memory").map(({ key }) => key))).toEqual(new Set([keyOf(5), keyOf(4)]));
    expect([await asking(after.perf, model)("q5"), await asking(after.perf, model)("q0")]).toEqual(["answer 6", "answer 1"]);
    expect(after.found()).toEqual(["hit memory", `hit ${tier}`]);
  });
});

describe("a perf that ends", () => {
  it.each(tiers)("has written all that was kept after flush, and leaves the %s tier full after close", async (tier) => {
    const cache = await farTier(tier);
    const [one, other] = [life(cache), life(cache)];
    const questions = Array.from({ length: 200 }, (_, nth) => `q${nth}`);
    await withPerf(new Numbered(), one.perf).batch(questions);
    await one.perf.flush();
    expect(one.perf.cache.stats().tiers).toMatchObject([{ tier, circuit: "closed", pending: 0, dropped: 0 }]);
    await withPerf(new Numbered(), other.perf).batch(questions);
    expect(other.found()).toEqual(questions.map(() => `hit ${tier}`));
    await one.perf.close();
    await one.perf.close();
    expect(await asking(one.perf)("q0")).toBe("answer 1");
    expect(one.facts).toHaveLength(200);
  });

  it("reports what it could not write, and fails no call for it", async () => {
    const errors: StoreErrorEvent[] = [];
    const warned = vi.spyOn(process, "emitWarning").mockImplementation(() => {});
    const perf = createPerf({ cache: { persistent: "sqlite:/dev/null/none.db" } });
    perf.on("store-error", (event) => void errors.push(event));
    const ask = asking(perf);
    expect([await ask("q"), await ask("q"), await ask("other")]).toEqual(["answer 1", "answer 1", "answer 2"]);
    await perf.flush();
    await perf.close();
    expect(errors.map(({ tier }) => tier)).toContain("persistent");
    warned.mockRestore();
  });
});
