export { memoryStore, type MemoryStore, type MemoryStoreOptions } from "./stores/memory.ts";
export { redisStore, type RedisLike, type RedisOptions, type RedisSource } from "./stores/redis.ts";
export { sqliteStore, type SqliteStoreOptions } from "./stores/sqlite.ts";
export { postgresStore, type PgPool, type PostgresStoreOptions } from "./stores/postgres.ts";
export { memcachedStore, type MemcachedStoreOptions } from "./stores/memcached.ts";
export { keyValueStore, type BaseStoreLike, type KeyValueStoreOptions, type KeyvLike } from "./stores/key-value.ts";
export type { Store, StoredEntry, StoredKey, StoreNote, StoreStats } from "./stores/store.ts";
export { MissingPeerError, OptionError } from "./core/errors.ts";
