import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { EXACT, LearnedEstimates } from "../../src/limits/meters/estimates.ts";
import { Meter } from "../../src/limits/meters/meter.ts";
import { SlidingWindow } from "../../src/limits/meters/sliding-window.ts";

const MINUTE_MS = 60_000;

describe("a sliding window", () => {
  it("holds what a list of the last minute holds, and for less than a slice longer", () => {
    const step = fc.record({ afterMs: fc.oneof(fc.integer({ min: 0, max: 400 }), fc.integer({ min: 0, max: 70_000 })), amount: fc.integer({ min: 1, max: 100 }), settles: fc.nat(10), truth: fc.nat(150) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const window = new SlidingWindow(MINUTE_MS);
        const taken: { at: number; amount: number; isOpen: boolean }[] = [];
        let now = 0;
        for (const { afterMs, amount, settles, truth } of steps) {
          now += afterMs;
          const settled = taken.filter(({ isOpen }) => isOpen)[settles];
          if (settled) {
            window.settle(settled.amount, truth, settled.at, now);
            Object.assign(settled, { amount: truth, isOpen: false });
          }
          window.take(amount, now);
          taken.push({ at: now, amount, isOpen: true });
          const held = (lengthMs: number): number => taken.reduce((sum, { at, amount: each }) => (at > now - lengthMs ? sum + each : sum), 0);
          expect(window.sum(now, 1)).toBeGreaterThanOrEqual(held(MINUTE_MS));
          expect(window.sum(now, 1)).toBeLessThanOrEqual(held(MINUTE_MS + 250));
        }
      }),
      { seed: 1 },
    );
  });

  it("says when enough will have left, to the slice", () => {
    const window = new SlidingWindow(MINUTE_MS);
    window.take(10, 0);
    window.take(20, 30_000);
    expect([window.waitMs(30, 30_000, 1), window.waitMs(29, 30_000, 1), window.waitMs(20, 30_000, 1), window.waitMs(19, 30_000, 1)]).toEqual([0, 30_250, 30_250, 60_250]);
    expect([window.sum(60_249, 1), window.sum(60_250, 1), window.sum(90_249, 1), window.sum(90_250, 1)]).toEqual([30, 20, 20, 0]);
  });

  it("knows nothing of a truth that comes when its minute is past", () => {
    const window = new SlidingWindow(MINUTE_MS);
    window.take(10, 0);
    window.settle(10, 1_000, 0, 60_250);
    expect(window.sum(60_250, 1)).toBe(0);
  });

  it("counts what is open by a factor, and what is known as it is", () => {
    const window = new SlidingWindow(MINUTE_MS);
    window.take(10, 0);
    window.take(10, 0);
    window.settle(10, 12, 0, 10);
    expect(window.sum(10, 1.5)).toBe(12 + 15);
    expect(window.waitMs(27, 10, 1.5)).toBe(0);
    expect(window.waitMs(26, 10, 1.5)).toBe(60_240);
  });
});

describe("a meter", () => {
  const meter = (quota: number, estimates = EXACT): Meter => new Meter({ quota, lengthMs: MINUTE_MS, leastBurst: 1, estimates });

  /** Takes as soon as it may. @returns when */
  function takes(made: Meter, amounts: readonly number[], from = 0): number[] {
    let now = from;
    return amounts.map((amount) => {
      for (let waitMs = made.waitMs(amount, now); waitMs > 0; waitMs = made.waitMs(amount, now)) now += Math.ceil(waitMs);
      made.take(amount, now);
      return now;
    });
  }

  it("spreads a quota over its minute, 5% at once at first", () => {
    const times = takes(meter(600), Array.from({ length: 600 }, () => 1));
    expect(times.filter((at) => at === 0)).toHaveLength(30);
    expect(times.at(-1)).toBeGreaterThan(50_000);
    expect(times.at(-1)).toBeLessThan(MINUTE_MS);
  });

  it("holds in any minute, after an idle hour too", () => {
    const made = meter(100);
    const times = [...takes(made, Array.from({ length: 250 }, () => 1)), ...takes(made, Array.from({ length: 250 }, () => 1), 3_600_000)];
    for (const from of times) expect(times.filter((at) => at > from && at <= from + MINUTE_MS).length).toBeLessThanOrEqual(100);
    expect((times[249] ?? 0) / MINUTE_MS).toBeLessThan(2.5);
  });

  it("lets through what is as large as the quota, alone", () => {
    const learned = new LearnedEstimates();
    const made = meter(1_000, learned);
    for (let count = 0; count < 50; count++) learned.learn(100, 150);
    expect(learned.factor).toBeCloseTo(1.5);
    expect(takes(made, [1_000, 1_000])).toEqual([0, 60_250]);
  });

  it("gives back what was reserved and not used", () => {
    const made = meter(1_000);
    takes(made, [1_000]);
    expect(made.waitMs(1_000, 500)).toBeGreaterThan(50_000);
    made.settle(1_000, 0, 0, 500);
    expect([made.used(500), made.waitMs(1_000, 500)]).toEqual([0, 0]);
  });

  it("keeps to a share of its quota, and to all of it again", () => {
    const made = meter(100);
    made.rescale(0.25);
    const times = takes(made, Array.from({ length: 50 }, () => 1));
    expect(times.filter((at) => at < MINUTE_MS).length).toBe(25);
    made.rescale(1);
    expect(takes(made, Array.from({ length: 50 }, () => 1), times[49]).at(-1)).toBeLessThan((times[49] ?? 0) + MINUTE_MS / 2);
  });

  it("is not confused by sums of decimal fractions", () => {
    const made = meter(0.3);
    takes(made, [0.1, 0.2]);
    for (const amount of [0.1, 0.2]) made.settle(amount, 0, 0, 1);
    expect(made.waitMs(0.3, 1)).toBe(0);
  });
});

describe("learned estimates", () => {
  it("count reservations, which are never too small, as they are", () => {
    const learned = new LearnedEstimates();
    for (let count = 0; count < 100; count++) learned.learn(1_000, 10 * (count % 101));
    expect(learned.factor).toBe(1);
  });

  it("follow a bias, up and down", () => {
    const learned = new LearnedEstimates();
    for (let count = 0; count < 100; count++) learned.learn(1_000, 1_500);
    expect(learned.factor).toBeCloseTo(1.5);
    for (let count = 0; count < 200; count++) learned.learn(1_000, 700);
    expect(learned.factor).toBe(1);
  });

  it("hold some back when some are too small", () => {
    const learned = new LearnedEstimates();
    for (let count = 0; count < 100; count++) learned.learn(1_000, count % 2 === 0 ? 500 : 1_500);
    expect(learned.factor).toBeGreaterThan(1.1);
    expect(learned.factor).toBeLessThan(1.25);
  });

  it("know what can be hoped for", () => {
    const learned = new LearnedEstimates();
    for (let count = 0; count < 100; count++) learned.learn(1_000, 600 + (count % 10) * 10);
    expect(learned.least).toBeGreaterThan(0.55);
    expect(learned.least).toBeLessThan(0.65);
  });
});
