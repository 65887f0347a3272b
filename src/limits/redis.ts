import { resolveWith } from "../core/options.ts";
import { RedisConnection, type RedisSource } from "../stores/redis/connection.ts";
import type { Limiter } from "./limiter.ts";
import { readLimits, type LimiterOptions } from "./options.ts";
import { RedisLimiter } from "./redis/limiter.ts";

export { RedisLimiter, type RedisLimiterParts } from "./redis/limiter.ts";

export interface RedisLimiterOptions extends LimiterOptions {
  /** What the limits are shared under: all limiters of this name on this Redis share them. @default "default" */
  name?: string;
  /** Redis answers within this time or counts as away, milliseconds. @default 200 */
  timeoutMs?: number;
}

const TIMEOUT_MS = 200;

/**
 * Limits that all processes share which use the same name on the same Redis. What {@link LimiterOptions} say holds for all of them together:
 *
 * - A permit takes requests, tokens, cost and a place at once or none of them, in one round trip where nobody waits. Time is the server's.
 * - Processes take turns: what the one whose turn it is waits for is not given to others. Priorities count between processes as 5 seconds of waiting each; shares of
 *   tenants and deadlines count within a process. `"adaptive"` concurrency is each process's own.
 * - Places of a process that died are free after 5 seconds.
 * - While Redis is away each process keeps to its part of the limits, by the number of processes last heard of, and returns by itself; no call fails for it. One that
 *   has started meanwhile has heard of nobody, and its part is all of it: so many starts, so many times the limits, until Redis answers.
 *   A Redis that has forgotten, or is behind after a failover, is told again what each process was granted. A grant whose answer never arrives counts until it is past.
 * - A call waits until Redis has answered, even where there is room: as many as may come within a round trip should fit into `maxQueue`. With 0 one at a time asks,
 *   and is refused unless it may go at once.
 * - Limiters of one name may have different limits: each keeps to its own, and all count what any of them takes.
 *
 * @param redis where Redis is, 6 or later: a URL, an ioredis client, or one of these with further options; a client that is given is never closed
 * @throws OptionError
 */
export function redisLimiter(redis: RedisSource, options: RedisLimiterOptions = {}): Limiter {
  const parts = resolveWith("redisLimiter", options, (read) => ({
    name: read.string("name", "default"),
    timeoutMs: read.number("timeoutMs", { default: TIMEOUT_MS, min: 1, max: 10_000 }),
    limits: readLimits(read),
  }));
  return new RedisLimiter({ ...parts, redis: new RedisConnection(redis), owns: true });
}
