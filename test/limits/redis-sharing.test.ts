import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { Cluster } from "ioredis";
import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";
import type { Limiter, Permit } from "../../src/limits/limiter.ts";
import { redisLimiter, type RedisLimiterOptions } from "../../src/limits/redis.ts";
import type { RedisSource } from "../../src/stores/redis.ts";
import { eventually, redisCommand, sharedRedis, type SharedServer, startRedis, startRedisCluster } from "../support/services.ts";

let redis: SharedServer;
let name: string;
beforeAll(async () => {
  redis = await sharedRedis();
});
beforeEach(() => {
  name = randomUUID();
});
afterAll(() => redis.stop());

const open = (options: RedisLimiterOptions, source: RedisSource = redis.url): Limiter => redisLimiter(source, { name, timeoutMs: 5_000, ...options });
const closed = (...limiters: readonly Limiter[]): Promise<unknown> => Promise.all(limiters.map((limiter) => limiter.close?.()));

/** Whether a permit came within the time. */
async function comes(permit: Promise<Permit>, withinMs = 300): Promise<boolean> {
  return Promise.race([permit.then(() => true), new Promise<boolean>((resolve) => setTimeout(() => resolve(false), withinMs))]);
}

it("takes requests, tokens, cost and a place together or none of them", async () => {
  const [one, other] = [open({ maxConcurrent: 1, tokensPerMinute: 1_000, budgetUsdPerHour: 1 }), open({ maxConcurrent: 1, tokensPerMinute: 1_000, budgetUsdPerHour: 1 })];
  const permit = await one.acquire({ tokens: 600, costUsd: 0.6 });
  const refused = other.acquire({ tokens: 300, costUsd: 0.3, deadlineMs: 200 });
  await expect(refused).rejects.toMatchObject({ name: "DeadlineError" });
  permit.release({ tokens: 600, costUsd: 0.6 });
  // Had the refused call taken anything, this would not fit.
  await (await other.acquire({ costUsd: 0.4 })).release();
  await closed(one, other);
});

// By asking once a second each of the 90 would take a second, and the test is over before.
it("gives a place that one process frees to another that waits, at once and in turn", async () => {
  const limiters = [open({ maxConcurrent: 1 }), open({ maxConcurrent: 1 }), open({ maxConcurrent: 1 })];
  const order: number[] = [];
  let underWay = 0;
  await Promise.all(limiters.flatMap((limiter, index) => Array.from({ length: 30 }, async () => {
    const permit = await limiter.acquire();
    order.push(index);
    expect((underWay += 1)).toBe(1);
    await new Promise((resolve) => setTimeout(resolve, 2));
    underWay -= 1;
    permit.release();
  })));
  const firstHalf = order.slice(0, 45);
  for (const index of [0, 1, 2]) expect(firstHalf.filter((one) => one === index).length).toBeGreaterThan(7);
  await closed(...limiters);
}, 60_000);

it("gives what an estimate had too much to a call of another process", async () => {
  const [one, other] = [open({ tokensPerMinute: 1_000 }), open({ tokensPerMinute: 1_000 })];
  const permit = await one.acquire({ tokens: 1_000 });
  const waiting = other.acquire({ tokens: 900 });
  expect(await comes(waiting)).toBe(false);
  permit.release({ tokens: 10 });
  (await waiting).release();
  await closed(one, other);
});

it("does not let small calls of other processes pass a large one for ever", async () => {
  const [small, large] = [open({ tokensPerMinute: 60_000 }), open({ tokensPerMinute: 60_000 })];
  const held = await small.acquire({ tokens: 59_000 });
  const waiting = large.acquire({ tokens: 20_000 });
  expect(await comes(waiting, 100)).toBe(false);
  const passing = Array.from({ length: 20 }, () => small.acquire({ tokens: 100 }));
  // There is room for all of them, but not beside the large one.
  expect(await comes(Promise.any(passing))).toBe(false);
  held.release({ tokens: 0 });
  (await waiting).release({ tokens: 0 });
  for (const permit of await Promise.all(passing)) permit.release();
  await closed(small, large);
});

it("lets in as many as may wait and refuses who comes then, never somebody who was let in", async () => {
  const [holder, limiter] = [open({ maxConcurrent: 1 }), open({ maxConcurrent: 1, maxQueue: 2 })];
  const held = await holder.acquire();
  // All come before Redis has answered the first.
  const order: string[] = [];
  const calls = Array.from({ length: 5 }, async (_, call) => {
    try {
      const permit = await limiter.acquire();
      order.push(`${call} served`);
      permit.release();
    } catch (error) {
      order.push(`${call} ${(error as Error).name}`);
    }
  });
  await Promise.all(calls.slice(2));
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect([order, limiter.status().queued]).toEqual([["2 QueueFullError", "3 QueueFullError", "4 QueueFullError"], 2]);
  held.release();
  await Promise.all(calls);
  expect(order.slice(3)).toEqual(["0 served", "1 served"]);
  await closed(holder, limiter);
});

it("serves who may go at once where nobody may wait, and refuses all others", async () => {
  const limiter = open({ maxConcurrent: 1, maxQueue: 0 });
  const permit = await limiter.acquire();
  await expect(limiter.acquire()).rejects.toMatchObject({ name: "QueueFullError" });
  permit.release();
  (await limiter.acquire()).release();
  const other = open({ maxConcurrent: 1, maxQueue: 0 });
  const held = await other.acquire();
  await expect(limiter.acquire()).rejects.toMatchObject({ name: "QueueFullError" });
  held.release();
  await closed(limiter, other);
});

it("does not keep nonsense that a provider told", async () => {
  const limiter = open({ tokensPerMinute: 1_000, budgetUsdPerHour: 1 });
  for (const nonsense of [Number.NaN, -5, Infinity]) (await limiter.acquire({ tokens: 10, costUsd: 0.01 })).release({ tokens: nonsense, costUsd: nonsense });
  (await limiter.acquire({ tokens: 10, costUsd: 0.01 })).release({ tokens: 5, costUsd: 0.005 });
  await eventually(() => limiter.status().used?.tokens === 0.035 && limiter.status().used?.costUsd === 0.035);
  expect(limiter.status().source).toBeUndefined();
  await closed(limiter);
});

it("keeps to its own limits where another process has other ones", async () => {
  const [narrow, wide] = [open({ maxConcurrent: 1 }), open({ maxConcurrent: 3 })];
  const permit = await wide.acquire();
  const waiting = narrow.acquire();
  expect(await comes(waiting)).toBe(false);
  permit.release();
  (await waiting).release();
  await closed(narrow, wide);
});

it("frees the places of a process that was killed", async () => {
  const holder = spawn(process.execPath, [fileURLToPath(new URL("fixtures/redis-holder.ts", import.meta.url)), redis.url, name, "2", "2"], { stdio: ["ignore", "pipe", "inherit"] });
  await once(holder.stdout, "data");
  const limiter = open({ maxConcurrent: 2 });
  const waiting = limiter.acquire();
  expect(await comes(waiting, 1_000)).toBe(false);
  holder.kill("SIGKILL");
  const permits = [await waiting, await limiter.acquire()];
  for (const permit of permits) permit.release();
  await closed(limiter);
}, 30_000);

it("knows its script again after Redis has forgotten it", async () => {
  await using server = await startRedis();
  const limiter = open({ requestsPerMinute: 100 }, server.url);
  (await limiter.acquire()).release();
  await redisCommand(server.port, "SCRIPT FLUSH");
  (await limiter.acquire()).release();
  expect(limiter.status().source).toBeUndefined();
  await closed(limiter);
});

it("shows what all processes have taken", async () => {
  const [one, other] = [open({ requestsPerMinute: 200, tokensPerMinute: 100_000 }), open({ requestsPerMinute: 200, tokensPerMinute: 100_000 })];
  await one.acquire({ tokens: 2_000 });
  const permit = await other.acquire({ tokens: 1_000 });
  await eventually(() => other.status().used?.tokens === 0.03 && other.status().used?.requests === 0.01);
  permit.release();
  await closed(one, other);
});

it("shares its limits on a cluster, whichever node holds them", async () => {
  await using servers = await startRedisCluster();
  const client = new Cluster(servers.nodes.map(({ port }) => ({ host: "127.0.0.1", port })), { keyPrefix: "app:" });
  for (const shared of ["a", "b", "c", "d"]) {
    const [one, other] = [open({ name: shared, maxConcurrent: 1 }, client), open({ name: shared, maxConcurrent: 1 }, client)];
    const permit = await one.acquire();
    const waiting = other.acquire();
    expect(await comes(waiting, 50)).toBe(false);
    permit.release();
    (await waiting).release();
    expect(one.status().source ?? other.status().source).toBeUndefined();
    await closed(one, other);
  }
  client.disconnect();
}, 60_000);
