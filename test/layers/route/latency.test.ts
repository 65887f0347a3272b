import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { PeakLatency } from "../../../src/layers/route/latency.ts";
import { VirtualTime } from "../../support/virtual-time.ts";
import { outcomeOf, questionOf } from "./strategies/world.ts";

function learned(...answers: readonly Parameters<typeof outcomeOf>[0][]): { latency: PeakLatency; time: VirtualTime } {
  const time = new VirtualTime();
  const latency = new PeakLatency(time);
  for (const answer of answers) latency.add(questionOf({}), outcomeOf(answer));
  return { latency, time };
}

describe("the latency of a deployment", () => {
  it("is not known before anything has come", () => {
    const { latency } = learned({ totalMs: 5_000, end: "left" }, { totalMs: 5_000, end: "failed" });
    expect(latency).toMatchObject({ isKnown: false, firstMs: undefined, totalMs: undefined });
    expect([latency.expectedMs(questionOf({})), latency.cautiousMs(questionOf({}))]).toEqual([0, 0]);
  });

  it("tells the time to the first content from that of each token", () => {
    const { latency } = learned({ firstMs: 400, totalMs: 400 + 99 * 10, inParts: true });
    expect(latency.firstMs).toBe(400);
    expect(latency.totalMs).toBe(1_390);
    expect(latency.expectedMs(questionOf({}))).toBeCloseTo(1_400);
    expect(latency.expectedMs(questionOf({ maxOutputTokens: 10 }))).toBeCloseTo(500);
    expect(latency.expectedMs(questionOf({ inputTokens: 50_000 }))).toBeGreaterThan(2_500);
  });

  it("expects of answers that come whole what they took, and less of shorter ones", () => {
    const { latency } = learned({ totalMs: 2_000 });
    expect(latency.expectedMs(questionOf({}))).toBeCloseTo(2_000);
    expect(latency.expectedMs(questionOf({ maxOutputTokens: 10 }))).toBeLessThan(1_000);
    expect(latency.firstMs).toBeUndefined();
  });

  it("knows by the parts of earlier answers what the time of a whole one is made of", () => {
    const { latency } = learned({ firstMs: 100, totalMs: 100 + 99 * 10, inParts: true }, { totalMs: 2_200 });
    // Twice as slow in all.
    expect(latency.cautiousMs(questionOf({ maxOutputTokens: 0 }))).toBeCloseTo(200);
  });

  it("gives all answers of a minute the same weight, the first one too", async () => {
    const { latency, time } = learned();
    for (const totalMs of [9_000, 1_000, 1_000, 1_000]) {
      latency.add(questionOf({}), outcomeOf({ totalMs }));
      await time.pass(1);
    }
    expect(latency.totalMs).toBeCloseTo(3_000, -1);
  });

  it("jumps up to a peak and comes down from it within half a minute, while the mean moves slowly", async () => {
    const { latency, time } = learned({ totalMs: 1_000 });
    await time.pass(1_000);
    latency.add(questionOf({}), outcomeOf({ totalMs: 8_000 }));
    expect(latency.cautiousMs(questionOf({}))).toBeCloseTo(8_000);
    expect(latency.expectedMs(questionOf({}))).toBeLessThan(5_000);
    for (let second = 0; second < 30; second++) {
      await time.pass(1_000);
      latency.add(questionOf({}), outcomeOf({ totalMs: 1_000 }));
    }
    expect(latency.cautiousMs(questionOf({}))).toBeLessThan(1_500);
  });

  it("comes down while there is no news, all the same for all", async () => {
    const { latency, time } = learned({ totalMs: 1_000 });
    await time.pass(90_000);
    expect(latency.expectedMs(questionOf({}))).toBeCloseTo(1_000 / Math.E);
    expect(latency.totalMs).toBe(1_000);
  });

  it("is not spoiled by what providers say of tokens", () => {
    const nonsense = { inputTokens: Number.NaN, outputTokens: Number.NaN };
    const { latency } = learned({ totalMs: 1_000 }, { totalMs: 1_000, usage: nonsense }, { totalMs: 1_000, usage: undefined });
    expect(latency.expectedMs(questionOf({}))).toBeCloseTo(1_000);
  });

  it("keeps the mean of whole answers when a short question, left unanswered, took longer than it should and less than the mean", () => {
    const { latency } = learned();
    const [long, short] = [questionOf({ inputTokens: 190_000 }), questionOf({ inputTokens: 0, maxOutputTokens: 1 })];
    latency.add(long, outcomeOf({ totalMs: 20_000 }));
    const expectedMs = latency.expectedMs(short);
    latency.add(short, outcomeOf({ totalMs: 10_000, end: "left" }));
    expect(latency.expectedMs(short)).toBeGreaterThan(expectedMs);
    expect(latency.totalMs).toBe(20_000);
  });

  it("is raised or left alone, and never lowered, by requests that did not end in an answer", () => {
    const ms = fc.double({ min: 0, max: 100_000, noNaN: true });
    const tokens = fc.nat(200_000);
    const usage = fc.record({ inputTokens: fc.nat(10_000), outputTokens: fc.nat(2_000) });
    const answer = fc.record({ totalMs: ms, firstMs: fc.option(ms, { nil: undefined }), inParts: fc.boolean(), usage });
    const answers = fc.array(fc.tuple(fc.nat(30_000), tokens, answer), { minLength: 1, maxLength: 10 });
    fc.assert(
      fc.property(answers, ms, tokens, fc.constantFrom("left" as const, "failed" as const), (earlier, totalMs, inputTokens, end) => {
        const { latency, time } = learned();
        for (const [passMs, promptTokens, each] of earlier) {
          latency.add(questionOf({ inputTokens: promptTokens }), outcomeOf(each));
          time.jump(passMs);
        }
        const question = questionOf({ inputTokens });
        const before = [latency.expectedMs(question), latency.cautiousMs(question), latency.totalMs ?? 0] as const;
        latency.add(question, outcomeOf({ totalMs, end }));
        const after = [latency.expectedMs(question), latency.cautiousMs(question), latency.totalMs ?? 0] as const;
        for (const [at, value] of before.entries()) expect(after[at]).toBeGreaterThanOrEqual(value * (1 - 1e-9) - 1e-9);
      }), { seed: 20_261_129, numRuns: 2_000 },
    );
  });
});
