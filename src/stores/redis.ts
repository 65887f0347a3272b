/** The cache in Redis: the shared store, the bus that carries invalidations between processes, the leases by which they share calls, and the board on which they tell each other how deployments are. */
export { redisBoard } from "./redis/board.ts";
export { redisBus, type RedisBusOptions } from "./redis/bus.ts";
export type { RedisArgument, RedisLike, RedisSocket } from "./redis/client.ts";
export { RedisConnection, type RedisOptions, type RedisSource } from "./redis/connection.ts";
export { redisLeases, type RedisLeasesOptions } from "./redis/leases.ts";
export { redisScript, type RedisScript } from "./redis/script.ts";
export { redisStore } from "./redis/store.ts";
