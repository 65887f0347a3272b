import type { Clock } from "./core/clock.ts";
import { OptionError, type StoreError } from "./core/errors.ts";
import type { TierName } from "./core/facts.ts";
import type { OpenTiers } from "./layers/cache/cache.ts";
import { FarTier, type FarTierOptions } from "./layers/cache/far-tier.ts";
import type { ResolvedCache } from "./layers/cache/options.ts";
import { keyValueStore, type BaseStoreLike, type KeyvLike } from "./stores/key-value.ts";
import { memcachedStore } from "./stores/memcached.ts";
import { memoryStore } from "./stores/memory.ts";
import { postgresStore } from "./stores/postgres.ts";
import { RedisConnection, redisBus, redisStore } from "./stores/redis.ts";
import { sqliteStore } from "./stores/sqlite.ts";
import type { Store } from "./stores/store.ts";

/** What the tiers need of their perf. */
export interface TiersHost {
  readonly clock: Clock;
  /** Takes in work that should end before the process does. */
  waitUntil(work: Promise<unknown>): void;
  /** Hears of every failure of a far tier. */
  failed(tier: TierName, error: StoreError): void;
}

/** The tiers that the options name. Nothing is connected before it is used. @throws OptionError */
export function openTiers({ memory, redis, persistent, persistentTimeoutMs }: ResolvedCache, { clock, waitUntil, failed }: TiersHost): OpenTiers & { readonly redis: RedisConnection | undefined } {
  const far: FarTier[] = [];
  const add = (tier: Pick<FarTierOptions, "name" | "store" | "timeoutMs" | "owns" | "isReady">): void => {
    far.push(new FarTier({ ...tier, clock, waitUntil, failed: (error) => failed(tier.name, error) }));
  };
  const connection = redis && new RedisConnection(redis.source, "cache.redis");
  const bus = connection && redisBus(connection);
  // After an outage the bus finds out whether the order of invalidations is still the same one.
  const isReady = (): boolean => bus?.position === undefined || bus.isCurrent;
  if (redis && connection) add({ name: "redis", store: redisStore(connection), timeoutMs: redis.timeoutMs, isReady });
  if (persistent !== undefined) {
    const store = persistentStore(persistent);
    add({ name: "persistent", store, timeoutMs: persistentTimeoutMs, owns: store !== persistent });
  }
  return { memory: memory && memoryStore(memory), far, bus, redis: connection };
}

const WANTED = '"sqlite:<file>", "postgres://…", "memcached://…", a Store, a BaseStore of LangChain or a Keyv';

function persistentStore(given: NonNullable<ResolvedCache["persistent"]>): Store {
  if (typeof given === "string") return storeAt(given);
  if (typeof given !== "object" || given === null) throw new OptionError("cache.persistent", WANTED, given);
  if (has(given, "get", "set", "invalidate", "keys", "close")) return given as Store;
  if (has(given, "mget", "mset", "mdelete", "yieldKeys") || has(given, "get", "set", "delete", "clear")) return keyValueStore(given as BaseStoreLike | KeyvLike);
  throw new OptionError("cache.persistent", WANTED, given);
}

function storeAt(address: string): Store {
  if (address.startsWith("sqlite:")) return sqliteStore(address.slice("sqlite:".length));
  if (/^postgres(?:ql)?:\/\//.test(address)) return postgresStore(address);
  if (address.startsWith("memcached://")) return memcachedStore(address);
  // It may hold a password.
  throw new OptionError("cache.persistent", WANTED, `${address.split(":", 1)[0]}:…`);
}

function has(object: object, ...methods: readonly string[]): boolean {
  return methods.every((method) => typeof (object as Record<string, unknown>)[method] === "function");
}
