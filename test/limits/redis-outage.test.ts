import { Redis } from "ioredis";
import { afterAll, it } from "vitest";
import type { Limiter, Permit } from "../../src/limits/limiter.ts";
import { redisLimiter, type RedisLimiterOptions } from "../../src/limits/redis.ts";
import type { RedisSource } from "../../src/stores/redis.ts";
import { eventually, type FaultProxy, faultProxy, redisCommand, type Server, startRedis, startRedisSentinel } from "../support/services.ts";

const opened: Limiter[] = [];
afterAll(async () => {
  await Promise.all(opened.map((limiter) => limiter.close?.()));
});

function open(redis: RedisSource, options: RedisLimiterOptions): Limiter {
  const limiter = redisLimiter(redis, { timeoutMs: 200, ...options });
  opened.push(limiter);
  return limiter;
}

/** Limiters that have each taken something and know of each other. */
async function together(redis: RedisSource, count: number, options: RedisLimiterOptions, tokens = 0): Promise<Limiter[]> {
  const limiters = Array.from({ length: count }, () => open(redis, options));
  for (const limiter of limiters) (await limiter.acquire({ tokens })).release({ tokens });
  // The first one hears of the last with its next heartbeat.
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  return limiters;
}

/** Whether a permit came within the time. */
async function comes(permit: Promise<Permit>, withinMs = 300): Promise<boolean> {
  return Promise.race([permit.then(() => true), new Promise<boolean>((resolve) => setTimeout(() => resolve(false), withinMs))]);
}

const sources = (limiters: readonly Limiter[]): (string | undefined)[] => limiters.map((limiter) => limiter.status().source);
const usedTokens = (limiter: Limiter): number => Math.round((limiter.status().used?.tokens ?? 0) * 1_000) / 1_000;

type Fault = (server: Server, proxy: FaultProxy) => { begin(): void; end(): void };

const FAULTS: Record<string, Fault> = {
  "is cut off": (_server, proxy) => ({ begin: () => proxy.cut(), end: () => proxy.heal() }),
  "says nothing": (_server, proxy) => ({ begin: () => proxy.stall(), end: () => proxy.heal() }),
  "is frozen": (server) => ({ begin: () => server.freeze(), end: () => server.thaw() }),
  "is far too slow": (_server, proxy) => ({ begin: () => proxy.delay(1_000), end: () => proxy.heal() }),
  "talks nonsense": (_server, proxy) => ({ begin: () => proxy.garble(), end: () => proxy.heal() }),
};

for (const [fault, make] of Object.entries(FAULTS)) {
  it.concurrent(`keeps to its part while Redis ${fault}, tells what it gave and returns by itself`, async ({ expect }) => {
    await using server = await startRedis();
    await using proxy = await faultProxy(server.port);
    const { begin, end } = make(server, proxy);
    const limiters = await together(`redis://127.0.0.1:${proxy.port}`, 2, { maxConcurrent: 4, tokensPerMinute: 100_000 }, 1_000);
    begin();
    const permits = (await Promise.all(limiters.flatMap((limiter) => [limiter.acquire({ tokens: 1_000 }), limiter.acquire({ tokens: 1_000 })])));
    expect(sources(limiters)).toEqual(["local share 1/2: Redis does not answer", "local share 1/2: Redis does not answer"]);
    const third = (limiters[0] as Limiter).acquire({ tokens: 1_000 });
    expect(await comes(third)).toBe(false);
    end();
    await eventually(() => sources(limiters).every((source) => source === undefined), { timeoutMs: 15_000 });
    // All four places are taken.
    expect(await comes(third)).toBe(false);
    for (const permit of permits) permit.release({ tokens: 1_000 });
    (await third).release({ tokens: 1_000 });
    await eventually(() => limiters.every((limiter) => usedTokens(limiter) >= 0.07));
  }, 40_000);
}

it.concurrent("keeps to its limits from the start without any Redis, and warns once", async ({ expect }) => {
  const warnings: string[] = [];
  const hear = ({ message }: Error): void => void warnings.push(message);
  process.on("warning", hear);
  const limiter = open("redis://127.0.0.1:1", { name: "nowhere", maxConcurrent: 2 });
  const permits = [await limiter.acquire(), await limiter.acquire()];
  const third = limiter.acquire();
  expect(await comes(third)).toBe(false);
  permits[0]?.release();
  (await third).release();
  expect(limiter.status().source).toBe("local share 1/1: Redis does not answer");
  process.off("warning", hear);
  expect(warnings.filter((message) => message.includes('the limits "nowhere" are kept to in parts'))).toHaveLength(1);
});

it.concurrent("serves who may go at once where nobody may wait, with Redis and without it", async ({ expect }) => {
  await using server = await startRedis();
  await using proxy = await faultProxy(server.port);
  const limiter = open(`redis://127.0.0.1:${proxy.port}`, { maxConcurrent: 1, maxQueue: 0 });
  (await limiter.acquire()).release();
  await redisCommand(server.port, "FLUSHALL");
  // Redis knows nothing of this process, asks it to tell everything anew, and grants nothing before all had the time for that.
  await eventually(async () => (await limiter.acquire().then((permit) => permit.release(), () => false)) === undefined);
  proxy.cut();
  for (let call = 0; call < 3; call++) (await limiter.acquire()).release();
  expect(sources([limiter])).toEqual(["local share 1/1: Redis does not answer"]);
});

it.concurrent("tells a Redis that has forgotten what each process was granted", async () => {
  await using server = await startRedis();
  const limiters = await together(server.url, 3, { tokensPerMinute: 100_000 }, 2_000);
  await redisCommand(server.port, "FLUSHALL");
  const [first] = limiters as [Limiter];
  (await first.acquire({ tokens: 1_000 })).release({ tokens: 1_000 });
  await eventually(() => limiters.every((limiter) => usedTokens(limiter) === 0.07));
});

it.concurrent("knows after a restart of Redis what each process was granted before, for a newcomer too", async () => {
  await using server = await startRedis();
  const limiters = await together(server.url, 2, { requestsPerMinute: 60, tokensPerMinute: 100_000 }, 5_000);
  await server.kill();
  await server.start();
  await eventually(() => limiters.every((limiter) => limiter.status().source === undefined && usedTokens(limiter) === 0.1), { timeoutMs: 15_000 });
  const newcomer = open(server.url, { requestsPerMinute: 60, tokensPerMinute: 100_000 });
  (await newcomer.acquire({ tokens: 1_000 })).release({ tokens: 1_000 });
  await eventually(() => usedTokens(newcomer) === 0.11);
}, 40_000);

it.concurrent("serves those who wait through a failover of Sentinel", async ({ expect }) => {
  await using servers = await startRedisSentinel();
  const client = new Redis({ sentinels: [...servers.sentinelAddresses], name: servers.name, maxRetriesPerRequest: 1 });
  client.on("error", () => {});
  const limiters = await together(client, 2, { maxConcurrent: 2 });
  let [underWay, most, served] = [0, 0, 0];
  const calls = limiters.flatMap((limiter) => Array.from({ length: 100 }, async () => {
    const permit = await limiter.acquire();
    most = Math.max(most, (underWay += 1));
    await new Promise((resolve) => setTimeout(resolve, 50));
    underWay -= 1;
    served += 1;
    permit.release();
  }));
  await eventually(() => served > 20);
  await servers.master.kill();
  await Promise.all(calls);
  // One may have held both places when the master died, and the other has taken its part since.
  expect(most).toBeLessThanOrEqual(3);
  await eventually(() => sources(limiters).every((source) => source === undefined), { timeoutMs: 30_000 });
  await Promise.all(limiters.map((limiter) => limiter.close?.()));
  client.disconnect();
}, 60_000);
