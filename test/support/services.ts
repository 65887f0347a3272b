/**
 * Real servers, and faults, for tests and benches. A server is a process of this run's own, on a free port of 127.0.0.1, with its data in a temporary folder; both are
 * gone when the process that started them is, however that ended. `sharedX()` takes the server of the environment where there is one.
 */
export { freePort } from "./services/connection.ts";
export { eventually, type EventuallyOptions } from "./services/eventually.ts";
export { type FaultProxy, faultProxy } from "./services/fault-proxy.ts";
export { startMariadb } from "./services/mariadb.ts";
export { type MemcachedOptions, startMemcached } from "./services/memcached.ts";
export { type PostgresOptions, startPostgres } from "./services/postgres.ts";
export { type RedisCluster, startRedisCluster } from "./services/redis-cluster.ts";
export { type RedisSentinel, startRedisSentinel } from "./services/redis-sentinel.ts";
export { redisCommand, type RedisOptions, startRedis } from "./services/redis.ts";
export type { Server } from "./services/server.ts";
export { sharedMariadb, sharedMemcached, sharedPostgres, sharedRedis, type SharedServer } from "./services/shared.ts";
