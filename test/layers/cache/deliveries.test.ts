import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { createPerf, type CacheOptions, type Perf } from "langchain-perf";
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { systemClock } from "../../../src/core/clock.ts";
import { UnencodableError } from "../../../src/core/wire/errors.ts";
import { FarTier, type FarTierOptions } from "../../../src/layers/cache/far-tier.ts";
import type { PendingWrite } from "../../../src/layers/cache/backlog.ts";
import type { Store } from "../../../src/stores/store.ts";
import { FaultyStore } from "../../support/stores/faulty-store.ts";
import { settle } from "../support/gate.ts";

function tierOver(store: Store, options: Partial<FarTierOptions> = {}): FarTier {
  const tier = new FarTier({ name: "persistent", store, clock: systemClock, timeoutMs: 5_000, waitUntil: () => {}, failed: () => {}, ...options });
  onTestFinished(() => tier.close());
  return tier;
}

function write(text: string): PendingWrite {
  return { labels: [], since: Date.now(), sizeBytes: 1, isInvalid: () => false, seal: () => ({ value: Buffer.from(text), expiresAt: Infinity, labels: [] }) };
}

function over(store: Store, cache: CacheOptions = {}): Perf {
  vi.spyOn(process, "emitWarning").mockReturnValue();
  return createPerf({ coalesce: true, cache: { persistent: store, persistentTimeoutMs: 5_000, warmStart: false, memory: false, ...cache } });
}

const never = (): Promise<never> => new Promise(() => {});

describe("writes that a store never takes", () => {
  it("do not keep others from being written, and are given up and counted after some tries", async () => {
    const faulty = new FaultyStore();
    const open = faulty.open("far", true);
    const tier = tierOver({ ...open, set: (key, entry) => (entry.value.byteLength > 10 ? Promise.reject(new Error("too long")) : open.set(key, entry)) });
    for (let nth = 0; nth < 300; nth += 1) tier.write(`key ${nth}`, write(nth % 50 === 0 ? "x".repeat(20) : "small"));
    await tier.flush();
    expect(faulty.liveKeys).toHaveLength(294);
    for (let round = 0; round < 6; round += 1) {
      tier.write(`later ${round}`, write("small"));
      await tier.flush();
    }
    expect(tier.backlog).toEqual({ pending: 0, dropped: 6 });
    expect(faulty.liveKeys).toHaveLength(300);
  });

  it("leave nothing older in their place", async () => {
    const store = new FaultyStore();
    await using perf = over(store.open("far", true), { maxEntryBytes: 2_000 });
    let answer = "old";
    const work = perf.cached("work", async () => answer);
    await work();
    await perf.flush();
    expect(store.liveKeys).toHaveLength(1);
    answer = "x".repeat(5_000);
    await perf.run(() => work(), { cache: "refresh" });
    await perf.flush();
    expect(store.liveKeys).toEqual([]);
  });

  it("because they cannot leave this process leave nothing older in their place either", async () => {
    const store = new FaultyStore();
    const tier = tierOver(store.open("far", true));
    tier.write("key", write("old"));
    await tier.flush();
    const seal = (): never => {
      throw new UnencodableError("It");
    };
    tier.write("key", { ...write("new"), seal });
    await tier.flush();
    expect([store.liveKeys, tier.backlog.dropped]).toEqual([[], 0]);
  });
});

describe("an end right after an outage", () => {
  it("delivers what waits, though the store has just failed", async () => {
    const store = new FaultyStore();
    store.health = "crashed";
    const tier = tierOver(store.open("far", true));
    for (let nth = 0; nth < 5; nth += 1) {
      tier.write(`key ${nth}`, write("answer"));
      await tier.flush();
    }
    store.heal();
    await tier.flush();
    expect([store.liveKeys.length, tier.backlog.pending]).toEqual([5, 0]);
  });

  it("waits a moment until entries can be sealed", async () => {
    const store = new FaultyStore();
    let isReady = false;
    const tier = tierOver(store.open("far", true), { isReady: () => isReady });
    tier.write("key", write("answer"));
    const flushed = tier.flush();
    setTimeout(() => (isReady = true), 50);
    await flushed;
    expect(store.liveKeys).toEqual(["key"]);
  });

  it("counts what it gives up", async () => {
    const store = new FaultyStore();
    store.health = "crashed";
    const tier = tierOver(store.open("far", true));
    tier.write("key", write("answer"));
    void tier.erase({ groups: [["x"]] });
    await tier.flush();
    await tier.close();
    tier.write("later", write("answer"));
    expect(tier.backlog).toEqual({ pending: 0, dropped: 3 });
  });
});

describe("with work that never ends, a perf is flushed and closed all the same:", () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] }));
  afterEach(() => void vi.useRealTimers());

  /** How long work takes, milliseconds by the timers. */
  async function lasting(work: Promise<unknown>): Promise<number> {
    let [isDone, waitedMs] = [false, 0];
    void work.finally(() => (isDone = true));
    for (await settle(); !isDone && waitedMs < 60_000; waitedMs += 100) {
      await vi.advanceTimersByTimeAsync(100);
      await settle();
    }
    return waitedMs;
  }

  it("a store that hangs", async () => {
    const perf = over({ ...new FaultyStore().open("far", true), invalidate: never, delete: never, clear: never });
    expect(await lasting(perf.cache.invalidate({ tags: ["a"] }))).toBeLessThanOrEqual(2_000);
    expect(await lasting(perf.flush())).toBeLessThanOrEqual(5_100);
    expect(perf.cache.stats().tiers[0]?.pending).toBe(1);
    expect(await lasting(perf.close())).toBeLessThanOrEqual(5_000);
    expect(perf.cache.stats().tiers[0]).toMatchObject({ pending: 0, dropped: 1 });
  });

  it("a model that hangs", async () => {
    const store = new FaultyStore();
    const runs: number[] = [];
    const stale = createPerf({ coalesce: true, cache: { persistent: store.open("far", true), warmStart: false, ttlMs: 1, staleMs: 600_000 } });
    const refreshed = stale.cached("work", (): Promise<unknown> => (runs.push(1) > 1 ? never() : Promise.resolve("answer")));
    await refreshed();
    for (const before = Date.now(); Date.now() <= before + 2; ) await settle();
    await refreshed();
    await settle();
    expect(runs).toHaveLength(2);
    expect(await lasting(stale.close())).toBeLessThanOrEqual(5_000);
  });
});

it("a store that hangs does not keep a process alive that never closes its perf", async () => {
  const program = `
    import { createPerf } from ${JSON.stringify(new URL("../../../src/index.ts", import.meta.url).href)};
    const never = () => new Promise(() => {});
    const store = { name: "mine", shared: true, get: async () => undefined, set: async () => {}, delete: never, invalidate: never, clear: never, async *keys() {}, close: async () => {} };
    const perf = createPerf({ cache: { persistent: store } });
    await perf.cache.invalidate({ tags: ["a"] });
    process.stdout.write("invalidated");`;
  const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "--eval", program], { timeout: 15_000 });
  expect(stdout).toBe("invalidated");
}, 20_000);

describe("a store that the user gave", () => {
  it("stays open", async () => {
    const close = vi.fn(() => Promise.resolve());
    await over({ ...new FaultyStore().open("far", true), close }).close();
    expect(close).not.toHaveBeenCalled();
  });

  it("keeps what belongs to another tenant than the one that is named beside the key", async () => {
    const store = new FaultyStore();
    await using perf = over(store.open("far", true));
    const keys: string[] = [];
    perf.on("call", ({ cache }) => void keys.push(cache!.key!));
    const work = perf.cached("work", async () => 1);
    await perf.run(() => work(), { tenant: "acme" });
    await perf.flush();
    expect(await perf.cache.invalidate({ key: keys[0]!, tenant: "other" })).toBe(0);
    expect(store.liveKeys).toEqual(keys);
    expect(await perf.cache.invalidate({ key: keys[0]!, tenant: "acme" })).toBe(1);
    expect(store.liveKeys).toEqual([]);
  });
});

describe("reads of a far tier", () => {
  it("go so many at a time, and each has its deadline from then", async () => {
    const store = new FaultyStore();
    const open = store.open("far", true);
    let [now, most] = [0, 0];
    const get = async (key: string): Promise<Uint8Array | undefined> => {
      most = Math.max(most, (now += 1));
      await new Promise((resolve) => setTimeout(resolve, 60));
      now -= 1;
      return open.get(key);
    };
    const tier = tierOver({ ...open, get }, { timeoutMs: 250 });
    await open.set("key", { value: Buffer.from("answer"), expiresAt: Infinity, labels: [] });
    const read = await Promise.all(Array.from({ length: 2_500 }, () => tier.get("key")));
    expect([most, read.filter(({ value }) => value).length]).toEqual([256, 2_500]);
  });

  it("that wait fail at once when the store fails", async () => {
    let asked = 0;
    const tier = tierOver({ ...new FaultyStore().open("far", true), get: () => ((asked += 1), asked > 3 ? never() : Promise.reject(new Error("down"))) });
    const reads = Array.from({ length: 1_000 }, () => tier.get("key"));
    const outcomes = await Promise.all(reads.slice(300));
    expect(outcomes.every(({ failed }) => failed)).toBe(true);
    expect(asked).toBeLessThan(300);
  });
});
