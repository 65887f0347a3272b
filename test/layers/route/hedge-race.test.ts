import { describe, expect, it } from "vitest";
import { answers, failure, NOTHING, unreachable, World, type WorldOptions } from "./support/route-world.ts";
import type { Step } from "./support/scripted-kind.ts";

const MODES = ["invoke", "stream"] as const;
/** After 50 ms, as often as it likes. */
const always: WorldOptions = { rules: { hedge: { afterMs: 50, budget: 1 } } };
const slow = (ms: number): readonly Step[] => [ms, "part", 10, "stop"];

describe.each(MODES)("a second deployment: %s", (mode) => {
  it("is not asked while the first is fast, and leaves no alarm", async () => {
    const world = new World({ a: [slow(49)], b: [answers()] }, always);
    const caller = await world.answer({ mode });
    expect([caller.attempts, caller.facts.hedged, world.leftOver]).toEqual([["a"], undefined, NOTHING]);
  });

  it("is asked exactly then, and gives the answer if it is first: the other is left", async () => {
    const world = new World({ a: [slow(500)], b: [slow(20)] }, always);
    const caller = world.ask({ mode });
    await world.time.pass(70);
    expect(world.leftOver.inFlight).toBe(1);
    await world.time.passAll();
    expect([caller.outcome, caller.endedAt, caller.attempts, world.requests[1]]).toEqual(["b", 80, ["a abandoned", "b"], { id: "b", at: 50 }]);
    expect(caller.facts).toMatchObject({ hedged: true, deployment: "b", attempts: [{ durationMs: 70 }, { durationMs: 30 }] });
    expect(world.leftOver).toEqual(NOTHING);
  });

  it("is left if the first is first after all", async () => {
    const world = new World({ a: [slow(60)], b: [slow(20)] }, always);
    const caller = await world.answer({ mode });
    expect([caller.outcome, caller.attempts, world.leftOver]).toEqual(["a", ["a", "b abandoned"], NOTHING]);
  });

  it("keeps nobody waiting that is deaf to being left", async () => {
    const world = new World({ a: [{ isDeaf: true, steps: slow(5_000) }], b: [slow(20)] }, always);
    const caller = world.ask({ mode });
    await world.time.pass(80);
    expect([caller.outcome, world.leftOver]).toEqual(["b", NOTHING]);
    await world.time.passAll();
    expect([caller.attempts, world.leftOver, world.targets[0]!.closed]).toEqual([["a abandoned", "b"], NOTHING, 1]);
  });

  it("does not lose what the first failed of in the meantime", async () => {
    const world = new World({ a: [[60, failure(429, "slow down", { retryAfterMs: 9_000 })]], b: [slow(20)] }, always);
    const caller = await world.answer({ mode });
    expect([caller.outcome, caller.attempts, world.leftOver]).toEqual(["b", ["a rate-limited", "b"], NOTHING]);
    expect(world.find("a").waitMs(60)).toBe(9_000);
  });

  it("that fails leaves the first to answer", async () => {
    const world = new World({ a: [slow(500)], b: [[5, failure(401)]] }, always);
    const caller = await world.answer({ mode });
    expect([caller.outcome, caller.attempts, world.disabled]).toEqual(["a", ["a", "b auth"], ["b auth"]]);
  });

  it.each([[5], [5, "empty"]] satisfies Step[][])("that ends without content is not the first to answer (%#)", async (...steps) => {
    const world = new World({ a: [slow(500)], b: [steps] }, { ...always, retry: { maxRetries: 0 } });
    const caller = await world.answer({ mode });
    expect([caller.outcome, caller.attempts, world.leftOver]).toEqual(["a", ["a", "b interrupted"], NOTHING]);
  });

  it("is followed by others where both fail, which is one retry", async () => {
    const world = new World({ a: [[100, failure(503)]], b: [[20, failure(503)]], c: [answers()] }, { ...always, retry: { maxRetries: 1 } });
    const caller = await world.answer({ mode });
    expect([caller.attempts, world.requests[2], world.leftOver]).toEqual([["a overloaded", "b overloaded", "c"], { id: "c", at: 100 }, NOTHING]);
  });

  it("is followed by others where the first fails before it, too", async () => {
    const world = new World({ a: [[60, failure(503)]], b: [[40, unreachable()]], c: [answers()] }, { ...always, retry: { maxRetries: 1 } });
    const caller = await world.answer({ mode });
    expect([caller.attempts, world.requests[2], world.leftOver]).toEqual([["a overloaded", "b network", "c"], { id: "c", at: 90 }, NOTHING]);
  });

  it("is never asked where asking twice may do something twice", async () => {
    const world = new World({ a: [slow(500)], b: [answers()] }, always);
    expect((await world.answer({ mode, question: { hasSideEffects: true } })).attempts).toEqual(["a"]);
  });

  it("is never asked more often than the budget says", async () => {
    const world = new World({ a: [slow(500)], b: [slow(500)] }, { rules: { hedge: { afterMs: 50, budget: 0.05 } } });
    const callers = Array.from({ length: 200 }, () => world.ask({ mode }));
    await world.time.passAll();
    expect(callers.filter(({ facts }) => facts.hedged)).toHaveLength(10);
    expect([world.requests.length, world.leftOver]).toEqual([210, NOTHING]);
  });

  it("is not asked while the first waits for its permits", async () => {
    const world = new World({ a: [{ queueMs: 400, steps: slow(20) }], b: [answers()] }, { ...always, isLimited: true });
    const caller = await world.answer({ mode });
    expect([caller.attempts, caller.facts.hedged, world.leftOver]).toEqual([["a"], undefined, NOTHING]);
    const slower = new World({ a: [{ queueMs: 400, steps: slow(60) }], b: [slow(5)] }, { ...always, isLimited: true });
    await slower.answer({ mode });
    expect(slower.requests[1]).toEqual({ id: "b", at: 450 });
  });

  it("is not asked that is known to take much longer for the whole", async () => {
    const world = new World({ a: [slow(100)], b: [[1, "part", 5_000, "stop"]] }, always);
    await world.answer({ mode, control: { deployment: "b" } });
    await world.answer({ mode, control: { deployment: "a" } });
    expect((await world.answer({ mode })).attempts).toEqual(["a"]);
  });

  it("is broken off with the first by the call's deadline", async () => {
    const world = new World({ a: [["silence"]], b: [["silence"]], c: [answers()] }, { rules: { hedge: { afterMs: 50, budget: 1 }, totalMs: 200 } });
    const caller = await world.answer({ mode });
    expect([caller.endedAt, caller.attempts, world.leftOver]).toEqual([200, ["a timeout", "b timeout"], NOTHING]);
  });
});

describe("a hedge that won", () => {
  it("and breaks off is not the end of an answer that is wanted whole", async () => {
    const world = new World({ a: [slow(500)], b: [[5, "part", 10]], c: [answers()] }, always);
    const caller = await world.answer();
    expect([caller.parts[0]?.reason, caller.attempts.slice(0, 2), world.leftOver]).toEqual(["stop", ["a abandoned", "b interrupted"], NOTHING]);
  });
});
