import { Redis } from "ioredis";
import { redisLimiter } from "../../src/limits/redis.ts";
import { startRedis } from "../../test/support/services.ts";
import type { Measure } from "../harness/bench.ts";
import { measured } from "../harness/measured.ts";
import { quartiles } from "../harness/quartiles.ts";
import { shown } from "../harness/report.ts";

/** What a round trip costs that reads and writes one field. */
const RAW = "local count = redis.call('HGET', KEYS[1], 'count') redis.call('HSET', KEYS[1], 'count', (count or 0) + ARGV[1]) return count";
const ROUNDS = 40;
const CALLS = 250;

export const measure: Measure = async () => {
  await using redis = await startRedis();
  const client = new Redis(redis.url);
  const digest = String(await client.call("script", "LOAD", RAW));
  const limiter = redisLimiter(redis.url, { requestsPerMinute: 1e9, tokensPerMinute: 1e12, maxConcurrent: 1e6, budgetUsdPerHour: 1e6 });
  const raw = (): Promise<unknown> => client.call("evalsha", digest, 1, "raw", 1);
  const acquire = async (): Promise<void> => (await limiter.acquire({ tokens: 1_000, costUsd: 0.001 })).release({ tokens: 800, costUsd: 0.0008 });
  const sides = [new Timed(raw), new Timed(acquire)] as const;
  for (let round = -2; round < ROUNDS; round++) for (const side of round % 2 === 0 ? sides : sides.toReversed()) await side.round(round >= 0);
  const us = await timeInRedis(client, acquire);
  await limiter.close?.();
  client.disconnect();
  const [ofRaw, ofLimiter] = sides;
  const medians = ofLimiter.medians.map((median, round) => median / (ofRaw.medians[round] as number));
  const p99 = ofLimiter.percentile(0.99);
  return {
    redis_acquire_p99_ms: { value: p99 / 1_000, note: `of ${ROUNDS * CALLS} calls, one after the other; median ${shown(ofLimiter.percentile(0.5))} µs, of which the script takes ${shown(us)}` },
    redis_acquire_vs_raw: measured(quartiles(medians), `medians ${shown(ofLimiter.percentile(0.5))} and ${shown(ofRaw.percentile(0.5))} µs`),
    redis_acquire_p99_vs_raw: { value: p99 / ofRaw.percentile(0.99), note: `raw EVALSHA ${shown(ofRaw.percentile(0.99))} µs` },
  };
};

/** Calls that are timed one by one. What a call leaves to be done afterwards is done before the next. */
class Timed {
  readonly medians: number[] = [];
  readonly #times: number[] = [];
  readonly #run: () => Promise<unknown>;

  constructor(run: () => Promise<unknown>) {
    this.#run = run;
  }

  async round(counts: boolean): Promise<void> {
    const times: number[] = [];
    for (let call = 0; call < CALLS; call++) {
      const begin = performance.now();
      await this.#run();
      times.push((performance.now() - begin) * 1_000);
      await new Promise((resolve) => setTimeout(resolve));
    }
    if (!counts) return;
    this.medians.push(quartiles(times).median);
    this.#times.push(...times);
  }

  percentile(part: number): number {
    return this.#times.toSorted((a, b) => a - b)[Math.floor(part * this.#times.length)] as number;
  }
}

/** What one message takes of Redis' only thread, µs: half of them ask, half tell what a call really took. */
async function timeInRedis(client: Redis, acquire: () => Promise<void>): Promise<number> {
  await client.config("RESETSTAT");
  for (let call = 0; call < CALLS; call++) await acquire();
  return Number(/cmdstat_evalsha:.*usec_per_call=([\d.]+)/.exec(await client.info("commandstats"))?.[1]);
}
