import type { CallControl } from "../../core/control.ts";
import { OptionError } from "../../core/errors.ts";
import type { KindName } from "../../core/facts.ts";
import { resolveWith, type OptionReader } from "../../core/options.ts";
import type { BaseStoreLike, KeyvLike } from "../../stores/key-value.ts";
import type { MemoryStoreOptions } from "../../stores/memory.ts";
import type { RedisLike, RedisOptions, RedisSource } from "../../stores/redis.ts";
import type { Store } from "../../stores/store.ts";
import type { SealOptions } from "./seal.ts";

/** A call as the cache's callbacks see it. */
export interface CacheQuestion {
  kind: KindName;
  mode: "invoke" | "stream";
  /** Name of the model, tool or retriever. */
  name?: string;
  /** Messages, prompts, texts, a query or arguments. */
  input: unknown;
  tenant?: string;
  tags?: readonly string[];
}

/** How calls of one kind are cached. */
export interface KindCache {
  /**
   * A stable name for what cannot show its own identity (a retriever, a tool, a custom model).
   * Without one an entry counts for that very object alone. A string says that all objects of one class that this perf sees are one and
   * the same; where there are several, e.g. two retrievers, a function names each (`undefined` = it counts by itself).
   */
  id?: string | ((object: object) => string | undefined);
  /** How long an answer is fresh, milliseconds. @default the cache's `ttlMs` */
  ttlMs?: number;
  /** How long it is given at once after that, while a newer one is fetched, milliseconds. @default the cache's `staleMs` */
  staleMs?: number;
  /** What an answer depends on, instead of the whole question. Model and parameters are always part of the key. `undefined` = this call shares nothing. */
  key?(input: unknown, config: object): unknown;
  /** Whether this call may be answered from the cache and kept in it, told at once: anything but `true` is a "no". */
  when?(call: CacheQuestion): boolean;
}

/** The Redis tier with all that can be said of it. */
export interface RedisTierOptions extends RedisOptions {
  /** A read that takes longer is a miss, milliseconds. @default 50 */
  timeoutMs?: number;
}

/** Bounds of adaptive times to live, milliseconds. */
export interface AdaptiveTtl {
  minMs?: number;
  maxMs?: number;
}

export interface CacheOptions {
  /** The tier in this process. @default true */
  memory?: boolean | MemoryStoreOptions;
  /** The tier that processes share: a URL, an ioredis client (also of a Cluster or by way of Sentinels), or both with more to say. Redis 6 or later. */
  redis?: string | RedisLike | RedisTierOptions;
  /** The tier that outlives all: `"sqlite:./perf.db"`, `"postgres://…"`, `"memcached://…"`, a `Store`, LangChain's `BaseStore` or a Keyv. */
  persistent?: string | Store | BaseStoreLike | KeyvLike;
  /** A read of the persistent tier that takes longer is a miss, milliseconds. @default 250 */
  persistentTimeoutMs?: number;
  /** How long an answer is fresh, milliseconds. @default 3_600_000 (an hour) */
  ttlMs?: number;
  /** How long it is given at once after that, while one call fetches a newer one, milliseconds. @default 0 */
  staleMs?: number;
  /** How long after all that it is still given when the model fails, milliseconds. @default 0 */
  staleIfErrorMs?: number;
  /**
   * When a provider refused with a time to come back (status 429 or 503 with `retry-after`), misses that come before it wait. One that asks
   * for longer than this is not waited for, milliseconds; 0 = never wait. Calls with `cache: "bypass"` do not wait, nor those inside a
   * `withFallbacks` that another of its runnables can still answer. @default 60_000
   */
  maxRetryAfterMs?: number;
  /** Share of `ttlMs`, 0 to 1, by which it is shortened at random, so that what was stored together does not expire together. @default 0 */
  jitter?: number;
  /** What is asked for often lives longer, what nobody asks for again shorter. @default false; bounds: a quarter of and four times the `ttlMs` */
  adaptiveTtl?: boolean | AdaptiveTtl;
  /** A hit past this share of the time to live, 0 to 1, refreshes the entry in the background. @default 1 (none does) */
  eagerRefresh?: number;
  /** Keys with so many hits (halved every ten minutes) are hot: a hit in the last tenth of their time refreshes them in the background. @default 32 */
  hotKeys?: boolean | { minHits?: number };
  /** How many of the hottest entries are copied from the far tiers to memory at the start, in the background. @default 500 */
  warmStart?: boolean | { maxEntries?: number };
  /** Tags that an answer gets by what was asked and answered, e.g. the ids of the documents it was made of. `whole`: a message, a text, documents, vectors. */
  tags?(call: CacheQuestion, whole: unknown): string[];
  /** Encrypts everything that leaves this process by AES-256-GCM. To exchange the key, name the old one among `previous` until its entries have expired. */
  encryptionKey?: SealOptions["encryptionKey"];
  /** Entries over this many bytes are compressed before they leave this process. @default none is */
  compressAboveBytes?: number;
  /** A larger entry does not leave this process, bytes. @default 4_194_304 (4 MiB) */
  maxEntryBytes?: number;
  /** Separates the entries of programs that share a cache. @default "default" */
  namespace?: string;
  /** Whose data a call is about, told at once; `undefined`, or anything but a text that is not empty, = bypass the cache for this call. */
  tenant?(control: CallControl, config: object): string | undefined;
  /** Whether a call may be answered from the cache and kept in it, told at once: anything but `true` is a "no". */
  when?(call: CacheQuestion): boolean;
  /** Per kind of call. Chat, llm and embeddings are cached unless `false`; retrievers and tools only when asked for. */
  kinds?: {
    chat?: boolean | KindCache;
    llm?: boolean | KindCache;
    embeddings?: boolean | KindCache;
    retriever?: false | KindCache;
    /** Names of the tools whose results may be kept, or how all of them are. */
    tool?: false | string[] | KindCache;
  };
}

export type KindOptions = KindCache & { names?: ReadonlySet<string> };

export interface ResolvedCache {
  readonly memory: MemoryStoreOptions | undefined;
  readonly redis: { readonly source: RedisSource; readonly timeoutMs: number } | undefined;
  readonly persistent: CacheOptions["persistent"];
  readonly persistentTimeoutMs: number;
  readonly ttlMs: number;
  readonly staleMs: number;
  readonly staleIfErrorMs: number;
  readonly maxRetryAfterMs: number;
  readonly jitter: number;
  readonly adaptiveTtl: AdaptiveTtl | undefined;
  readonly eagerRefresh: number;
  readonly hotFrom: number;
  readonly warmStart: number;
  readonly tags?: CacheOptions["tags"];
  readonly encryptionKey: SealOptions["encryptionKey"];
  readonly compressAboveBytes: number | undefined;
  readonly maxEntryBytes: number;
  readonly namespace: string;
  readonly tenant?: CacheOptions["tenant"];
  readonly when?: CacheOptions["when"];
  readonly kinds: Partial<Record<KindName, KindOptions>>;
}

const HOUR_MS = 3_600_000;
/** What is cached unless the options say otherwise. */
export const DEFAULT_KINDS: ResolvedCache["kinds"] = { chat: {}, llm: {}, embeddings: {}, function: {} };

export function resolveCache(read: OptionReader): ResolvedCache {
  const tenant = read.function<NonNullable<CacheOptions["tenant"]>>("tenant");
  const when = read.function<NonNullable<CacheOptions["when"]>>("when");
  const tags = read.function<NonNullable<CacheOptions["tags"]>>("tags");
  const redis = resolveRedis(read.raw("redis"), read.pathOf("redis"));
  const persistent = read.raw("persistent") as CacheOptions["persistent"];
  return {
    memory: resolveMemory(read, redis !== undefined || persistent !== undefined),
    redis,
    persistent,
    persistentTimeoutMs: read.number("persistentTimeoutMs", { default: 250, min: 1 }),
    ttlMs: read.number("ttlMs", { default: HOUR_MS, min: 0 }),
    staleMs: read.number("staleMs", { default: 0, min: 0 }),
    staleIfErrorMs: read.number("staleIfErrorMs", { default: 0, min: 0 }),
    maxRetryAfterMs: read.number("maxRetryAfterMs", { default: 60_000, min: 0 }),
    jitter: read.number("jitter", { default: 0, min: 0, max: 1 }),
    adaptiveTtl: read.layer("adaptiveTtl", resolveAdaptiveTtl),
    eagerRefresh: read.number("eagerRefresh", { default: 1, min: 0, max: 1 }),
    hotFrom: resolveOn(read, "hotKeys", "minHits", { default: 32, min: 1 }) ?? Infinity,
    warmStart: resolveOn(read, "warmStart", "maxEntries", { default: 500, min: 1, integer: true }) ?? 0,
    ...(tags ? { tags } : {}),
    encryptionKey: read.raw("encryptionKey") as SealOptions["encryptionKey"],
    compressAboveBytes: read.number("compressAboveBytes", { default: undefined, min: 0 }),
    maxEntryBytes: read.number("maxEntryBytes", { default: 4 * 1024 * 1024, min: 1 }),
    namespace: read.string("namespace", "default"),
    ...(tenant ? { tenant } : {}),
    ...(when ? { when } : {}),
    kinds: resolveKinds(read.raw("kinds"), read.pathOf("kinds")),
  };
}

/** What is on unless switched off, and says one number. */
function resolveOn(read: OptionReader, name: string, field: string, range: { default: number; min: number; integer?: boolean }): number | undefined {
  if (read.raw(name) === undefined) return range.default;
  return read.layer(name, (group) => group.number(field, range));
}

function resolveAdaptiveTtl(read: OptionReader): AdaptiveTtl {
  const minMs = read.number("minMs", { default: undefined, min: 0 });
  const maxMs = read.number("maxMs", { default: undefined, min: minMs ?? 0 });
  return { ...(minMs === undefined ? {} : { minMs }), ...(maxMs === undefined ? {} : { maxMs }) };
}

const REDIS_TIMEOUT_MS = 50;

/** What is left of the options names the server or the client, and is checked where the connection is made. */
function resolveRedis(given: unknown, path: string): ResolvedCache["redis"] {
  if (given === undefined) return undefined;
  if (typeof given !== "object" || given === null || !("timeoutMs" in given)) return { source: given as RedisSource, timeoutMs: REDIS_TIMEOUT_MS };
  const { timeoutMs, ...source } = given;
  return { source: source as RedisSource, timeoutMs: resolveWith(path, { timeoutMs }, (read) => read.number("timeoutMs", { default: REDIS_TIMEOUT_MS, min: 1 })) };
}

function resolveMemory(read: OptionReader, hasFarTier: boolean): MemoryStoreOptions | undefined {
  if (read.raw("memory") === false) {
    if (hasFarTier) return undefined;
    throw new OptionError(read.pathOf("memory"), "true or an object of options, as long as memory is the only tier", false);
  }
  return (
    read.layer("memory", (memory) => {
      const resolved = {
        policy: memory.oneOf("policy", ["lru", "s3-fifo"], "lru"),
        maxBytes: memory.number("maxBytes", { default: undefined, min: 1, integer: true }),
        maxEntries: memory.number("maxEntries", { default: undefined, min: 1, integer: true }),
        maxEntryBytes: memory.number("maxEntryBytes", { default: undefined, min: 1, integer: true }),
      };
      return Object.fromEntries(Object.entries(resolved).filter(([, value]) => value !== undefined)) as MemoryStoreOptions;
    }) ?? {}
  );
}

function resolveKinds(raw: unknown, path: string): ResolvedCache["kinds"] {
  if (raw === undefined) return DEFAULT_KINDS;
  return resolveWith(path, raw, (read) => {
    const kinds: Partial<Record<KindName, KindOptions>> = { function: {} };
    for (const kind of ["chat", "llm", "embeddings"] as const) {
      const options = read.raw(kind) === undefined ? {} : read.layer(kind, resolveKind);
      if (options) kinds[kind] = options;
    }
    for (const kind of ["retriever", "tool"] as const) {
      const given = read.raw(kind);
      if (kind === "tool" && Array.isArray(given)) kinds.tool = { names: new Set(read.strings("tool")) };
      else if (given === true) throw new OptionError(read.pathOf(kind), "false or an object of options: what changes between calls is cached only when asked for", given);
      else if (given !== undefined && given !== false) kinds[kind] = read.layer(kind, resolveKind) as KindOptions;
    }
    return kinds;
  });
}

function resolveKind(read: OptionReader): KindOptions {
  const resolved = {
    id: typeof read.raw("id") === "function" ? read.function("id") : read.string("id", undefined),
    ttlMs: read.number("ttlMs", { default: undefined, min: 0 }),
    staleMs: read.number("staleMs", { default: undefined, min: 0 }),
    key: read.function("key"),
    when: read.function("when"),
  };
  return Object.fromEntries(Object.entries(resolved).filter(([, value]) => value !== undefined)) as KindOptions;
}
