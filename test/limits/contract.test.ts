import Bottleneck from "bottleneck";
import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, it } from "vitest";
import { bottleneckLimiter, localLimiter, redisLimiter, type Limiter } from "langchain-perf/limits";
import { limiterContract, type ContractLimits } from "langchain-perf/testing";
import { type Server, startRedis } from "../support/services.ts";

const opened: Bottleneck[] = [];
let redis: Server;

beforeAll(async () => {
  redis = await startRedis();
});
afterAll(async () => {
  await Promise.all(opened.map((bottleneck) => bottleneck.disconnect(false)));
  await redis.stop();
});

function overBottleneck({ maxConcurrent, requestsPerMinute, tokensPerMinute, maxQueue, maxWaitMs, weights }: ContractLimits, storage: Bottleneck.ConstructorOptions = {}): Limiter {
  const perMinute = tokensPerMinute ?? requestsPerMinute;
  const reservoir = perMinute === undefined ? {} : { reservoir: perMinute, reservoirRefreshAmount: perMinute, reservoirRefreshInterval: 60_000 };
  const bottleneck = new Bottleneck({ ...(maxConcurrent === undefined ? {} : { maxConcurrent }), ...reservoir, ...storage });
  const weight = tokensPerMinute === undefined ? "requests" : "tokens";
  opened.push(bottleneck);
  return bottleneckLimiter(bottleneck, { maxQueue, maxWaitMs, weights, weight: (demand) => demand[weight] ?? 1 });
}

function overClusteredBottleneck(limits: ContractLimits): Limiter {
  return overBottleneck(limits, { id: `contract-${opened.length}`, datastore: "ioredis", Redis, clientOptions: { host: "127.0.0.1", port: redis.port } });
}

describe("localLimiter keeps the contract of limiters", () => {
  for (const { name, run } of limiterContract(localLimiter)) it(name, run);
});

describe("redisLimiter keeps the contract of limiters", () => {
  let name = 0;
  for (const { name: title, run } of limiterContract((limits) => redisLimiter(redis.url, { ...limits, name: `contract-${(name += 1)}` }))) it(title, run);
});

describe("bottleneckLimiter keeps the contract of limiters", () => {
  for (const { name, run } of limiterContract((limits) => overBottleneck(limits), { excused: ["cost", "corrections", "oversize"] })) it(name, run);
});

describe("bottleneckLimiter keeps the contract of limiters over a Bottleneck that is clustered", () => {
  for (const { name, run } of limiterContract(overClusteredBottleneck, { excused: ["cost", "corrections", "oversize"] })) it(name, run);
});
