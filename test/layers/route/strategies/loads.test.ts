import { describe, expect, it } from "vitest";
import { questionOf, World } from "./world.ts";

/** The same answer time for everything asked of it. */
function learns(world: World, ...times: number[]): void {
  for (const [at, totalMs] of times.entries()) world.ended(world.deployments[at] as World["deployments"][number], { totalMs });
}

describe("least-busy", () => {
  it("asks whoever has least under way by its weight, where no times are known", () => {
    const world = new World("least-busy", [{ inFlight: 3 }, { inFlight: 5, weight: 3 }, { inFlight: 4 }]);
    expect(world.ask().index).toBe(1);
  });

  it("asks a slow one only when the fast one has more under way by more than that", () => {
    const world = new World("least-busy", [{}, {}]);
    learns(world, 1_000, 4_000);
    const [fast] = world.deployments as [World["deployments"][number]];
    const picks = Array.from({ length: 6 }, (_, inFlight) => {
      fast.inFlight = inFlight;
      return world.ask().index;
    });
    expect(picks.slice(0, 3)).toEqual([0, 0, 0]);
    expect(picks.slice(4)).toEqual([1, 1]);
  });

  it("takes one of which nothing is known for as good as the best, and no better", () => {
    const world = new World("least-busy", [{ inFlight: 1 }, { inFlight: 2 }, {}]);
    learns(world, 1_000, 3_000);
    expect(world.ask().index).toBe(2);
    (world.deployments[2] as World["deployments"][number]).inFlight = 2;
    expect(world.ask().index).toBe(0);
  });

  it("is not drawn to a deployment that is never busy because it fails at once", () => {
    const world = new World("least-busy", [{ inFlight: 2 }, { errorRate: 0.9 }]);
    learns(world, 1_000);
    expect(world.ask().index).toBe(0);
    learns(world, 1_000, 1_000);
    expect(world.ask().index).toBe(0);
  });
});

describe("lowest-latency", () => {
  it("never asks the slowest of several, and shares among the others", () => {
    const world = new World("lowest-latency", [{}, {}, {}]);
    learns(world, 500, 600, 5_000);
    const [first, second, third] = world.counts(300) as [number, number, number];
    expect(third).toBe(0);
    expect(first).toBeGreaterThan(second);
    expect(second).toBeGreaterThan(50);
  });

  it("minds the length of the answer: who starts late and writes fast is right for long ones", () => {
    const world = new World("lowest-latency", [{}, {}]);
    const [early, late] = world.deployments as [World["deployments"][number], World["deployments"][number]];
    world.ended(early, { firstMs: 100, totalMs: 100 + 499 * 20, usage: { inputTokens: 0, outputTokens: 500 }, inParts: true }, questionOf({ inputTokens: 0 }));
    world.ended(late, { firstMs: 1_000, totalMs: 1_000 + 499 * 5, usage: { inputTokens: 0, outputTokens: 500 }, inParts: true }, questionOf({ inputTokens: 0 }));
    expect(world.ask(questionOf({ maxOutputTokens: 5 })).index).toBe(0);
    expect(world.ask(questionOf({ maxOutputTokens: 500 })).index).toBe(1);
  });

  it("jumps away from a peak, comes back, and asks again whoever was slow long ago", () => {
    const world = new World("lowest-latency", [{}, {}]);
    learns(world, 500, 600);
    expect(world.ask().index).toBe(0);
    learns(world, 3_000);
    expect(world.ask().index).toBe(1);
    for (let second = 0; second < 200 && world.ask().index === 1; second++) {
      world.now += 1_000;
      world.ended(world.deployments[1] as World["deployments"][number], { totalMs: 600 });
    }
    expect(world.now).toBeGreaterThan(10_000);
    expect(world.now).toBeLessThan(190_000);
  });
});

describe("lowest-cost", () => {
  it("asks the cheapest that is not too slow, twice the fastest unless said otherwise", () => {
    const prices = [{ cost: 3 }, { cost: 2 }, { cost: 1 }];
    const byDefault = new World("lowest-cost", prices);
    learns(byDefault, 1_000, 1_900, 2_100);
    expect(byDefault.ask().index).toBe(1);
    const bounded = new World("lowest-cost", prices, { latencyBoundMs: 1_500 });
    learns(bounded, 1_000, 1_900, 2_100);
    expect(bounded.ask().index).toBe(0);
    const patient = new World("lowest-cost", prices, { latencyBoundMs: 9_000 });
    learns(patient, 1_000, 1_900, 2_100);
    expect(patient.ask().index).toBe(2);
  });

  it("asks whoever is done soonest where nobody keeps the bound", () => {
    const world = new World("lowest-cost", [{ cost: 1 }, { cost: 2 }, { inFlight: 1 }], { latencyBoundMs: 10 });
    learns(world, 1_000, 900, 500);
    expect(world.ask().index).toBe(1);
  });

  it("takes whoever has no price for the dearest, and of equals the least busy", () => {
    const world = new World("lowest-cost", [{}, { cost: 2, inFlight: 1 }, { cost: 2 }]);
    expect(world.ask().index).toBe(2);
    expect(new World("lowest-cost", [{ inFlight: 2 }, { inFlight: 1 }]).ask().index).toBe(1);
  });
});

describe("lowest-usage", () => {
  it("asks whoever has most of its quota left, and takes an unknown quota for untouched", () => {
    expect(new World("lowest-usage", [{ quotaUsed: 0.5 }, { quotaUsed: 0.2 }]).ask().index).toBe(1);
    expect(new World("lowest-usage", [{ quotaUsed: 0.01 }, {}]).ask().index).toBe(1);
  });

  it("goes by the requests of late and the weights where quotas are alike", () => {
    const world = new World("lowest-usage", [{ weight: 3 }, {}]);
    expect(world.counts(40)).toEqual([30, 10]);
  });
});
