import assert from "node:assert/strict";
import { later, orderOf, permit, soon, times, waits, type Check } from "./check.ts";

const ONE_PLACE = { maxConcurrent: 1 };
/** How often a low priority may be passed over. */
const PATIENCE = 100;

/** Who is served first. */
export const orderCases: Record<string, Check> = {
  "serves priority 0 first and 9 last, and takes none for 5": async (open) => {
    const demands = [["9", { priority: 9 }], ["none", {}], ["0", { priority: 0 }], ["6", { priority: 6 }], ["4", { priority: 4 }]] as const;
    assert.deepEqual(await orderOf(await open(ONE_PLACE), demands), ["0", "4", "none", "6", "9"]);
  },

  "serves the earliest deadline first within a priority, and no deadline last": async (open) => {
    const demands = [
      ["none", {}], ["late", { deadlineMs: 40_000 }], ["early", { deadlineMs: 20_000 }], ["middle", { deadlineMs: 30_000 }],
      ["urgent", { deadlineMs: 10_000, priority: 6 }],
    ] as const;
    assert.deepEqual(await orderOf(await open(ONE_PLACE), demands), ["early", "middle", "late", "none", "urgent"]);
  },

  "serves equals in the order in which they came": async (open) => {
    const names = times(8, String);
    assert.deepEqual(await orderOf(await open(ONE_PLACE), names.map((name) => [name, {}] as const)), names);
  },

  "gives tenants equal turns, however many calls of each wait": async (open) => {
    const greedy = times(20, () => ["greedy", { tenant: "greedy" }] as const);
    const modest = times(5, () => ["modest", { tenant: "modest" }] as const);
    const served = await orderOf(await open(ONE_PLACE), [...greedy, ...modest]);
    assert.ok(served.lastIndexOf("modest") <= 12, `the last of 5 calls beside a tenant with 20 had turn ${served.lastIndexOf("modest") + 1}`);
  },

  "gives tenants turns by their weights": async (open) => {
    const demands = times(24, (at) => (at % 2 === 0 ? ["small", { tenant: "small" }] : ["large", { tenant: "large" }]) as [string, { tenant: string }]);
    const served = await orderOf(await open({ ...ONE_PLACE, weights: { large: 3 } }), demands);
    const large = served.slice(0, 12).filter((name) => name === "large").length;
    assert.ok(large >= 8 && large <= 10, `a tenant of weight 3 beside one of weight 1 had ${large} of 12 turns`);
  },

  "serves a low priority in the end, while high ones keep coming": async (open) => {
    const limiter = await open(ONE_PLACE);
    const held = await permit(limiter);
    let isServed = false;
    let passedOver = 0;
    const low = later((await waits(limiter, { priority: 9 })).permit.then((given) => {
      isServed = true;
      given.release();
    }));
    // The next one waits before this one ends, so that there is always one with priority 0.
    const keepComing = async (coming: Promise<{ release(): void }>): Promise<void> => {
      const given = await coming;
      passedOver += 1;
      const next = isServed || passedOver >= PATIENCE ? undefined : limiter.acquire({ priority: 0 });
      given.release();
      if (next) await keepComing(next);
    };
    const high = [await waits(limiter, { priority: 0 }), await waits(limiter, { priority: 0 })];
    held.release();
    await soon(Promise.all([low, ...high.map(({ permit: coming }) => keepComing(coming))]), "turns of high and low priorities");
    assert.ok(passedOver < PATIENCE, `${PATIENCE} calls with priority 0 passed over one with priority 9`);
  },
};
