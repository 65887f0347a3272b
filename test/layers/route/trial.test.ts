import { expect, it } from "vitest";
import { DeadlineError } from "../../../src/core/errors.ts";
import { Trial } from "../../../src/layers/route/trial.ts";
import { Gate } from "../support/gate.ts";
import { callOf, type Part } from "./support/scripted-kind.ts";

/** A trial of which the test decides when its alarm rings and when its first part comes. */
function tried(): { trial: Trial; begun: Promise<void>; part: Gate<Part>; ring(): void } {
  let now = 0;
  let work = (): void => {};
  const part = new Gate<Part>();
  const trial = new Trial({
    call: callOf({}, { mode: "stream", signal: undefined, control: { cache: "use" } }),
    next: (call) => ({
      async *[Symbol.asyncIterator]() {
        call.attempt?.began?.();
        yield await part.promise;
      },
    }),
    input: {}, attempt: {}, began: () => {}, spoke: () => {}, mode: "stream", patience: { attemptMs: Infinity, firstTokenMs: 100, stallMs: Infinity }, deadlineAt: Infinity,
    clock: { now: () => now, elapsed: () => now, after: (_delayMs, rung) => ((work = rung), () => {}) },
    facts: { deployment: "a", attempt: 0, durationMs: 0 }, isBreakable: true,
  });
  return {
    trial,
    begun: trial.begin(),
    part,
    ring() {
      now = 110;
      work();
    },
  };
}

it("is not over for what arrived while the process was busy, of which it hears after the alarm", async () => {
  const { trial, begun, part, ring } = tried();
  ring();
  part.open({ from: "a", request: 1, numbers: [0] });
  await begun;
  expect(trial.hasContent).toBe(true);
});

it("is over when nothing has arrived until the alarm", async () => {
  const { begun, part, ring } = tried();
  ring();
  setImmediate(() => part.open({ from: "a", request: 1, numbers: [0] }));
  await expect(begun).rejects.toBeInstanceOf(DeadlineError);
});
