import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { STRATEGY_NAMES } from "../../../../src/layers/route/strategies/all.ts";
import { questionOf, someDeployments, World } from "./world.ts";

const someQuestion = fc
  .record({
    texts: fc.array(fc.string({ maxLength: 2_000 }), { maxLength: 4 }),
    inputTokens: fc.nat(200_000),
    maxOutputTokens: fc.option(fc.nat(10_000), { nil: undefined }),
    session: fc.option(fc.string(), { nil: undefined }),
  })
  .map(questionOf);

const someOutcome = fc.record({
  end: fc.constantFrom("ok" as const, "failed" as const, "left" as const),
  firstMs: fc.option(fc.nat(60_000), { nil: undefined }),
  totalMs: fc.double({ min: 0, max: 600_000, noNaN: true }),
  usage: fc.option(fc.record({ inputTokens: fc.nat(100_000), outputTokens: fc.nat(10_000) }), { nil: undefined }),
  inParts: fc.boolean(),
});

const someStep = fc.record({ question: someQuestion, outcome: someOutcome, who: fc.nat(63), passMs: fc.nat(100_000) });

describe.each(STRATEGY_NAMES)("the strategy %s", (name) => {
  it("goes by its name", () => {
    expect(new World(name, []).strategy.name).toBe(name);
  });

  it("picks one of the candidates, whatever they are like and whatever has happened", () => {
    fc.assert(
      fc.property(someDeployments, fc.array(someStep, { maxLength: 30 }), fc.nat(1_000), (deployments, steps, seed) => {
        const world = new World(name, deployments, { seed });
        for (const { question, outcome, who, passMs } of steps) {
          const some = world.deployments.filter((_, at) => (who >> at) & 1);
          const candidates = some.length > 0 ? some : world.deployments;
          const picked = world.ask(question, candidates);
          expect(candidates).toContain(picked);
          world.now += passMs;
          world.ended(picked, outcome, question);
          const { isKnown, latency } = { isKnown: picked.latency.isKnown, latency: picked.latency.expectedMs(question) };
          expect(latency).toBeGreaterThanOrEqual(0);
          if (!isKnown) expect(latency).toBe(0);
        }
      }),
      { seed: 20_261_129 },
    );
  });

  it("asks everybody when all are alike", () => {
    const world = new World(name, Array.from({ length: 4 }, () => ({})));
    const counts = world.counts(400, () => questionOf({ session: String(world.random()) }));
    for (const count of counts) expect(count).toBeGreaterThan(50);
  });
});
