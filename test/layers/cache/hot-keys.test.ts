import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { OptionError } from "../../../src/core/errors.ts";
import { HotKeys, type HotKeysOptions } from "../../../src/layers/cache/hot-keys.ts";

/** Ten seconds of half-life, by a clock that is set by hand. */
function setting(capacity = 4) {
  const clock = { at: 0, now: () => 0, elapsed: () => clock.at };
  const hot = new HotKeys({ capacity, halfLifeMs: 10_000 }, clock);
  const hits = (key: string, times: number): void => {
    for (let time = 0; time < times; time++) hot.hit(key);
  };
  return { hot, clock, hits };
}

describe("HotKeys", () => {
  it("counts exactly while there is room for all keys", () => {
    const { hot, hits } = setting();
    hits("a", 3);
    hits("b", 5);
    hits("a", 4);
    expect([hot.count("a"), hot.count("b"), hot.count("c")]).toEqual([7, 5, 0]);
    expect(hot.top(10)).toEqual([["a", 7], ["b", 5]]);
    expect(hot.top(1)).toEqual([["a", 7]]);
  });

  it("gives a new key the place and the count of the one that was counted least", () => {
    const { hot, hits } = setting(2);
    hits("a", 5);
    hits("b", 2);
    hits("c", 1);
    expect([hot.count("a"), hot.count("b"), hot.count("c")]).toEqual([5, 0, 3]);
  });

  it("gives the hits since they were last taken, and none that it only supposes", () => {
    const { hot, hits } = setting(2);
    hits("a", 5);
    hits("b", 2);
    hits("c", 1);
    expect(hot.takeHits()).toEqual(new Map([["a", 5], ["c", 1]]));
    expect(hot.takeHits()).toEqual(new Map());
    hits("c", 2);
    expect(hot.takeHits()).toEqual(new Map([["c", 2]]));
    expect(hot.count("c")).toBe(5);
  });

  it("lets counts halve with time, and what was hot give way to what is", () => {
    const { hot, clock, hits } = setting(2);
    hits("yesterday", 1_000);
    hits("other", 100);
    clock.at = 10_000;
    expect(hot.top(2)).toEqual([["yesterday", 500], ["other", 50]]);
    clock.at = 35_000;
    expect(hot.top(2)).toEqual([["yesterday", 125], ["other", 12]]);
    // The halves of half-lives count too.
    clock.at = 40_000;
    expect(hot.count("yesterday")).toBe(62);
    clock.at = 105_000;
    expect([hot.top(2), hot.count("yesterday")]).toEqual([[], 0]);
    hits("today", 3);
    hits("today too", 4);
    expect(hot.top(2)).toEqual([["today too", 4], ["today", 3]]);
  });

  it("seeks the key that is counted least anew after counts have halved", () => {
    const { hot, clock, hits } = setting(2);
    hits("b", 8);
    hits("a", 16);
    hits("c", 1);
    clock.at = 10_000;
    expect(hot.top(2)).toEqual([["a", 8], ["c", 4]]);
    hits("d", 1);
    expect(hot.top(2)).toEqual([["a", 8], ["d", 5]]);
  });

  it("halves while it is only hit", () => {
    const { hot, clock, hits } = setting(2);
    hits("a", 1_000);
    clock.at = 10_000;
    hits("a", 1_000);
    clock.at = 10_001;
    // The clock is read at every 256th hit: of the later ones at most that many count half.
    const count = hot.count("a");
    expect(count).toBeGreaterThanOrEqual(500 + 1_000 - 128);
    expect(count).toBeLessThanOrEqual(500 + 1_000);
  });

  it("counts every key with more than its share of the hits, none too low, and none too high by more than a share", () => {
    // Squared, so that some keys are asked for far more than others.
    const key = fc.integer({ min: 0, max: 6 }).map((number) => `key ${number * number}`);
    const rare = fc.integer({ min: 0, max: 500 }).map((number) => `rare ${number}`);
    fc.assert(
      fc.property(fc.array(fc.oneof(key, rare), { maxLength: 1_000, size: "max" }), fc.integer({ min: 1, max: 12 }), (keys, capacity) => {
        const { hot } = setting(capacity);
        const truth = new Map<string, number>();
        for (const asked of keys) {
          hot.hit(asked);
          truth.set(asked, (truth.get(asked) ?? 0) + 1);
        }
        const share = keys.length / capacity;
        const estimates = new Map(hot.top(capacity));
        const tooHigh = [...estimates].map(([asked, hits]) => hits - (truth.get(asked) ?? 0));
        expect(Math.min(0, ...tooHigh)).toBe(0);
        expect(Math.max(0, ...tooHigh)).toBeLessThanOrEqual(share);
        expect([...truth].filter(([asked, hits]) => hits > share && !estimates.has(asked))).toEqual([]);
        for (const [asked, hits] of hot.takeHits()) expect(hits).toBeLessThanOrEqual(truth.get(asked) as number);
      }),
      { seed: 20261121, numRuns: 300 },
    );
  });

  it.each([[{ capacity: 0 }], [{ capacity: 1.5 }], [{ halfLifeMs: 0 }], [{ size: 5 }]])("refuses %j", (options) => {
    expect(() => new HotKeys(options as HotKeysOptions)).toThrow(OptionError);
  });
});
