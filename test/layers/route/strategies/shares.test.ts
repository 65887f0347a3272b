import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { World } from "./world.ts";

describe("round-robin", () => {
  it("asks one after the other", () => {
    const world = new World("round-robin", [{}, {}, {}]);
    expect(Array.from({ length: 7 }, () => world.ask().index)).toEqual([0, 1, 2, 0, 1, 2, 0]);
  });

  it("is fair to all that can be asked when the candidates change from pick to pick", () => {
    const world = new World("round-robin", [{}, {}, {}, {}]);
    // Each time another one cannot be asked: by place in the list, some would be asked twice as often.
    for (let turn = 0; turn < 400; turn++) world.ask(undefined, world.deployments.filter((_, at) => at !== turn % 4));
    for (const { picks } of world.deployments) expect(Math.abs(picks - 100)).toBeLessThanOrEqual(1);
  });

  it("never asks anybody a second time before everybody else, who could be asked all the time, has been", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 31 }), { maxLength: 200 }), (masks) => {
        const world = new World("round-robin", [{}, {}, {}, {}, {}]);
        const sinceLast = new Map<number, Set<number>>();
        for (const mask of masks) {
          const candidates = world.deployments.filter(({ index }) => (mask >> index) & 1);
          const { index } = world.ask(undefined, candidates);
          // Who was passed over before, and is a candidate now, would have had the turn.
          for (const passed of sinceLast.get(index) ?? []) expect(candidates.some((candidate) => candidate.index === passed)).toBe(false);
          for (const since of sinceLast.values()) since.delete(index);
          sinceLast.set(index, new Set(candidates.map((candidate) => candidate.index).filter((other) => other !== index)));
        }
      }),
      { seed: 20_261_129 },
    );
  });
});

describe("weighted", () => {
  it("is smooth, as nginx is", () => {
    const world = new World("weighted", [{ weight: 5 }, { weight: 1 }, { weight: 1 }]);
    expect(Array.from({ length: 7 }, () => world.ask().index)).toEqual([0, 0, 1, 0, 2, 0, 0]);
  });

  it("gives everybody exactly its weight in every cycle, and in between never one request more than its share", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 6 }), (weights) => {
        const world = new World("weighted", weights.map((weight) => ({ weight })));
        const cycle = weights.reduce((sum, weight) => sum + weight, 0);
        for (let turn = 1; turn <= 3 * cycle; turn++) {
          world.ask();
          for (const { picks, weight } of world.deployments) expect(picks).toBeLessThan((turn * weight) / cycle + 1);
          if (turn % cycle === 0) expect(world.deployments.map(({ picks }) => picks)).toEqual(weights.map((weight) => (weight * turn) / cycle));
        }
      }),
      { seed: 20_261_129 },
    );
  });

  it("keeps the shares of those that can be asked, though they come and go", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 15 }), { maxLength: 300 }), (masks) => {
        const world = new World("weighted", [{ weight: 5 }, { weight: 3 }, { weight: 2 }, { weight: 0.5 }]);
        const due = [0, 0, 0, 0];
        for (const mask of masks) {
          const candidates = world.deployments.filter(({ index }) => (mask >> index) & 1);
          const total = candidates.reduce((sum, { weight }) => sum + weight, 0);
          for (const { index, weight } of candidates) due[index] = (due[index] as number) + weight / total;
          world.ask(undefined, candidates);
          for (const { index, picks } of world.deployments) expect(Math.abs(picks - (due[index] as number))).toBeLessThan(2);
        }
      }),
      { seed: 20_261_129 },
    );
  });
});

describe("random", () => {
  it("asks each as often as its weight says", () => {
    const counts = new World("random", [{ weight: 5 }, { weight: 3 }, { weight: 2 }], { seed: 3 }).counts(10_000);
    expect(counts.map((count) => count / 1_000)).toEqual([expect.closeTo(5, 0), expect.closeTo(3, 0), expect.closeTo(2, 0)]);
  });
});
