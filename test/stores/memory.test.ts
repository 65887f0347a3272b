import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { CacheEntry } from "../../src/core/entry.ts";
import { HeapPressure } from "../../src/stores/heap-pressure.ts";
import { memoryStore, type MemoryStore, type MemoryStoreOptions } from "../../src/stores/memory.ts";
import { cacheEntry as entry } from "./fixtures/cache-entry.ts";

describe("memoryStore", () => {
  it("gives back what it holds, and forgets what it is told to", () => {
    const store = memoryStore();
    const held = entry();
    expect(store.set("a", held)).toBe(true);
    expect(store.get("a")).toBe(held);
    expect(store.get("b")).toBeUndefined();
    expect(store.delete("a")).toBe(true);
    expect(store.delete("a")).toBe(false);
    expect(store.get("a")).toBeUndefined();
    store.set("c", entry());
    store.clear();
    expect([...store.entries()]).toEqual([]);
    expect(store.sizeBytes).toBe(0);
  });

  it("makes room by bytes, the least recently used first", () => {
    const store = memoryStore({ maxBytes: 300, maxEntryBytes: 300 });
    for (const key of ["a", "b", "c"]) store.set(key, entry(100));
    store.get("a");
    store.set("d", entry(100));
    expect([...store.entries()].map(([key]) => key).sort()).toEqual(["a", "c", "d"]);
    expect(store.sizeBytes).toBe(300);
    expect(store.evictions).toBe(1);
    store.set("e", entry(250));
    expect([...store.entries()].map(([key]) => key)).toEqual(["e"]);
    expect(store.evictions).toBe(4);
  });

  it("makes room by count", () => {
    const store = memoryStore({ maxEntries: 2 });
    for (const key of ["a", "b", "c"]) store.set(key, entry());
    expect(store.entryCount).toBe(2);
    expect(store.get("a")).toBeUndefined();
  });

  it("takes no entry that is too large, and drops what it would have replaced", () => {
    const store = memoryStore({ maxBytes: 1_600 });
    expect(store.set("a", entry(101))).toBe(false);
    expect(store.set("a", entry(100))).toBe(true);
    expect(store.set("a", entry(101))).toBe(false);
    expect(store.get("a")).toBeUndefined();
    expect(store.evictions).toBe(0);
  });

  it("takes no entry larger than all its room, whatever an entry may take", () => {
    const store = memoryStore({ maxBytes: 100, maxEntryBytes: 1_000 });
    store.set("a", entry(50));
    expect(store.set("b", entry(500))).toBe(false);
    expect(store.get("a")).toBeDefined();
  });

  it("replaces an entry without counting its size twice", () => {
    const store = memoryStore({ maxBytes: 1_000, maxEntryBytes: 1_000 });
    store.set("a", entry(400));
    store.set("a", entry(500));
    expect(store.sizeBytes).toBe(500);
    expect(store.entryCount).toBe(1);
  });

  it("has no bound but the one that is given", () => {
    const store = memoryStore({ maxBytes: Infinity });
    for (let n = 0; n < 100; n += 1) expect(store.set(String(n), entry(10_000_000))).toBe(true);
    expect(store.entryCount).toBe(100);
  });
});

const POLICIES = ["lru", "s3-fifo"] as const;

describe.each(POLICIES)("memoryStore by %s", (policy) => {
  it("gives back what it holds, and forgets what it is told to", () => {
    const store = memoryStore({ policy });
    const [first, second] = [entry(100), entry(70)];
    expect(store.set("a", first)).toBe(true);
    expect(store.get("a")).toBe(first);
    store.set("a", second);
    expect([store.get("a"), store.peek("a"), store.get("b"), store.peek("b")]).toEqual([second, second, undefined, undefined]);
    expect([store.entryCount, store.sizeBytes, [...store.entries()]]).toEqual([1, 70, [["a", second]]]);
    expect([store.delete("a"), store.delete("a"), store.get("a")]).toEqual([true, false, undefined]);
    store.set("c", entry());
    store.clear();
    expect([store.entryCount, store.sizeBytes, [...store.entries()], store.evictions]).toEqual([0, 0, [], 0]);
  });

  it("reads by peek without saving an entry from going", () => {
    const store = memoryStore({ policy, maxEntries: 2 });
    store.set("a", entry());
    store.set("b", entry());
    for (let time = 0; time < 5; time++) store.peek("a");
    store.set("c", entry());
    expect([...store.entries()].map(([key]) => key).sort()).toEqual(["b", "c"]);
  });

  it("always takes an entry that fits, in place of itself too", () => {
    const store = memoryStore({ policy, maxBytes: 100, maxEntryBytes: 100 });
    const grown = entry(100);
    store.set("a", entry(40));
    expect(store.set("a", grown)).toBe(true);
    expect([store.get("a"), store.evictions]).toEqual([grown, 0]);
    store.set("b", entry(60));
    expect(store.set("b", grown)).toBe(true);
    expect([store.get("b"), store.entryCount, store.evictions]).toEqual([grown, 1, 1]);
  });

  it("lets nothing go for an entry that takes the place of one as large", () => {
    for (const bound of [{ maxBytes: 100, maxEntryBytes: 100 }, { maxEntries: 2 }]) {
      const store = memoryStore({ policy, ...bound });
      store.set("a", entry(40));
      store.set("b", entry(60));
      store.set("b", entry(60));
      expect([store.entryCount, store.evictions]).toEqual([2, 0]);
    }
  });

  it("lets go of half of what it holds when the heap runs short, and takes more again when it has room", () => {
    const heap = { usedBytes: 50, limitBytes: 100 };
    let now = 0;
    const store = memoryStore({ policy, maxBytes: 8_000 }, new HeapPressure({ read: () => heap, clock: { now: () => 0, elapsed: () => now } }));
    const later = (usedBytes: number): void => {
      heap.usedBytes = usedBytes;
      now += 1_000;
    };
    for (let number = 0; number < 80; number++) store.set(String(number), entry(100));
    later(90);
    expect(store.set("new", entry(100))).toBe(true);
    expect([store.sizeBytes, store.entryCount, store.evictions]).toEqual([4_000, 40, 41]);
    store.set("another", entry(100));
    expect(store.sizeBytes).toBe(4_000);
    expect(store.peek("another")).toBeDefined();
    later(50);
    for (let number = 0; number < 80; number++) store.set(String(number), entry(100));
    expect(store.sizeBytes).toBe(8_000);
  });

  it("lets go of entries although the one that comes is too large for what room the heap leaves", () => {
    const heap = { usedBytes: 90, limitBytes: 100 };
    let now = 0;
    const store = memoryStore({ policy, maxBytes: 1_000, maxEntryBytes: 1_000 }, new HeapPressure({ read: () => heap, clock: { now: () => 0, elapsed: () => now } }));
    for (const key of ["a", "b", "c", "d"]) store.set(key, entry(200));
    now = 1_000;
    expect(store.set("large", entry(500))).toBe(false);
    expect([store.sizeBytes, store.evictions]).toEqual([400, 2]);
  });

  it("holds what was set and not evicted, and never more than it may", () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 20, maxLength: 120 }), fc.constantFrom(3, 5, Infinity), (steps, maxEntries) => {
        const reference = new Reference(memoryStore({ policy, maxBytes: 100, maxEntries, maxEntryBytes: 60 }), maxEntries);
        for (const { act, key, sizeBytes } of steps) reference[act](key, sizeBytes);
      }),
      { seed: 20261121, numRuns: 500 },
    );
  });
});

const step = fc.record({
  act: fc.constantFrom("set", "set", "set", "get", "get", "delete"),
  key: fc.constantFrom(..."abcdefghij"),
  sizeBytes: fc.integer({ min: 1, max: 65 }),
});

/** A map of what a store was given, which the store is held against after every step. */
class Reference {
  readonly #store: MemoryStore;
  readonly #maxEntries: number;
  #held = new Map<string, CacheEntry>();

  constructor(store: MemoryStore, maxEntries: number) {
    this.#store = store;
    this.#maxEntries = maxEntries;
  }

  set(key: string, sizeBytes: number): void {
    const given = entry(sizeBytes);
    const evictions = this.#store.evictions;
    const isTaken = this.#store.set(key, given);
    expect(isTaken).toBe(sizeBytes <= 60);
    if (isTaken) this.#held.set(key, given);
    else this.#held.delete(key);
    const remaining = new Map([...this.#held].filter(([other]) => this.#store.peek(other)));
    expect(remaining.has(key)).toBe(isTaken);
    expect(this.#store.evictions - evictions).toBe(this.#held.size - remaining.size);
    this.#held = remaining;
    this.#check();
  }

  get(key: string): void {
    expect(this.#store.get(key)).toBe(this.#held.get(key));
    this.#check();
  }

  delete(key: string): void {
    expect(this.#store.delete(key)).toBe(this.#held.delete(key));
    this.#check();
  }

  #check(): void {
    const { sizeBytes, entryCount } = this.#store;
    expect(new Map(this.#store.entries())).toEqual(this.#held);
    expect(sizeBytes).toBe([...this.#held.values()].reduce((sum, held) => sum + held.sizeBytes, 0));
    expect(entryCount).toBe(this.#held.size);
    expect(sizeBytes).toBeLessThanOrEqual(100);
    expect(entryCount).toBeLessThanOrEqual(this.#maxEntries);
  }
}

it.each([[{ policy: "lfu" }, "memoryStore.policy"], [{ maxBytes: 0 }, "memoryStore.maxBytes"], [{ maxEntries: 1.5 }, "memoryStore.maxEntries"], [{ maxEntryBytes: -1 }, "memoryStore.maxEntryBytes"], [{ ttl: 5 }, "memoryStore.ttl"]])(
  "memoryStore refuses %j", (options, named) => {
    expect(() => memoryStore(options as MemoryStoreOptions)).toThrow(named);
  },
);
