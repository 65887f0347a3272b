import { describe, expect, it } from "vitest";
import { callCount, nextCallId } from "../../../src/core/facts.ts";
import { concerns, Invalidations } from "../../../src/layers/cache/invalidations.ts";

const labels = (...own: string[]) => (): readonly string[] => own;
const at = (seq: number, epoch = "one"): { epoch: string; seq: number } => ({ epoch, seq });

/** The number of a call that is made now. */
function call(): number {
  nextCallId();
  return callCount();
}

describe("an invalidation", () => {
  it.each([
    [{ all: true } as const, true],
    [{ groups: [] }, true],
    [{ groups: [["x"]] }, true],
    [{ groups: [["x"], ["z"]] }, false],
    [{ groups: [["z", "y"], ["x"]] }, true],
    [{ groups: [], key: "k" }, true],
    [{ groups: [["x"]], key: "other" }, false],
    [{ groups: [[]] }, false],
  ])("%j concerns the entry k with the labels x and y: %s", (invalidation, expected) => {
    expect(concerns(invalidation, "k", ["x", "y"])).toBe(expected);
  });

  it("concerns what was asked for before, and not what was asked for after", () => {
    const invalidations = new Invalidations();
    const before = call();
    invalidations.add({ groups: [["x"]] });
    expect(invalidations.concern(before, "k", labels("x"))).toBe(true);
    expect(invalidations.concern(before, "k", labels("y"))).toBe(false);
    expect(invalidations.concern(call(), "k", labels("x"))).toBe(false);
  });

  it("that is no longer remembered concerns all that was asked for before it", () => {
    const invalidations = new Invalidations();
    const before = call();
    invalidations.add({ groups: [["x"]] });
    const after = call();
    for (let count = 0; count < 1_000; count += 1) invalidations.add({ groups: [["z"]] });
    expect(invalidations.concern(before, "k", labels("y"))).toBe(true);
    expect(invalidations.concern(after, "k", labels("y"))).toBe(false);
  });

  it("concerns what was written by one who had not heard of it, in the same life of the order", () => {
    const invalidations = new Invalidations();
    invalidations.add({ groups: [["x"]] }, at(5));
    expect(invalidations.concernWritten(at(4), Date.now(), "k", labels("x"))).toBe(true);
    expect(invalidations.concernWritten(at(5), Date.now(), "k", labels("x"))).toBe(false);
    expect(invalidations.concernWritten(at(4), Date.now(), "k", labels("y"))).toBe(false);
    expect(invalidations.concernWritten(at(4, "two"), Date.now(), "k", labels("x"))).toBe(false);
  });

  it("of this process concerns what others wrote until it gets its place later, or the last place that was seen when the order was lost sight of", () => {
    const invalidations = new Invalidations();
    invalidations.add({ groups: [["x"]], id: "first" });
    invalidations.add({ groups: [["y"]], id: "second" });
    expect(invalidations.concernWritten(at(0), Date.now(), "k", labels("x"))).toBe(true);
    invalidations.placed({ groups: [["x"]], id: "first" }, at(3));
    invalidations.lost(at(9));
    expect(invalidations.concernWritten(at(3), Date.now(), "k", labels("x"))).toBe(false);
    expect(invalidations.concernWritten(at(8), Date.now(), "k", labels("y"))).toBe(true);
    expect(invalidations.concernWritten(at(9), Date.now(), "k", labels("y"))).toBe(false);
  });
});
