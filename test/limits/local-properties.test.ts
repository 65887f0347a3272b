import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { DeadlineError } from "../../src/core/errors.ts";
import type { Demand, Permit } from "../../src/limits/limiter.ts";
import type { LimiterOptions } from "../../src/limits/options.ts";
import { VirtualTime } from "../support/virtual-time.ts";
import { limiterAt } from "./support/limiter-at.ts";

const MINUTE_MS = 60_000;

interface Script {
  readonly comesAt: number;
  readonly demand: Demand;
  readonly lastsMs: number;
  /** Part of the estimates that is true. */
  readonly truth: number;
  readonly abortsAfterMs?: number | undefined;
}

interface Taken {
  readonly at: number;
  readonly estimate: number;
  knownAt: number;
  readonly truth: number;
}

/** The plain way to count: a list of all that was admitted. */
class Book {
  readonly #taken: Taken[] = [];

  /** @returns what the time that ends now has of it */
  held(now: number, lengthMs: number): number {
    return this.#taken.reduce((sum, { at, estimate, knownAt, truth }) => (at > now - lengthMs ? sum + (knownAt <= now ? truth : estimate) : sum), 0);
  }

  admitted(at: number, estimate: number, truth: number): Taken {
    const taken = { at, estimate, truth, knownAt: Infinity };
    this.#taken.push(taken);
    return taken;
  }
}

type Outcome = { readonly is: "served"; readonly waitMs: number } | { readonly is: "refused"; readonly error: unknown; readonly afterMs: number };

/** Plays calls to the end, and holds every admission against the plain books. */
async function play(options: LimiterOptions, scripts: readonly Script[]): Promise<Outcome[]> {
  const { time, limiter } = limiterAt(options, new VirtualTime(12_345.6));
  const books = { requests: new Book(), tokens: new Book(), costUsd: new Book() };
  const quotas = [["requests", options.requestsPerMinute, MINUTE_MS], ["tokens", options.tokensPerMinute, MINUTE_MS], ["costUsd", options.budgetUsdPerHour, 60 * MINUTE_MS]] as const;
  const outcomes: Outcome[] = [];
  let places = 0;
  const admitted = ({ demand, lastsMs, truth }: Script, permit: Permit): void => {
    const start = time.elapsed();
    const taken = quotas.map(([name]) => {
      const estimate = demand[name] ?? (name === "requests" ? 1 : 0);
      return books[name].admitted(start, estimate, name === "requests" ? estimate : estimate * truth);
    });
    for (const [name, quota = Infinity, lengthMs] of quotas) expect(books[name].held(start, lengthMs)).toBeLessThanOrEqual(quota * (1 + 1e-8));
    if (!demand.isNested) places += 1;
    expect(places).toBeLessThanOrEqual(options.maxConcurrent as number);
    time.after(lastsMs, () => {
      for (const each of taken) each.knownAt = time.elapsed();
      if (!demand.isNested) places -= 1;
      permit.release({ tokens: (demand.tokens ?? 0) * truth, costUsd: (demand.costUsd ?? 0) * truth });
    });
  };
  for (const [index, script] of scripts.entries()) {
    time.after(script.comesAt, () => {
      const controller = new AbortController();
      if (script.abortsAfterMs !== undefined) time.after(script.abortsAfterMs, () => controller.abort("aborted"));
      const since = time.elapsed();
      limiter.acquire({ ...script.demand, signal: controller.signal }).then(
        (permit) => {
          outcomes[index] = { is: "served", waitMs: permit.waitMs };
          admitted(script, permit);
        },
        (error: unknown) => (outcomes[index] = { is: "refused", error, afterMs: time.elapsed() - since }),
      );
    });
  }
  expect(await time.passAll(50_000)).toBe(true);
  expect(limiter.status()).toMatchObject({ queued: 0, active: 0 });
  expect(outcomes.filter(Boolean)).toHaveLength(scripts.length);
  return outcomes;
}

const limits = fc.record({
  requestsPerMinute: fc.option(fc.integer({ min: 1, max: 40 }), { nil: undefined }),
  tokensPerMinute: fc.option(fc.integer({ min: 100, max: 2_000 }), { nil: undefined }),
  budgetUsdPerHour: fc.option(fc.constantFrom(1, 3.3), { nil: undefined }),
  maxConcurrent: fc.oneof(fc.integer({ min: 1, max: 5 }), fc.constant(1_000)),
});

/** Mostly together, at times minutes apart. */
const comesAt = fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 2_000 }), fc.double({ min: 0, max: 150_000, noNaN: true }));

describe("a local limiter, whatever comes,", () => {
  it("keeps to its quotas in any window, and serves all who stay", async () => {
    const script = fc.record({
      comesAt,
      demand: fc.record({
        tokens: fc.integer({ min: 0, max: 100 }), costUsd: fc.constantFrom(0, 0.1, 0.9), priority: fc.constantFrom(0, 5, 9), tenant: fc.constantFrom("a", "b", "c"),
        isNested: fc.constantFrom(false, false, false, true), deadlineMs: fc.constantFrom(Infinity, Infinity, 20_000, 0),
      }),
      lastsMs: fc.oneof(fc.integer({ min: 0, max: 5_000 }), fc.integer({ min: 0, max: 100_000 })),
      truth: fc.double({ min: 0, max: 1, noNaN: true }),
      abortsAfterMs: fc.option(fc.integer({ min: 0, max: 30_000 }), { nil: undefined, freq: 4 }),
    });
    await fc.assert(
      fc.asyncProperty(limits, fc.array(script, { maxLength: 50 }), async (options, scripts) => {
        const outcomes = await play({ ...options, maxWaitMs: Infinity }, scripts);
        outcomes.forEach((outcome, index) => {
          const { demand, abortsAfterMs } = scripts[index] as Script;
          if (outcome.is === "refused" && outcome.error instanceof DeadlineError) expect(demand.deadlineMs).toBeLessThan(Infinity);
          else if (outcome.is === "refused") expect([outcome.error, outcome.afterMs]).toEqual(["aborted", expect.closeTo(abortsAfterMs as number)]);
        });
      }),
      { seed: 11, numRuns: 300 },
    );
  }, 60_000);

  it("refuses at once nobody who would have made it", async () => {
    const script = fc.record({ comesAt, tokens: fc.integer({ min: 0, max: 100 }) });
    const scene = fc.record({ options: limits, scripts: fc.array(script, { minLength: 1, maxLength: 40 }), probe: script, lastsMs: fc.integer({ min: 0, max: 90_000 }), truth: fc.double({ min: 0.25, max: 1, noNaN: true }) });
    let refused = 0;
    await fc.assert(
      fc.asyncProperty(scene, async ({ options, scripts, probe, lastsMs, truth }) => {
        const playedWith = async (deadlineMs: number): Promise<Outcome> => {
          const calls = [...scripts, probe].map(({ comesAt: at, tokens }, index) => ({ comesAt: at, demand: { tokens, deadlineMs: index === scripts.length ? deadlineMs : 1e9 }, lastsMs, truth }));
          return (await play({ ...options, maxWaitMs: Infinity }, calls)).at(-1) as Outcome;
        };
        const free = await playedWith(1e9);
        if (free.is === "refused") throw free.error;
        expect((await playedWith(free.waitMs + 0.001)).is).toBe("served");
        const late = await playedWith(free.waitMs / 4);
        if (late.is === "refused" && late.afterMs === 0) refused += 1;
      }),
      { seed: 12, numRuns: 200 },
    );
    // It does refuse who is far from it.
    expect(refused).toBeGreaterThan(50);
  }, 60_000);
});
