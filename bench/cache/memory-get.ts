import { createHash } from "node:crypto";
import { LRUCache } from "lru-cache";
import type { CacheEntry } from "../../src/core/entry.ts";
import { memoryStore, type MemoryStore } from "../../src/stores/memory.ts";
import type { Measure } from "../harness/bench.ts";
import { measured, times } from "../harness/measured.ts";
import { paired, type PairedResult, type Side } from "../harness/paired.ts";
import { shown } from "../harness/report.ts";
import { entryOf, type Policy } from "./replay.ts";

const ENTRIES = 10_000;

export const measure: Measure = async () => {
  const results = { lru: await gets("lru"), "s3-fifo": await gets("s3-fifo") };
  const worse = results["s3-fifo"].ratio.median > results.lru.ratio.median ? "s3-fifo" : "lru";
  const other = worse === "lru" ? "s3-fifo" : "lru";
  const note = `${worse}: ${times(results[worse], "lru-cache", "get")}; ${other} ${shown(results[other].ratio.median)} ×`;
  return { memory_get_vs_lru: measured(results[worse].ratio, note) };
};

/** Both sides hold the same entries, and are asked for them in the same order. */
async function gets(policy: Policy): Promise<PairedResult> {
  const store = filled(policy);
  const held = [...store.entries()];
  const raw = new LRUCache<string, CacheEntry>({ maxSize: 2 ** 30, sizeCalculation: ({ sizeBytes }) => sizeBytes });
  for (const [key, entry] of held) raw.set(key, entry);
  // The order of the hashes has nothing to do with the order in which they came in.
  const keys = held.map(([key]) => key).sort();
  return paired({ bare: asked(raw, keys), wrapped: asked(store, keys), calls: 20_000, rounds: 101, warmUpRounds: 20 });
}

/** A tier that has been full for a while: entries that were asked for again, and after them as many that were not. */
function filled(policy: Policy): MemoryStore {
  const store = memoryStore({ policy, maxEntries: ENTRIES });
  for (let at = 0; at < 2 * ENTRIES; at++) {
    const key = createHash("sha256").update(String(at)).digest("hex");
    store.set(key, entryOf(1_000));
    if (at < ENTRIES) for (let reuse = 0; reuse < 3; reuse++) store.get(key);
  }
  return store;
}

function asked(cache: { get(key: string): CacheEntry | undefined }, keys: readonly string[]): Side {
  return {
    async run(calls) {
      for (let call = 0; call < calls; call++) if (!cache.get(keys[call % keys.length] as string)) throw new Error("This was no hit.");
    },
  };
}
