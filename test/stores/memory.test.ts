import { describe, expect, it } from "vitest";
import { memoryStore, type MemoryEntry } from "../../src/stores/memory.ts";

const entry = (sizeBytes = 100, more: Partial<MemoryEntry> = {}): MemoryEntry => ({
  answer: { mode: "invoke", parts: ["a"] }, kind: "chat", storedAt: 0, expiresAt: 1, sizeBytes, writer: "w", asked: 1, namespace: "default", tenant: undefined, tags: undefined, ...more,
});

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
