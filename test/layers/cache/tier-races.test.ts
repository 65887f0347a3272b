import { createPerf, type CacheOptions, type Perf } from "langchain-perf";
import { expect, it } from "vitest";
import { FaultyStore } from "../../support/stores/faulty-store.ts";
import { eventually } from "../../support/services.ts";
import { Gate, settle } from "../support/gate.ts";

function over(store: FaultyStore, cache: CacheOptions = {}): Perf {
  return createPerf({ coalesce: true, cache: { persistent: store.open("far", true), persistentTimeoutMs: 5_000, warmStart: false, ...cache } });
}

/** The clock shows another time than before. */
async function later(): Promise<void> {
  const before = Date.now();
  await eventually(() => Date.now() > before, { intervalMs: 1 });
}

it.each([{ memory: false }, { memory: true }])("an answer that several callers share is kept under the tags of them all: %o", async (cache) => {
  const store = new FaultyStore();
  await using perf = over(store, cache);
  const gate = new Gate<string>();
  const work = perf.cached("work", () => gate.promise);
  const asked = ["a", "b", "c"].map((tag) => perf.run(() => work(), { tags: [tag] }));
  await settle();
  gate.open("answer");
  await Promise.all(asked);
  await perf.flush();
  expect(store.liveKeys).toHaveLength(1);
  expect(await perf.cache.invalidate({ tags: ["a"] })).toBe(1);
  expect(store.liveKeys).toEqual([]);
});

it("a refresh is not lost because an old answer was found behind memory while it ran", async () => {
  const store = new FaultyStore();
  await using other = over(store);
  await other.cached("work", async () => "old")();
  await other.flush();
  await later();
  await using perf = over(store);
  const gate = new Gate<string>();
  const work = perf.cached("work", () => gate.promise);
  const refreshed = perf.run(() => work(), { cache: "refresh" });
  expect(await work()).toBe("old");
  gate.open("new");
  await refreshed;
  expect(await work()).toBe("new");
  await perf.flush();
  await using third = over(store);
  expect(await third.cached("work", async () => "newest")()).toBe("new");
});

it("an old answer that was read slowly does not take the place of a refreshed one", async () => {
  const store = new FaultyStore();
  await using other = over(store);
  await other.cached("work", async () => "old")();
  await other.flush();
  await later();
  const slow = store.open("far", true);
  const gate = new Gate();
  await using perf = createPerf({
    coalesce: true,
    cache: { persistent: { ...slow, get: async (key) => (await Promise.all([slow.get(key), gate.promise]))[0] }, persistentTimeoutMs: 5_000, warmStart: false },
  });
  const work = perf.cached("work", async () => "new");
  const reading = work();
  await settle();
  await perf.run(() => work(), { cache: "refresh" });
  gate.open();
  expect(await reading).toBe("old");
  expect(await work()).toBe("new");
});

it("an answer that cannot leave the process fails nobody while it waits to be written", async () => {
  const store = new FaultyStore();
  await using perf = over(store, { memory: false });
  let runs = 0;
  const work = perf.cached("work", async () => ({ run: (runs += 1), gone: new WeakMap() }));
  await work();
  expect((await work()).run).toBe(2);
  await perf.flush();
  expect(store.liveKeys).toEqual([]);
});

it("what was written after an invalidation is found while a store that does not take the erasure has neither", async () => {
  const store = new FaultyStore();
  await using perf = over(store, { memory: false });
  let runs = 0;
  const work = perf.cached("work", async () => (runs += 1), { tags: ["t"] });
  await work();
  await perf.flush();
  store.health = "crashed";
  await perf.cache.invalidate({ tags: ["t"] });
  expect([await work(), await work()]).toEqual([2, 2]);
  store.heal();
  await eventually(async () => (await perf.flush(), perf.cache.stats().tiers[0]?.pending === 0));
  expect(await work()).toBe(2);
});

it("what a store could not be told to erase is not given, though it can be read", async () => {
  const store = new FaultyStore();
  const full = { ...store.open("far", true), invalidate: () => Promise.reject(new Error("full")) };
  await using perf = createPerf({ coalesce: true, cache: { persistent: full, persistentTimeoutMs: 5_000, memory: false } });
  let runs = 0;
  const work = perf.cached("work", async () => (runs += 1), { tags: ["t"] });
  await work();
  await perf.flush();
  await perf.cache.invalidate({ tags: ["t"] });
  expect(store.liveKeys).toHaveLength(1);
  expect(await work()).toBe(2);
});

it("an answer that comes late does not take the place of one that was asked for later", async () => {
  await using perf = createPerf({ cache: true, coalesce: true });
  const gate = new Gate();
  let runs = 0;
  const work = perf.cached("work", async () => {
    const run = (runs += 1);
    if (run === 1) await gate.promise;
    return run;
  });
  const first = work();
  await perf.run(() => work(), { cache: "refresh" });
  gate.open();
  expect(await first).toBe(1);
  expect(await work()).toBe(2);
});
