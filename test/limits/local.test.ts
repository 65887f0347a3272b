import { describe, expect, it } from "vitest";
import { DeadlineError, OptionError, QueueFullError, RateLimitError } from "../../src/core/errors.ts";
import type { Permit } from "../../src/limits/limiter.ts";
import { localLimiter } from "../../src/limits/local.ts";
import type { LimiterOptions } from "../../src/limits/options.ts";
import { limiterAt } from "./support/limiter-at.ts";

describe("a local limiter", () => {
  it("gives permits at once while nothing is in the way, and counts them", async () => {
    const { time, limiter } = limiterAt({ requestsPerMinute: 100, tokensPerMinute: 1_000, budgetUsdPerHour: 10, maxConcurrent: 2 });
    const permits = await Promise.all([limiter.acquire({ tokens: 25, costUsd: 0.2 }), limiter.acquire({ tokens: 25, costUsd: 0.3 })]);
    expect(permits.map(({ waitMs }) => waitMs)).toEqual([0, 0]);
    expect(limiter.status()).toEqual({
      name: "local", queued: 0, active: 2, concurrency: { limit: 2, reason: "as configured" },
      used: { requests: 0.02, tokens: 0.05, costUsd: 0.05 },
    });
    permits[0]?.release({ tokens: 75, costUsd: 0 });
    permits[0]?.release({ tokens: 0 });
    expect(limiter.status()).toMatchObject({ active: 1, used: { tokens: 0.1, costUsd: expect.closeTo(0.03) } });
    expect(time.alarms).toBe(0);
  });

  it("has no limit that was not asked for", async () => {
    const { limiter } = limiterAt({});
    await Promise.all(Array.from({ length: 1_000 }, () => limiter.acquire({ tokens: 1e9 })));
    expect(limiter.status()).toEqual({ name: "local", queued: 0, active: 1_000, used: {} });
  });

  it("hands a place on when it is given back", async () => {
    const { time, limiter } = limiterAt({ maxConcurrent: 1 });
    const first = await limiter.acquire();
    const second = limiter.acquire();
    await time.pass(1_000);
    expect(limiter.status()).toMatchObject({ queued: 1, active: 1 });
    first.release();
    expect((await second).waitMs).toBe(1_000);
  });

  it("lets nobody pass the call whose turn it is, and small ones go on when that leaves", async () => {
    const { time, limiter } = limiterAt({ tokensPerMinute: 1_000 });
    await limiter.acquire({ tokens: 500 });
    const controller = new AbortController();
    const large = limiter.acquire({ tokens: 1_000, signal: controller.signal });
    let served = false;
    void limiter.acquire({ tokens: 10 }).then(() => (served = true));
    await time.pass(40_000);
    expect(served).toBe(false);
    controller.abort(new Error("not wanted any more"));
    await expect(large).rejects.toThrow("not wanted any more");
    await time.pass(0);
    expect(served).toBe(true);
    expect(time.alarms).toBe(0);
  });

  it("gives a nested demand no place, and lets it pass those who wait for one", async () => {
    const { limiter } = limiterAt({ maxConcurrent: 1, requestsPerMinute: 100 });
    const outer = await limiter.acquire();
    const waiting = limiter.acquire();
    const nested = await limiter.acquire({ isNested: true });
    expect(limiter.status()).toMatchObject({ active: 2, queued: 1, used: { requests: 0.02 } });
    nested.release();
    expect(limiter.status()).toMatchObject({ active: 1, queued: 1 });
    outer.release();
    await waiting;
  });

  it("lets a nested demand wait for a quota alone", async () => {
    const { time, limiter } = limiterAt({ maxConcurrent: 1, requestsPerMinute: 1 });
    const outer = await limiter.acquire();
    const waiting = limiter.acquire({ priority: 0 });
    const nested = limiter.acquire({ isNested: true, priority: 9 });
    await time.pass(60_250);
    (await nested).release();
    outer.release();
    await time.pass(60_250);
    expect((await waiting).waitMs).toBe(120_500);
  });

  it("adapts its concurrency, and says why", async () => {
    const { time, limiter } = limiterAt({ maxConcurrent: "adaptive" });
    const before = limiter.status().concurrency?.limit ?? Number.NaN;
    const permits = await Promise.all(Array.from({ length: before }, () => limiter.acquire()));
    const waiting = limiter.acquire();
    await time.pass(500);
    for (const permit of permits) permit.release({ end: "overloaded" });
    await waiting;
    expect(limiter.status().concurrency).toEqual({ limit: Math.round(before * 0.8), reason: expect.stringContaining("429") });
  });

  it("does not keep nonsense that a provider told", async () => {
    const { limiter } = limiterAt({ tokensPerMinute: 1_000 });
    for (const tokens of [Number.NaN, -5, Infinity]) (await limiter.acquire({ tokens: 10 })).release({ tokens });
    expect(limiter.status().used).toEqual({ tokens: 0.03 });
  });

  it("is fair by what calls took, not by what they said, and by that if nonsense was told", async () => {
    const { time, limiter } = limiterAt({ maxConcurrent: 1, maxWaitMs: Infinity });
    const served = { sly: 0, honest: 0, odd: 0 };
    const calls = (["sly", "honest", "odd"] as const).flatMap((tenant) =>
      Array.from({ length: 300 }, async () => {
        const permit = await limiter.acquire({ tenant, tokens: tenant === "sly" ? 100 : 1_000 });
        served[tenant] += 1;
        await new Promise<void>((resolve) => void time.after(1, resolve));
        permit.release({ tokens: tenant === "odd" ? Number.NaN : 1_000 });
      }),
    );
    await time.pass(300);
    for (const count of Object.values(served)) expect(count).toBeCloseTo(100, -1);
    await time.pass(1_000);
    await Promise.all(calls);
  });
});

describe("who cannot get a permit", () => {
  it.each<[string, LimiterOptions, object, string]>([
    ["tokens", { tokensPerMinute: 1_000 }, { tokens: 1_001 }, 'The request takes 1001 tokens, and the limiter "local" allows 1000 in a minute (tokensPerMinute).'],
    ["requests", { requestsPerMinute: 2 }, { requests: 3 }, 'The request takes 3 requests, and the limiter "local" allows 2 in a minute (requestsPerMinute).'],
    ["USD", { budgetUsdPerHour: 0.5 }, { costUsd: 0.6 }, 'The request takes 0.6 USD, and the limiter "local" allows 0.5 in an hour (budgetUsdPerHour).'],
  ])("hears at once that so many %s are too many", async (_unit, options, demand, message) => {
    const { limiter } = limiterAt(options);
    const error: unknown = await limiter.acquire(demand).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(RateLimitError);
    expect(error).toMatchObject({ message, retryAfterMs: Infinity, retryable: false, limiter: "local" });
    expect(limiter.status()).toMatchObject({ queued: 0, active: 0 });
  });

  it("hears at once that the queue is full", async () => {
    const { limiter } = limiterAt({ maxConcurrent: 1, maxQueue: 1 });
    const permit = await limiter.acquire();
    const waiting = limiter.acquire();
    await expect(limiter.acquire()).rejects.toThrow(QueueFullError);
    permit.release();
    await waiting;
  });

  it("hears at once that it would be too late", async () => {
    const { limiter } = limiterAt({ requestsPerMinute: 1 });
    await limiter.acquire();
    await expect(limiter.acquire({ deadlineMs: 60_249 })).rejects.toThrow('A permit of the limiter "local" had to come within 60249 ms, and cannot come before 60250 ms have passed.');
    void limiter.acquire({ deadlineMs: 60_251 });
    await expect(limiter.acquire({ deadlineMs: 100_000 })).rejects.toThrow(DeadlineError);
    expect(limiter.status().queued).toBe(1);
  });

  it("hears at once that its deadline has passed, and is served at the last moment", async () => {
    const { limiter } = limiterAt({});
    await expect(limiter.acquire({ deadlineMs: -1 })).rejects.toThrow(DeadlineError);
    await limiter.acquire({ deadlineMs: 0 });
    expect(limiter.status().active).toBe(1);
  });

  it("hears at once that too many are ahead, by how long requests take at the least", async () => {
    const { time, limiter } = limiterAt({ maxConcurrent: 2, maxWaitMs: 10_000 });
    for (let round = 0; round < 3; round++) {
      const permits = await Promise.all([limiter.acquire(), limiter.acquire()]);
      await time.pass(1_000);
      for (const permit of permits) permit.release();
    }
    const outcomes = Array.from({ length: 30 }, () => limiter.acquire().then(() => "served", (error: Error) => error.name));
    expect(limiter.status()).toMatchObject({ active: 2, queued: 22 });
    expect((await Promise.all(outcomes.slice(24))).every((name) => name === "DeadlineError")).toBe(true);
  });

  it("is refused when the deadline passes, where nothing told before", async () => {
    const { time, limiter } = limiterAt({ maxConcurrent: 1, maxWaitMs: 500 });
    await limiter.acquire();
    const waiting = limiter.acquire().catch((error: unknown) => error);
    await time.pass(500);
    expect(await waiting).toBeInstanceOf(DeadlineError);
    expect([limiter.status().queued, time.alarms]).toEqual([0, 0]);
  });

  it("hears of a signal that is aborted already, and of a demand that makes no sense", async () => {
    const { limiter } = limiterAt({});
    await expect(limiter.acquire({ signal: AbortSignal.abort("gone") })).rejects.toBe("gone");
    await expect(limiter.acquire({ tokens: Number.NaN })).rejects.toThrow(OptionError);
    await expect(limiter.acquire({ priority: 10 })).rejects.toThrow('"priority"');
    expect(limiter.status().active).toBe(0);
  });

  it.each([{ tokensPerMinute: 0 }, { requestsPerMinute: "many" }, { maxConcurrent: 1.5 }, { maxQueue: -1 }, { weights: { a: 0 } }, { perMinute: 5 }])("is nobody with options such as %o", (options) => {
    expect(() => localLimiter(options as LimiterOptions)).toThrow(OptionError);
  });
});

describe("clocks that jump", () => {
  const acquireAll = async (limiter: ReturnType<typeof limiterAt>["limiter"], count: number): Promise<Permit[]> => Promise.all(Array.from({ length: count }, () => limiter.acquire()));

  it.each([-36e5, 36e5])("by the wall, %d ms, change nothing", async (offset) => {
    const { time, limiter } = limiterAt({ requestsPerMinute: 20 });
    const all = acquireAll(limiter, 40);
    await time.pass(50_000);
    time.wallOffset = offset;
    expect(limiter.status()).toMatchObject({ active: 18, queued: 22 });
    await time.pass(9_000);
    expect(limiter.status()).toMatchObject({ active: 20, queued: 20 });
    await time.pass(70_000);
    expect(await all).toHaveLength(40);
  });

  it("ahead, as after a sleep, let pass what a minute allows and no more", async () => {
    const { time, limiter } = limiterAt({ requestsPerMinute: 20, maxWaitMs: Infinity });
    const all = acquireAll(limiter, 100);
    await time.pass(30_000);
    time.jump(8 * 36e5);
    const before = limiter.status().active;
    await time.pass(59_999);
    expect(limiter.status().active - before).toBeLessThanOrEqual(20);
    expect(await time.passAll()).toBe(true);
    expect(await all).toHaveLength(100);
  });

  it("not at all let nobody through beyond the quota, nor spin, and go on when the clock does", async () => {
    const { time, limiter } = limiterAt({ requestsPerMinute: 20 });
    time.isFrozen = true;
    const all = acquireAll(limiter, 30);
    await time.ring(100);
    expect(limiter.status()).toMatchObject({ active: 1, queued: 29 });
    time.isFrozen = false;
    expect(await time.passAll()).toBe(true);
    expect(await all).toHaveLength(30);
  });
});
