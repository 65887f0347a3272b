import { describe, expect, it } from "vitest";
import { Sampler } from "../../../../src/layers/route/strategies/sampling.ts";
import { seededRandom } from "../../../../src/testing/random.ts";
import { World } from "./world.ts";

interface Truth {
  readonly meanMs: number;
  readonly errors?: number;
}

/** None of these was looked at while constants were chosen. */
const SEEDS = [901, 902, 903, 904, 905];

/** Asks so many times; answers take log-normal times with a deviation of half the mean. @returns the share of each */
function play(world: World, truths: readonly Truth[], calls: number): number[] {
  const sampler = new Sampler(world.random);
  for (const deployment of world.deployments) deployment.picks = 0;
  for (let call = 0; call < calls; call++) {
    const picked = world.ask();
    const { meanMs, errors = 0 } = truths[picked.index] as Truth;
    const totalMs = meanMs * Math.exp(0.47 * sampler.normal() - 0.11);
    world.now += 100;
    world.ended(picked, { totalMs, end: world.random() < errors ? "failed" : "ok" });
  }
  return world.deployments.map(({ picks }) => picks / calls);
}

describe.each(SEEDS)("learned, with seed %i", (seed) => {
  it("finds the fastest, and goes on trying the others a little", () => {
    const world = new World("learned", [{}, {}, {}], { seed });
    const shares = play(world, [{ meanMs: 3_000 }, { meanMs: 1_000 }, { meanMs: 2_500 }], 500);
    expect(shares[1]).toBeGreaterThan(0.7);
    expect(Math.min(...shares)).toBeGreaterThan(0);
  });

  it("would rather wait than fail", () => {
    const world = new World("learned", [{}, {}], { seed });
    const [failing] = play(world, [{ meanMs: 700, errors: 0.5 }, { meanMs: 1_000 }], 500) as [number];
    expect(failing).toBeLessThan(0.25);
  });

  it("takes the cheaper of two that are about as good", () => {
    const world = new World("learned", [{ cost: 0.03 }, { cost: 0.01 }], { seed });
    const [dear] = play(world, [{ meanMs: 1_000 }, { meanMs: 1_200 }], 500) as [number];
    expect(dear).toBeLessThan(0.25);
  });

  it("leaves whoever has become slow, and comes to whoever has become fast, within a hundred calls or so", () => {
    const world = new World("learned", [{}, {}], { seed });
    play(world, [{ meanMs: 1_000 }, { meanMs: 3_000 }], 300);
    play(world, [{ meanMs: 10_000 }, { meanMs: 3_000 }], 100);
    const [slowed] = play(world, [{ meanMs: 10_000 }, { meanMs: 3_000 }], 100) as [number];
    expect(slowed).toBeLessThan(0.3);
    play(world, [{ meanMs: 500 }, { meanMs: 3_000 }], 150);
    const [recovered] = play(world, [{ meanMs: 500 }, { meanMs: 3_000 }], 100) as [number];
    expect(recovered).toBeGreaterThan(0.7);
  });
});

describe("learned", () => {
  it("does not send a whole burst to the best before anything has come back", () => {
    const world = new World("learned", [{}, {}]);
    play(world, [{ meanMs: 1_000 }, { meanMs: 1_500 }], 200);
    for (const deployment of world.deployments) deployment.picks = 0;
    for (let call = 0; call < 100; call++) world.ask().inFlight += 1;
    for (const { picks } of world.deployments) expect(picks).toBeGreaterThan(20);
  });

  it("learns from requests that nobody waited for only that they took long", () => {
    const world = new World("learned", [{}, {}]);
    play(world, [{ meanMs: 1_000 }, { meanMs: 1_000 }], 100);
    const [first] = world.deployments as [World["deployments"][number]];
    for (let time = 0; time < 20; time++) world.ended(first, { totalMs: 1, end: "left" });
    const [unmoved] = world.counts(200) as [number];
    expect(unmoved).toBeLessThan(170);
    for (let time = 0; time < 20; time++) world.ended(first, { totalMs: 30_000, end: "left" });
    const [left] = world.counts(200) as [number];
    expect(left).toBeLessThan(40);
  });
});

describe("what is drawn", () => {
  it.each([[1, 1], [9, 1], [3, 7]])("has the mean and the variance of Beta(%i, %i)", (a, b) => {
    const sampler = new Sampler(seededRandom(17));
    const draws = Array.from({ length: 20_000 }, () => sampler.beta(a, b));
    const mean = draws.reduce((sum, draw) => sum + draw, 0) / draws.length;
    const variance = draws.reduce((sum, draw) => sum + (draw - mean) ** 2, 0) / draws.length;
    expect(mean).toBeCloseTo(a / (a + b), 2);
    expect(variance).toBeCloseTo((a * b) / ((a + b) ** 2 * (a + b + 1)), 2);
    expect(draws.every((draw) => draw > 0 && draw < 1)).toBe(true);
  });

  it("has mean 0 and deviation 1 where it is normal", () => {
    const sampler = new Sampler(seededRandom(18));
    const draws = Array.from({ length: 20_000 }, () => sampler.normal());
    expect(draws.reduce((sum, draw) => sum + draw, 0) / draws.length).toBeCloseTo(0, 1);
    expect(draws.reduce((sum, draw) => sum + draw ** 2, 0) / draws.length).toBeCloseTo(1, 1);
  });
});
