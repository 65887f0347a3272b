import Bottleneck from "bottleneck";
import { bottleneckLimiter, DeadlineError, OptionError, type Demand, type Limiter, type RequestOutcome } from "langchain-perf/limits";
import { describe, expect, it } from "vitest";
import { resolveDemand, told } from "../../src/limits/demand.ts";
import { limiterAt } from "./support/limiter-at.ts";

const limiters: [string, () => Limiter][] = [
  ["localLimiter", () => limiterAt({ tokensPerMinute: 100_000, budgetUsdPerHour: 1 }).limiter],
  ["bottleneckLimiter", () => bottleneckLimiter(new Bottleneck(), { weight: ({ tokens }) => tokens ?? 1 })],
];

describe.each(limiters)("%s, called from code that nothing has checked", (_name, open) => {
  it.each<[option: string, demand: unknown, message: string]>([
    ["deadlineMs", { deadlineMs: "x" }, 'wanted a number, got "x"'],
    ["deadlineMs", { deadlineMs: NaN }, "wanted a number, got NaN"],
    ["requests", { requests: "1" }, 'wanted a number of at least 0, got "1"'],
    ["tokens", { tokens: [5] }, "wanted a number of at least 0, got an array of 1"],
    ["costUsd", { costUsd: "1" }, 'wanted a number of at least 0, got "1"'],
    ["priority", { priority: "1" }, 'wanted a whole number from 0 to 9, got "1"'],
  ])("refuses a demand whose %s is no number: %j", async (option, demand, message) => {
    const limiter = open();
    const error: unknown = await limiter.acquire(demand as Demand).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(OptionError);
    expect((error as OptionError).option).toBe(option);
    expect((error as OptionError).message).toContain(message);
    expect(limiter.status()).toMatchObject({ active: 0, queued: 0 });
  });

  it("takes null as absent, for a demand and for what is in it", async () => {
    const limiter = open();
    const nothing = { requests: null, tokens: null, costUsd: null, priority: null, tenant: null, deadlineMs: null, isNested: null, signal: null };
    for (const demand of [null, nothing]) (await limiter.acquire(demand as unknown as Demand)).release();
    expect(limiter.status()).toMatchObject({ active: 0, queued: 0 });
  });

  it("says of a deadline that has passed when that was, unless the signal has aborted: then its reason", async () => {
    const limiter = open();
    for (const isNested of [false, true]) {
      const error: unknown = await limiter.acquire({ deadlineMs: -5, isNested }).catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(DeadlineError);
      expect((error as Error).message).toBe("The deadline had passed 5 ms before the permit was asked for.");
    }
    const reason = new Error("gone");
    await expect(limiter.acquire({ deadlineMs: -5, signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  });

  it("gives the place back where the outcome is null", async () => {
    const limiter = open();
    (await limiter.acquire({ tokens: 10 })).release(null as unknown as RequestOutcome);
    expect(limiter.status().active).toBe(0);
  });

  it("counts what it is told in anything but numbers as not told", async () => {
    const limiter = open();
    for (const tokens of ["5", NaN, -1, Infinity, null, {}]) (await limiter.acquire({ tokens: 10 })).release({ tokens, costUsd: tokens } as RequestOutcome);
    expect(limiter.status()).toMatchObject({ active: 0, queued: 0 });
    const { used } = limiter.status();
    if (used) expect(used).toEqual({ tokens: 0.0006, costUsd: 0 });
  });
});

it("what counts as told is a number of at least 0 that has an end", () => {
  expect([0, 5, 0.5].map(told)).toEqual([0, 5, 0.5]);
  expect(["5", NaN, -1, Infinity, null, undefined, [5], 5n, new Number(5)].map(told)).toEqual(Array.from({ length: 9 }, () => undefined));
});

it("a demand of no deadline has the limiter's, and one of 0 has not passed", () => {
  expect(resolveDemand({}, 100, 7).deadlineAt).toBe(107);
  expect(resolveDemand({ deadlineMs: 0 }, 100, 7).deadlineAt).toBe(7);
  expect(resolveDemand({ deadlineMs: 1e9 }, 100, 7).deadlineAt).toBe(107);
});
