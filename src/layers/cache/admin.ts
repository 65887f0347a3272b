import type { CacheEntry } from "../../core/entry.ts";
import { OptionError } from "../../core/errors.ts";
import type { KindName, TierName } from "../../core/facts.ts";
import { resolveWith } from "../../core/options.ts";
import type { CacheCounts, KindCounts } from "./counts.ts";
import type { HotKeys } from "./hot-keys.ts";
import { invalidationOf, type InvalidateBy } from "./labels.ts";
import type { QuestionDifference, QuestionField, QuestionLog } from "./questions.ts";
import type { Sealer } from "./seal.ts";
import type { Tiers } from "./tiers.ts";
import { warm, type WarmOptions, type WarmReport, type WarmTarget } from "./warm.ts";

/** State of a tier outside this process. */
export interface FarTierStats {
  tier: TierName;
  /** What it is, e.g. `sqlite`. */
  store: string;
  /** `open`: the store fails, and reads go past it until a probe succeeds. */
  circuit: "closed" | "open" | "half-open";
  /** Writes and invalidations on their way, or waiting for the end of an outage. */
  pending: number;
  /** Writes that were given up, because an outage was too long or the store failed at them again and again. */
  dropped: number;
}

/** State of the cache. */
export interface CacheStats {
  /** Entries in memory. */
  entries: number;
  /** Bytes that these take, estimated. */
  sizeBytes: number;
  /** Entries that made room for others in memory. */
  evictions: number;
  /** Entries in memory by kind of call. */
  kinds: Record<string, number>;
  /** What became of the calls since the start, by kind; hits by tier. */
  calls: Partial<Record<KindName, KindCounts>>;
  /** The tiers behind memory, nearest first. */
  tiers: FarTierStats[];
  /** Keys that were asked for most of late, and about how often. */
  hottest: { key: string; hits: number }[];
}

/** What one tier holds. */
export interface TierContents {
  tier: TierName;
  store: string;
  /** Absent when the tier cannot be asked now or cannot count. */
  entries?: number;
  sizeBytes?: number;
}

/** What is known of one entry. */
export interface EntryDescription {
  key: string;
  tier: TierName;
  kind: KindName;
  model?: string;
  namespace: string;
  tenant?: string;
  tags?: readonly string[];
  storedAt: Date;
  freshUntil: Date;
  /** When it is of no use to anybody any more. */
  expiresAt: Date;
  sizeBytes: number;
  /** The answer: a message, a text, documents, vectors. */
  answer: unknown;
}

/** What is known of one key. */
export interface CacheExplanation {
  key: string;
  /** The nearest tier that has the answer now. */
  tier?: TierName;
  ageMs?: number;
  /** Milliseconds until the entry is no longer fresh. */
  freshForMs?: number;
  sizeBytes?: number;
  /** What the key was made of, if it was asked lately in this process. */
  question?: QuestionField[];
  /** The question asked lately that is most like this one, and where the two differ. */
  nearest?: QuestionDifference;
}

export interface PerfCacheParts {
  readonly tiers: Tiers;
  readonly questions: QuestionLog;
  readonly counts: CacheCounts;
  readonly hotKeys: HotKeys;
  readonly sealer: Sealer;
  whole(entry: CacheEntry): unknown;
  run<T>(work: () => T): T;
}

const HOTTEST = 10;

/** The cache as its owner looks after it: `perf.cache`. */
export class PerfCache {
  readonly #parts: PerfCacheParts | undefined;

  /** @param parts absent where there is no cache: everything is empty then, and what changes something is refused */
  constructor(parts?: PerfCacheParts) {
    this.#parts = parts;
  }

  stats(): CacheStats {
    const kinds: Record<string, number> = {};
    if (!this.#parts) return { entries: 0, sizeBytes: 0, evictions: 0, kinds, calls: {}, tiers: [], hottest: [] };
    const { tiers, counts, hotKeys } = this.#parts;
    for (const [, entry] of tiers.memory?.entries() ?? []) kinds[entry.kind] = (kinds[entry.kind] ?? 0) + 1;
    const { entryCount = 0, sizeBytes = 0, evictions = 0 } = tiers.memory ?? {};
    return {
      entries: entryCount,
      sizeBytes,
      evictions,
      kinds,
      calls: counts.snapshot(),
      tiers: tiers.far.map(({ name, store, circuit, backlog }) => ({ tier: name, store: store.name, circuit, ...backlog })),
      hottest: hotKeys.top(HOTTEST).map(([key, hits]) => ({ key, hits })),
    };
  }

  /** How much each tier holds; the far ones are asked. */
  async contents(): Promise<TierContents[]> {
    const { tiers } = this.#open();
    const { memory } = tiers;
    const near = memory ? [{ tier: "memory" as const, store: "memory", entries: memory.entryCount, sizeBytes: memory.sizeBytes }] : [];
    const far = tiers.far.map(async (tier) => ({ tier: tier.name, store: tier.store.name, ...(await tier.upkeep("stats", () => tier.store.stats?.())) }));
    return [...near, ...(await Promise.all(far))];
  }

  /** Keys of all entries, of memory first; a key may come once from each tier. */
  async *keys(): AsyncGenerator<{ key: string; tier: TierName; sizeBytes?: number }> {
    const { tiers } = this.#open();
    for (const [key, { sizeBytes }] of tiers.memory?.entries() ?? []) yield { key, tier: "memory", sizeBytes };
    for (const tier of tiers.far) for await (const stored of tier.store.keys()) yield { ...stored, tier: tier.name };
  }

  /** The entry under a key in the nearest tier that has it. */
  async get(key: string): Promise<EntryDescription | undefined> {
    const { tiers, whole } = this.#open();
    const found = await tiers.locate(key);
    if (!found) return undefined;
    const { kind, model, namespace, tenant, tags, storedAt, freshUntil, usableUntil, sizeBytes } = found.entry;
    return {
      key,
      tier: found.tier,
      kind,
      ...(model === undefined ? {} : { model }),
      namespace,
      ...(tenant === undefined ? {} : { tenant }),
      ...(tags === undefined ? {} : { tags }),
      storedAt: new Date(storedAt),
      freshUntil: new Date(freshUntil),
      expiresAt: new Date(usableUntil),
      sizeBytes,
      answer: whole(found.entry),
    };
  }

  /** What a key (see `CallFacts.cache.key`) is made of, where its answer is, and how the nearest other question differs. */
  async explain(key: string): Promise<CacheExplanation> {
    if (!this.#parts) return { key };
    const { tiers, questions } = this.#parts;
    const found = await tiers.locate(key);
    const question = questions.fields(key);
    const nearest = questions.nearest(key);
    const now = Date.now();
    return {
      key,
      ...(found ? { tier: found.tier, ageMs: now - found.entry.storedAt, freshForMs: Math.max(0, found.entry.freshUntil - now), sizeBytes: found.entry.sizeBytes } : {}),
      ...(question ? { question } : {}),
      ...(nearest ? { nearest } : {}),
    };
  }

  /**
   * Forgets entries, in every tier and every process that shares one. Answers that were asked for before and come in afterwards are
   * not kept. A tier that cannot be reached is told as soon as it can.
   * @returns how many entries there were, in the tier that had most of them
   * @throws OptionError when no condition is given: to forget everything, `clear()`
   */
  async invalidate(by: InvalidateBy): Promise<number> {
    const wanted = resolveWith("invalidate", by, (read) => ({
      tags: read.strings("tags"),
      tenant: read.string("tenant", undefined),
      namespace: read.string("namespace", undefined),
      key: read.string("key", undefined),
    }));
    if (Object.values(wanted).every((condition) => condition === undefined)) {
      throw new OptionError("invalidate", "at least one of tags, tenant, namespace, key; to forget everything call clear()", by);
    }
    if (!this.#parts) return 0;
    return this.#parts.tiers.invalidate(invalidationOf(wanted, this.#parts.sealer));
  }

  /** Forgets everything, in every tier and every process that shares one. */
  async clear(): Promise<void> {
    await this.#parts?.tiers.invalidate({ all: true });
    this.#parts?.questions.forget(() => true);
  }

  /**
   * Asks a target a list of questions, so that their answers are in the cache before anybody needs them.
   * @param target a Runnable, wrapped or not
   * @throws OptionError
   */
  async warm<I>(target: WarmTarget<I>, inputs: Iterable<I> | AsyncIterable<I>, options: WarmOptions = {}): Promise<WarmReport> {
    const { run } = this.#open();
    if (typeof target?.invoke !== "function") throw new OptionError("warm.target", "a Runnable", target);
    return warm((input: I) => run(() => target.invoke(input)), inputs, options);
  }

  #open(): PerfCacheParts {
    if (!this.#parts) throw new OptionError("cache", "true or an object of options, to use the cache", undefined);
    return this.#parts;
  }
}

export type { InvalidateBy } from "./labels.ts";
