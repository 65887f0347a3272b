import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Circuit } from "../../src/core/circuit.ts";

function circuit(): { circuit: Circuit; pass(ms: number): void } {
  let now = 0;
  const clock = { now: () => now, elapsed: () => now };
  return { circuit: new Circuit({ clock, maxFailures: 2, openMs: 100, maxOpenMs: 300 }), pass: (ms) => void (now += ms) };
}

describe("a circuit", () => {
  it("opens with the last of several failures in a row", () => {
    const { circuit: made } = circuit();
    expect(made.failed()).toBe(false);
    made.succeeded();
    expect([made.failed(), made.state, made.failed(), made.state]).toEqual([false, "closed", true, "open"]);
    expect([made.allows(), made.waitMs]).toEqual([false, 100]);
  });

  it("lets one through at a time when its time is up, and the next when that one does not come back", () => {
    const { circuit: made, pass } = circuit();
    made.failed();
    made.failed();
    pass(100);
    expect([made.state, made.waitMs, made.allows(), made.allows()]).toEqual(["half-open", 0, true, false]);
    pass(100);
    expect(made.allows()).toBe(true);
  });

  it("waits twice as long after each probe that failed, up to a bound, and as at first after a success", () => {
    const { circuit: made, pass } = circuit();
    made.failed();
    const waits = [1, 2, 3, 4].map(() => {
      made.failed();
      pass(made.waitMs - 1);
      expect(made.allows()).toBe(false);
      pass(1);
      expect(made.allows()).toBe(true);
      made.failed();
      return made.waitMs;
    });
    expect(waits[0]).toBe(200);
    expect(waits.at(-1)).toBe(300);
    made.succeeded();
    expect([made.state, made.failed(), made.failed(), made.waitMs]).toEqual(["closed", false, true, 100]);
  });

  it("never keeps anybody away for longer than its bound", () => {
    const steps = fc.array(fc.oneof(fc.constantFrom("fail" as const, "succeed" as const, "ask" as const), fc.nat(400)), { maxLength: 30 });
    fc.assert(
      fc.property(steps, (played) => {
        const { circuit: made, pass } = circuit();
        for (const step of played) {
          if (typeof step === "number") pass(step);
          else if (step === "ask") made.allows();
          else if (step === "fail") made.failed();
          else made.succeeded();
          expect(made.waitMs).toBeLessThanOrEqual(300);
        }
        pass(300);
        expect(made.allows()).toBe(true);
      }),
      { seed: 20_261_121, numRuns: 500 },
    );
  });
});
