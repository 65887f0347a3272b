import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { playSaturated, type Phase, type PhaseResult } from "../../bench/limits/adaptive-upstream.ts";
import { OptionError } from "../../src/core/errors.ts";
import { AdaptiveConcurrency, fixedConcurrency, type EndedRequest } from "../../src/limits/concurrency.ts";

const MINUTE_MS = 60_000;

/** Plays phases of two minutes unless told otherwise; the limit is asked at the end. */
function play(phases: readonly (Partial<Phase> & { slots: number })[], stages = 1): { results: PhaseResult[]; last: PhaseResult; limit: number } {
  const concurrency = new AdaptiveConcurrency();
  const full = phases.map((phase) => ({ lastsMs: 2 * MINUTE_MS, meanMs: 400, ...phase }));
  const results = playSaturated({ phases: full, discipline: "fifo", stages, seed: 11 }, concurrency);
  return { results, last: results.at(-1) as PhaseResult, limit: concurrency.limit };
}

/** Seconds of answers, 25 in each, that all look alike. */
function answer(concurrency: AdaptiveConcurrency, seconds: number, like: Omit<EndedRequest, "now" | "end">, fromMs = 0): void {
  for (let at = 0; at < seconds * 25; at++) concurrency.ended({ ...like, end: "ok", now: fromMs + at * 40 });
}

describe("adaptive concurrency, always asked for more than it allows", () => {
  it("keeps all of an upstream's slots busy without queueing much at it", () => {
    const { last, limit } = play([{ slots: 20 }, { slots: 20 }]);
    expect(last.perSecond).toBeGreaterThan(0.95 * 50);
    expect(limit).toBeLessThan(35);
  });

  it("finds a knee far from where it began", () => {
    expect(play([{ slots: 150 }, { slots: 150 }]).last.perSecond).toBeGreaterThan(0.9 * 375);
    const small = play([{ slots: 2, lastsMs: 10 * MINUTE_MS }, { slots: 2 }], 4).last;
    expect(small.perSecond).toBeGreaterThan(0.9 * 5);
    // 20 at once would make it 4 seconds.
    expect(small.p99Ms).toBeLessThan(3_000);
  });

  it("follows an upstream that gets smaller and larger again", () => {
    const { results } = play([{ slots: 20 }, { slots: 5 }, { slots: 30 }]);
    expect(results.map(({ perSecond }) => Math.round(perSecond / 2.5))).toEqual([expect.closeTo(20, -1), expect.closeTo(5, 0), expect.closeTo(28, -1)]);
    // A limit that had stayed at 20 would have kept every request waiting for three others.
    expect(results[1]?.p99Ms).toBeLessThan(4_000);
  });

  it("does not take the queue that it makes for the upstream's own latency, however long it lasts", () => {
    expect(play([{ slots: 20, lastsMs: 60 * MINUTE_MS }], 4).limit).toBeLessThan(35);
  });

  it("does not take answers that got longer for a queue, in the long run", () => {
    const { last } = play([{ slots: 20 }, { slots: 20, meanMs: 1_600, lastsMs: 10 * MINUTE_MS }, { slots: 20, meanMs: 1_600 }]);
    expect(last.perSecond).toBeGreaterThan(0.85 * 12.5);
  });

  it("works at the pace of an upstream that takes half a minute for an answer", () => {
    const { last } = play([
      { slots: 40, meanMs: 30_000, lastsMs: 120 * MINUTE_MS },
      { slots: 40, meanMs: 30_000, lastsMs: 120 * MINUTE_MS },
    ]);
    expect(last.perSecond).toBeGreaterThan((0.9 * 40) / 30);
  });

  it("rarely asks again an upstream that refuses whatever is over its bound", () => {
    const { last } = play([{ slots: 100, refusesAt: 20, lastsMs: 10 * MINUTE_MS }, { slots: 100, refusesAt: 20, lastsMs: 10 * MINUTE_MS }]);
    expect(last.perSecond).toBeGreaterThan(0.93 * 50);
    expect(last.refused).toBeLessThan(0.002 * 600 * 50);
  });
});

describe("adaptive concurrency, a request at a time", () => {
  it("says where it begins, and why it changes", () => {
    const concurrency = new AdaptiveConcurrency({ initial: 16 });
    expect([concurrency.limit, concurrency.reason]).toEqual([16, "starting"]);
    const reasons = new Set<string>();
    for (let at = 0; at < 500; at++) {
      concurrency.ended({ durationMs: at < 100 ? 200 : 800, end: "ok", active: 60, now: at * 40 });
      reasons.add(concurrency.reason);
    }
    const said = [...reasons].join("\n");
    expect(said).toMatch(/^starting\nlatency 200 ms, 1\.0 x the best of late \(200 ms\): 16 -> 24$/m);
    expect(said).toMatch(/^latency 800 ms, 4\.0 x the best of late \(200 ms\): (\d+) -> (?!\1)\d+$/m);
    expect(said).toMatch(/^latency without a queue is being measured: (\d+) -> \d+\nlatency without a queue measured, \d00 ms: \d+ -> \1$/m);
  });

  it("is cut once by a burst of refusals, and again by what was admitted after that", () => {
    const concurrency = new AdaptiveConcurrency({ initial: 20 });
    for (let at = 0; at < 10; at++) concurrency.ended({ durationMs: 500, end: "overloaded", active: 20 - at, now: 1_000 + 40 * at });
    expect([concurrency.limit, concurrency.reason]).toEqual([16, "429, 503 or timeout from upstream: 20 -> 16"]);
    concurrency.ended({ durationMs: 300, end: "overloaded", active: 16, now: 1_500 });
    expect(concurrency.limit).toBe(13);
  });

  it("stays below what was refused, and says so", () => {
    const concurrency = new AdaptiveConcurrency({ initial: 10 });
    concurrency.ended({ durationMs: 50, end: "overloaded", active: 10, now: 0 });
    answer(concurrency, 9, { durationMs: 100, active: 10 }, 100);
    expect([concurrency.limit, concurrency.reason]).toEqual([9, "refused at 10 of late: 9 stays"]);
    answer(concurrency, 9, { durationMs: 100, active: 10 }, 9_100);
    expect(concurrency.limit).toBeGreaterThan(10);
  });

  it("neither grows nor shrinks while the limit is not reached", () => {
    const concurrency = new AdaptiveConcurrency({ initial: 10 });
    answer(concurrency, 30, { durationMs: 100, active: 9 });
    answer(concurrency, 30, { durationMs: 3_000, active: 9 }, 30_000);
    expect([concurrency.limit, concurrency.reason]).toEqual([10, "9 at once are the most that were needed: 10 stays"]);
  });

  it("learns nothing from requests that failed or were left", () => {
    const limitsOf = (others: readonly EndedRequest["end"][]): number[] => {
      const concurrency = new AdaptiveConcurrency();
      return Array.from({ length: 1_000 }, (_, at) => {
        for (const end of others) concurrency.ended({ durationMs: end === "left" ? 1 : 60_000, end, active: 12, now: at * 40 });
        concurrency.ended({ durationMs: 300 + (at % 7), end: "ok", active: concurrency.limit, now: at * 40 });
        return concurrency.limit;
      });
    };
    expect(new Set(limitsOf([])).size).toBeGreaterThan(3);
    expect(limitsOf(["left", "failed"])).toEqual(limitsOf([]));
  });

  it("does not judge by what it knew before a long time without requests", () => {
    const concurrency = new AdaptiveConcurrency({ initial: 20 });
    answer(concurrency, 20, { durationMs: 100, active: 60 });
    const before = concurrency.limit;
    answer(concurrency, 20, { durationMs: 900, active: 1_000 }, 60 * MINUTE_MS);
    expect(concurrency.limit).toBeGreaterThanOrEqual(before);
  });

  it("stays a whole number between its bounds, whatever ends in whatever way", () => {
    const step = fc.record({
      durationMs: fc.oneof(fc.constant(0), fc.double({ min: 0, max: 100_000, noNaN: true })),
      end: fc.oneof({ weight: 20, arbitrary: fc.constant("ok" as const) }, { weight: 1, arbitrary: fc.constantFrom("overloaded" as const, "failed" as const, "left" as const) }),
      active: fc.integer({ min: 1, max: 80 }),
      laterMs: fc.oneof({ weight: 50, arbitrary: fc.integer({ min: 0, max: 200 }) }, { weight: 1, arbitrary: fc.constant(10 * MINUTE_MS) }),
      times: fc.integer({ min: 1, max: 60 }),
    });
    const seen = new Set<number>();
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 8 }), fc.integer({ min: 0, max: 30 }), fc.array(step, { maxLength: 60 }), (min, room, steps) => {
        const concurrency = new AdaptiveConcurrency({ min, max: min + room });
        let now = 0;
        for (const { laterMs, times, ...request } of steps) {
          for (let time = 0; time < times; time++) {
            concurrency.ended({ ...request, now: (now += laterMs) });
            expect(Number.isInteger(concurrency.limit) && concurrency.limit >= min && concurrency.limit <= min + room).toBe(true);
            seen.add(concurrency.limit);
          }
          expect(concurrency.reason).not.toMatch(/NaN|Infinity|undefined/);
        }
      }),
      { seed: 4, numRuns: 200 },
    );
    expect(seen.size).toBeGreaterThan(20);
  });

  it("refuses bounds that make no sense", () => {
    expect(() => new AdaptiveConcurrency({ min: 0 })).toThrow(OptionError);
    expect(() => new AdaptiveConcurrency({ max: 2.5 })).toThrow(OptionError);
    expect(() => new AdaptiveConcurrency({ min: 5, max: 4 })).toThrow("adaptive.max");
    expect(() => new AdaptiveConcurrency({ max: 4, initial: 5 })).toThrow("adaptive.initial");
    expect(new AdaptiveConcurrency({ max: 4 }).limit).toBe(4);
    expect(new AdaptiveConcurrency({ min: 12 }).limit).toBe(12);
  });
});

describe("fixed concurrency", () => {
  it("is what it was given, whatever happens", () => {
    const concurrency = fixedConcurrency(3);
    concurrency.ended({ durationMs: 1, end: "overloaded", active: 3, now: 0 });
    expect([concurrency.limit, concurrency.reason]).toEqual([3, "as configured"]);
  });
});
