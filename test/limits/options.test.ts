import Bottleneck from "bottleneck";
import { createPerf, type PerfOptions } from "langchain-perf";
import { redisLimiter } from "langchain-perf/limits";
import { describe, expect, it } from "vitest";

const A_LIMITER = "options, or a limiter with acquire() and status()";
const A_REDIS = "a URL redis://…, an ioredis client, or { url | client, keyPrefix }";

describe("the option rateLimit", () => {
  it.each<[string, unknown, string]>([
    ["options that were not awaited", Promise.resolve({ requestsPerMinute: 1 }), 'Option "rateLimit": wanted an object of options, got an object of class Promise.'],
    ["a limiter without status()", { acquire: () => undefined }, `Option "rateLimit": wanted ${A_LIMITER}, got an object with keys [acquire].`],
    ["a limiter without acquire()", { status: () => undefined }, `Option "rateLimit": wanted ${A_LIMITER}, got an object with keys [status].`],
    ["a bare Bottleneck", new Bottleneck(), 'Option "rateLimit": wanted options or a limiter; a Bottleneck becomes one by bottleneckLimiter() of langchain-perf/limits, got an object of class Bottleneck.'],
    ["a Map of weights", { weights: new Map([["gold", 3]]) }, 'Option "rateLimit.weights": wanted an object of weights by tenant, got an object of class Map.'],
    ["a budget below 0", { budgetUsdPerHour: -1 }, 'Option "rateLimit.budgetUsdPerHour": wanted a number above 0, got -1.'],
    ["a budget of 0", { budgetUsdPerHour: 0 }, 'Option "rateLimit.budgetUsdPerHour": wanted a number above 0, got 0.'],
    ["a number for a Redis", { shared: 5 }, `Option "rateLimit.shared": wanted ${A_REDIS}, got 5.`],
    ["null for a Redis", { shared: null }, `Option "rateLimit.shared": wanted ${A_REDIS}, got null.`],
    ["true", true, 'Option "rateLimit": wanted an object of options, got true.'],
  ])("refuses %s, and says what is wanted", (_name, rateLimit, message) => {
    expect(() => createPerf({ rateLimit } as PerfOptions)).toThrow(message);
  });

  it("takes false as absent", async () => {
    await using perf = createPerf({ rateLimit: false });
    expect(perf.stats().limits ?? []).toEqual([]);
  });
});

describe("redisLimiter", () => {
  it.each([{}, 5, null, undefined, Promise.resolve("redis://a"), { url: "redis://a", client: new Bottleneck() }])("refuses %s for a Redis", (redis) => {
    expect(() => redisLimiter(redis as never)).toThrow('Option "redis');
  });
});
