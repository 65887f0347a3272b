import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Hedging, type HedgeOptions } from "../../../src/layers/route/hedging.ts";
import { seededRandom } from "../../../src/testing/random.ts";

function learned(samples: Iterable<number>, options: HedgeOptions = {}): Hedging {
  const hedging = new Hedging(options);
  for (const sample of samples) hedging.heard("a", sample);
  return hedging;
}

/** The numbers from 0 on, in no order. */
function shuffled(count: number): number[] {
  const random = seededRandom(7);
  return Array.from({ length: count }, (_, value) => ({ value, place: random() })).sort((one, other) => one.place - other.place).map(({ value }) => value);
}

/** So many calls come. */
function saved(hedging: Hedging, calls: number): Hedging {
  for (let call = 0; call < calls; call += 1) hedging.called();
  return hedging;
}

describe("the time after which a second deployment is asked", () => {
  it("is the user's own from the first call on", () => {
    expect(new Hedging({ afterMs: 250 }).afterMs("a")).toBe(250);
    expect(learned(shuffled(2_000), { afterMs: 250 }).afterMs("a")).toBe(250);
  });

  it("is not known before a hundred answers were heard, of this very deployment", () => {
    const hedging = learned(shuffled(99));
    expect(hedging.afterMs("a")).toBeUndefined();
    hedging.heard("a", 99);
    expect(hedging.afterMs("a")).toBeGreaterThan(90);
    expect(hedging.afterMs("b")).toBeUndefined();
  });

  it("is about the percentile, a little later when no hedges are saved up, and earlier when many are", () => {
    const hedging = learned(shuffled(2_000));
    const whenEmpty = hedging.afterMs("a") as number;
    const whenFull = saved(hedging, 400).afterMs("a") as number;
    expect([whenEmpty, whenFull]).toEqual([expect.closeTo(1_905, -0.5), expect.closeTo(1_885, -0.5)]);
    expect(saved(hedging, 400).afterMs("a")).toBe(whenFull);
    expect(saved(learned(shuffled(2_000), { percentile: 0.99 }), 400).afterMs("a")).toBeCloseTo(1_977, -0.5);
  });

  it("is that of the slowest that the budget reaches, where the percentile asks for more hedges than there may be", () => {
    expect(learned(shuffled(2_000), { percentile: 0.5, budget: 0.1 }).afterMs("a")).toBeCloseTo(1_810, -0.5);
  });

  it("follows the latest two thousand", () => {
    const hedging = learned(shuffled(2_000));
    for (const sample of shuffled(2_000)) hedging.heard("a", sample + 10_000);
    expect(hedging.afterMs("a")).toBeCloseTo(11_905, -0.5);
  });

  it("does not fall because those that lost against their hedge were not slower than it", () => {
    const hedging = learned(shuffled(1_900));
    for (let call = 0; call < 95; call += 1) hedging.heard("a", Infinity);
    expect(hedging.afterMs("a")).toBeCloseTo(1_899, -0.5);
  });

  it("is the longest that an answer took where more than the percentile never came", () => {
    const hedging = saved(learned(shuffled(1_000)), 400);
    for (let call = 0; call < 500; call += 1) hedging.heard("a", Infinity);
    expect(hedging.afterMs("a")).toBe(999);
  });

  it("is not known of one that never answers", () => {
    expect(learned(Array.from({ length: 200 }, () => Infinity)).afterMs("a")).toBeUndefined();
  });

  it("is not known any more of one that is gone", () => {
    const hedging = learned(shuffled(200));
    hedging.forget("a");
    expect(hedging.afterMs("a")).toBeUndefined();
  });

  it("is what sorting the latest two thousand gives", () => {
    const sample = fc.oneof(fc.integer({ min: 0, max: 50 }), fc.double({ min: 0, max: 100_000, noNaN: true }), fc.constant(Infinity));
    fc.assert(fc.property(fc.array(sample, { minLength: 100, maxLength: 2_400, size: "max" }), (samples) => {
      const sorted = samples.slice(-2_000).sort((one, other) => one - other);
      const times = sorted.filter((time) => time < Infinity);
      const at = (share: number): number | undefined => times[Math.min(Math.floor(share * sorted.length), times.length - 1)];
      expect(times.length === 0 ? [undefined] : [at(0.952_499), at(0.952_501)]).toContain(learned(samples).afterMs("a"));
    }), { seed: 20_261_129, numRuns: 50 });
  });
});

describe("the budget of hedges", () => {
  it("is empty at first, and a share of the calls", () => {
    const hedging = new Hedging({ budget: 0.25 });
    expect(hedging.take()).toBe(false);
    expect(saved(hedging, 3).take()).toBe(false);
    expect(saved(hedging, 1).take()).toBe(true);
    expect(hedging.take()).toBe(false);
  });

  it("saves up twenty and no more", () => {
    const hedging = saved(new Hedging({}), 10_000);
    expect(Array.from({ length: 30 }, () => hedging.take()).filter(Boolean)).toHaveLength(20);
  });

  it("is never exceeded, whatever the order of calls and hedges", () => {
    fc.assert(fc.property(fc.double({ min: 0.01, max: 1, noNaN: true }), fc.array(fc.boolean(), { maxLength: 1_000 }), (budget, steps) => {
      const hedging = new Hedging({ budget });
      let [calls, hedges] = [0, 0];
      for (const isCall of steps) {
        if (isCall) {
          hedging.called();
          calls += 1;
        } else if (hedging.take()) hedges += 1;
        expect(hedges).toBeLessThanOrEqual(budget * calls + 1e-9);
      }
    }), { seed: 20_261_129 });
  });

  it("is used almost whole, and for the slowest calls", () => {
    const random = seededRandom(11);
    const hedging = new Hedging({});
    let hedges = 0;
    let refused = 0;
    for (let call = 0; call < 20_000; call += 1) {
      hedging.called();
      const firstMs = 100 / (1 - random());
      const isSlow = firstMs > (hedging.afterMs("a") ?? Infinity);
      const isHedged = isSlow && hedging.take();
      if (isHedged) hedges += 1;
      else if (isSlow) refused += 1;
      hedging.heard("a", isHedged ? Infinity : firstMs);
    }
    expect(hedges / 20_000).toBeGreaterThan(0.045);
    expect(refused / hedges).toBeLessThan(0.15);
  });
});
