import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { MinuteCount } from "../../../src/layers/route/minute-count.ts";

describe("a count of the last minute", () => {
  it("is 0 at first, and counts what was added", () => {
    const count = new MinuteCount();
    expect(count.count(1e9)).toBe(0);
    count.add(1e9);
    count.add(1e9 + 10);
    expect(count.count(1e9 + 10)).toBe(2);
  });

  it("forgets five seconds' worth at a time", () => {
    const count = new MinuteCount();
    for (const at of [0, 4_999, 5_000]) count.add(at);
    expect([59_999, 60_000, 64_999, 65_000].map((now) => count.count(now))).toEqual([3, 1, 1, 0]);
  });

  it("forgets everything in a pause of a minute or more", () => {
    const count = new MinuteCount();
    count.add(1_000);
    count.add(3_600_000);
    expect(count.count(3_600_000)).toBe(1);
  });

  it("has all of the last 55 seconds, and nothing that is older than a minute", () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 1e9, noNaN: true }), fc.array(fc.oneof(fc.nat(3_000), fc.nat(70_000)), { maxLength: 60 }), (start, gaps) => {
        const count = new MinuteCount();
        const times: number[] = [];
        let now = start;
        for (const gap of gaps) {
          now += gap;
          times.push(now);
          count.add(now);
          const since = (ms: number): number => times.filter((time) => now - time < ms).length;
          expect(count.count(now)).toBeGreaterThanOrEqual(since(55_000));
          expect(count.count(now)).toBeLessThanOrEqual(since(60_000));
        }
      }),
      { seed: 20_261_129, numRuns: 300 },
    );
  });
});
