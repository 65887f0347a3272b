import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { SlidingCount } from "../../src/core/sliding-count.ts";

const minute = (): SlidingCount => new SlidingCount(60_000, 12);

describe("a count of the last minute", () => {
  it("is 0 at first, and counts what was added", () => {
    const count = minute();
    expect(count.total(1e9)).toBe(0);
    count.add(1e9);
    count.add(1e9 + 10);
    expect(count.total(1e9 + 10)).toBe(2);
  });

  it("forgets five seconds' worth at a time", () => {
    const count = minute();
    for (const at of [0, 4_999, 5_000]) count.add(at);
    expect([59_999, 60_000, 64_999, 65_000].map((now) => count.total(now))).toEqual([3, 1, 1, 0]);
  });

  it("forgets everything in a pause of a minute or more", () => {
    const count = minute();
    count.add(1_000);
    count.add(3_600_000);
    expect(count.total(3_600_000)).toBe(1);
  });

  it("has all of the last 55 seconds, and nothing that is older than a minute", () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 1e9, noNaN: true }), fc.array(fc.oneof(fc.nat(3_000), fc.nat(70_000)), { maxLength: 60 }), (start, gaps) => {
        const count = minute();
        const times: number[] = [];
        let now = start;
        for (const gap of gaps) {
          now += gap;
          times.push(now);
          count.add(now);
          const since = (ms: number): number => times.filter((time) => now - time < ms).length;
          expect(count.total(now)).toBeGreaterThanOrEqual(since(55_000));
          expect(count.total(now)).toBeLessThanOrEqual(since(60_000));
        }
      }),
      { seed: 20_261_129, numRuns: 300 },
    );
  });
});
