import { isHit, type CallFacts, type KindName, type TierName } from "../../core/facts.ts";

/** What the cache did for the calls of one kind since the start. */
export interface KindCounts {
  /** Answers by the tier that had them, old ones included. */
  hits: Record<TierName, number>;
  /** Of the hits, those that were past their time. */
  stale: number;
  misses: number;
  /** Calls that went past the cache. */
  bypassed: number;
}

/** Counts by kind and tier. A call of several items counts by its items. */
export class CacheCounts {
  readonly #kinds = new Map<KindName, KindCounts>();

  add({ kind, cache }: CallFacts): void {
    if (!cache || cache.items) return;
    let counts = this.#kinds.get(kind);
    if (!counts) this.#kinds.set(kind, (counts = { hits: { memory: 0, redis: 0, persistent: 0 }, stale: 0, misses: 0, bypassed: 0 }));
    if (cache.status === "bypass") counts.bypassed += 1;
    else if (!isHit(cache)) counts.misses += 1;
    else counts.hits[cache.tier ?? "memory"] += 1;
    if (cache.status === "stale") counts.stale += 1;
  }

  /** Share of a kind's calls that the cache answered, 0 to 1. */
  hitRate(kind: KindName): number {
    const counts = this.#kinds.get(kind);
    if (!counts) return 0;
    const hits = counts.hits.memory + counts.hits.redis + counts.hits.persistent;
    return hits === 0 ? 0 : hits / (hits + counts.misses);
  }

  snapshot(): Partial<Record<KindName, KindCounts>> {
    return Object.fromEntries([...this.#kinds].map(([kind, counts]) => [kind, { ...counts, hits: { ...counts.hits } }]));
  }
}
