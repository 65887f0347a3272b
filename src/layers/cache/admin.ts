import { OptionError } from "../../core/errors.ts";
import { resolveWith } from "../../core/options.ts";
import type { MemoryEntry, MemoryStore } from "../../stores/memory.ts";
import { Invalidations } from "./invalidations.ts";
import type { QuestionDifference, QuestionField, QuestionLog } from "./questions.ts";

/** State of the cache. */
export interface CacheStats {
  entries: number;
  /** Bytes that the entries take, estimated. */
  sizeBytes: number;
  /** Entries that made room for others. */
  evictions: number;
  /** Entries by kind of call. */
  kinds: Record<string, number>;
}

/** What is known of one key. */
export interface CacheExplanation {
  key: string;
  /** Where the answer is kept now. */
  tier?: "memory";
  ageMs?: number;
  /** Milliseconds until the entry is no longer fresh. */
  freshForMs?: number;
  sizeBytes?: number;
  /** What the key was made of, if it was asked lately in this process. */
  question?: QuestionField[];
  /** The question asked lately that is most like this one, and where the two differ. */
  nearest?: QuestionDifference;
}

/** Which entries to forget; those that meet every given condition. */
export interface InvalidateBy {
  /** Entries that carry any of these tags. */
  tags?: string[];
  tenant?: string;
  namespace?: string;
  key?: string;
}

/** The cache as its owner looks after it: `perf.cache`. */
export class PerfCache {
  readonly #store: MemoryStore | undefined;
  /** @internal */
  readonly invalidations = new Invalidations();
  /** @internal */
  readonly questions: QuestionLog;

  constructor(store: MemoryStore | undefined, questions: QuestionLog) {
    this.#store = store;
    this.questions = questions;
  }

  /** @internal */
  get store(): MemoryStore {
    if (!this.#store) throw new OptionError("cache", "true or an object of options, to use the cache", undefined);
    return this.#store;
  }

  stats(): CacheStats {
    const kinds: Record<string, number> = {};
    if (!this.#store) return { entries: 0, sizeBytes: 0, evictions: 0, kinds };
    for (const [, entry] of this.#store.entries()) kinds[entry.kind] = (kinds[entry.kind] ?? 0) + 1;
    const { entryCount, sizeBytes, evictions } = this.#store;
    return { entries: entryCount, sizeBytes, evictions, kinds };
  }

  /** What a key (see `CallFacts.cache.key`) is made of, where its answer is, and how the nearest other question differs. */
  async explain(key: string): Promise<CacheExplanation> {
    const entry = this.#find(key);
    const question = this.questions.fields(key);
    const nearest = this.questions.nearest(key);
    const now = Date.now();
    return {
      key,
      ...(entry ? { tier: "memory" as const, ageMs: now - entry.storedAt, freshForMs: Math.max(0, entry.expiresAt - now), sizeBytes: entry.sizeBytes } : {}),
      ...(question ? { question } : {}),
      ...(nearest ? { nearest } : {}),
    };
  }

  /** Forgets entries. @returns how many @throws OptionError when no condition is given: to forget everything, `clear()` */
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
    const fits = (key: string, entry: MemoryEntry): boolean =>
      (wanted.key === undefined || wanted.key === key) &&
      (wanted.tenant === undefined || wanted.tenant === entry.tenant) &&
      (wanted.namespace === undefined || wanted.namespace === entry.namespace) &&
      (wanted.tags === undefined || wanted.tags.some((tag) => entry.tags?.includes(tag)));
    this.invalidations.add(fits);
    const doomed = [...(this.#store?.entries() ?? [])].filter(([key, entry]) => fits(key, entry));
    for (const [key] of doomed) this.#store?.delete(key);
    return doomed.length;
  }

  /** Forgets everything. */
  async clear(): Promise<void> {
    this.invalidations.add(() => true);
    this.#store?.clear();
    this.questions.clear();
  }

  #find(key: string): MemoryEntry | undefined {
    for (const [present, entry] of this.#store?.entries() ?? []) if (present === key) return entry;
    return undefined;
  }
}
