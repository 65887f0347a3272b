import type { CacheEntry } from "../../src/core/entry.ts";
import { memoryStore, type MemoryStoreOptions } from "../../src/stores/memory.ts";

export type Policy = NonNullable<MemoryStoreOptions["policy"]>;

/** The share of the trace's requests that a memory tier with room for so many entries answers. */
export function hitRate(policy: Policy, maxEntries: number, trace: readonly string[]): number {
  const store = memoryStore({ policy, maxEntries });
  let hits = 0;
  for (const key of trace) {
    if (store.get(key)) hits += 1;
    else store.set(key, entryOf(1_000));
  }
  return hits / trace.length;
}

/** An entry of which nothing but the size matters. */
export function entryOf(sizeBytes: number): CacheEntry {
  return {
    answer: { mode: "invoke", parts: ["an answer"] },
    kind: "chat",
    model: undefined,
    storedAt: 0,
    freshUntil: Infinity,
    staleUntil: Infinity,
    usableUntil: Infinity,
    sizeBytes,
    writer: "",
    asked: 0,
    namespace: "default",
    tenant: undefined,
    tags: undefined,
  };
}
