import fc from "fast-check";
import { expect, it } from "vitest";
import { RetryBudget } from "../../../src/layers/route/retry-budget.ts";
import { VirtualTime } from "../../support/virtual-time.ts";

const FLOOR = 30;

/** Retries that are given until one is refused. */
function spend(budget: RetryBudget): number {
  let spent = 0;
  while (spent < 10_000 && budget.take()) spent += 1;
  return spent;
}

function calls(budget: RetryBudget, count: number): void {
  for (let call = 0; call < count; call += 1) budget.called();
}

it("gives some retries to a program that has made no calls, and again ten seconds later", () => {
  const clock = new VirtualTime();
  const budget = new RetryBudget(0.1, clock);
  expect(spend(budget)).toBe(FLOOR);
  clock.jump(9_000);
  expect(spend(budget)).toBe(0);
  clock.jump(1_000);
  expect(spend(budget)).toBe(FLOOR);
});

it("gives a share of the calls where that is more", () => {
  const budget = new RetryBudget(0.1, new VirtualTime());
  calls(budget, 1_000);
  expect(spend(budget)).toBe(100);
});

it("forgets what was earned more than ten seconds ago", () => {
  const clock = new VirtualTime();
  const budget = new RetryBudget(0.1, clock);
  calls(budget, 1_000);
  clock.jump(5_000);
  calls(budget, 500);
  clock.jump(5_000);
  expect(spend(budget)).toBe(50);
});

it("gives no more than the floor where the share is 0", () => {
  const budget = new RetryBudget(0, new VirtualTime());
  calls(budget, 1_000);
  expect(spend(budget)).toBe(FLOOR);
});

it("keeps retries of any run to the share of its calls and the floor of each ten seconds", () => {
  const step = fc.oneof(
    fc.record({ calls: fc.integer({ min: 1, max: 50 }) }),
    fc.record({ retries: fc.integer({ min: 1, max: 80 }) }),
    fc.record({ passMs: fc.integer({ min: 1, max: 25_000 }) }),
  );
  fc.assert(fc.property(fc.double({ min: 0, max: 1, noNaN: true }), fc.nat(100_000), fc.array(step, { maxLength: 200 }), (share, startMs, steps) => {
    const clock = new VirtualTime(startMs);
    const budget = new RetryBudget(share, clock);
    let [called, given] = [0, 0];
    for (const now of steps) {
      if ("passMs" in now) clock.jump(now.passMs);
      if ("calls" in now) calls(budget, now.calls);
      if ("calls" in now) called += now.calls;
      if ("retries" in now) for (let retry = 0; retry < now.retries; retry += 1) given += budget.take() ? 1 : 0;
      const windows = Math.floor((clock.elapsed() - startMs) / 10_000) + 2;
      expect(given).toBeLessThanOrEqual(share * called + FLOOR * windows);
    }
  }), { seed: 20_261_129 });
});

it("multiplies the load of a total outage by little more than its share", () => {
  const clock = new VirtualTime();
  const budget = new RetryBudget(0.1, clock);
  let sent = 0;
  for (let call = 0; call < 10_000; call += 1) {
    clock.jump(20);
    budget.called();
    sent += 1;
    for (let retry = 0; retry < 2 && budget.take(); retry += 1) sent += 1;
  }
  expect(sent).toBeGreaterThan(11_000);
  expect(sent).toBeLessThanOrEqual(11_700);
});
