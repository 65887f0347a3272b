import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { hashText, seededRandom } from "../random.ts";
import { isLate, passes, permit, queued, refused, soon, times, waits, type Check } from "./check.ts";

/** Requests under way at once. */
export const placeCases: Record<string, Check> = {
  "gives as many permits as maxConcurrent, and no more": async (open) => {
    const limiter = await open({ maxConcurrent: 3 });
    const held = await Promise.all(times(3, () => permit(limiter)));
    await refused(limiter);
    held[1]?.release();
    await permit(limiter);
    await refused(limiter);
  },

  "takes a release twice for one": async (open) => {
    const limiter = await open({ maxConcurrent: 1 });
    const first = await permit(limiter);
    const second = await waits(limiter);
    first.release();
    first.release({ end: "failed" });
    await second.permit;
    first.release();
    await refused(limiter);
    (await second.permit).release();
    await passes(limiter);
  },

  "gives a place back however a request has ended": async (open) => {
    const limiter = await open({ maxConcurrent: 1 });
    for (const end of [undefined, "ok", "overloaded", "failed", "left"] as const) (await permit(limiter)).release({ end });
    (await permit(limiter)).release({});
    (await permit(limiter)).release({ tokens: 100, costUsd: 0.5 });
    await passes(limiter);
  },

  "keeps a permit valid whose signal aborts": async (open) => {
    const limiter = await open({ maxConcurrent: 1 });
    const caller = new AbortController();
    const held = await permit(limiter, { signal: caller.signal });
    caller.abort();
    await refused(limiter);
    held.release();
    await passes(limiter);
  },

  "gives a nested demand its permit while all places are taken and others wait": async (open) => {
    const limiter = await open({ maxConcurrent: 1 });
    const outer = await permit(limiter);
    const other = await waits(limiter, { priority: 0 });
    const inner = await permit(limiter, { isNested: true });
    const innermost = await permit(limiter, { isNested: true, priority: 9 });
    innermost.release();
    inner.release();
    inner.release();
    await refused(limiter);
    assert.equal(limiter.status().queued, 1, "the end of a nested request served a call that waits for a place");
    outer.release();
    (await other.permit).release();
    await passes(limiter);
  },

  "serves 60 calls in the end, some of which leave, and never more than maxConcurrent at once": async (open) => {
    const limiter = await open({ maxConcurrent: 4 });
    const random = seededRandom(hashText("places"));
    let underWay = 0;
    let most = 0;
    const calls = times(60, async (at) => {
      const leaving = at % 5 === 0 ? new AbortController() : undefined;
      const demand = { priority: Math.floor(random() * 10), tenant: `tenant ${Math.floor(random() * 3)}`, ...(leaving && { signal: leaving.signal }) };
      const acquiring = limiter.acquire(at % 7 === 0 ? { ...demand, deadlineMs: 30 + random() * 100 } : demand);
      if (leaving) void sleep(random() * 100).then(() => leaving.abort(LEFT));
      const given = await acquiring.catch((error: unknown) => {
        if (error === LEFT && leaving) return undefined;
        if (isLate(error) && at % 7 === 0) return undefined;
        throw error;
      });
      if (!given) return;
      underWay += 1;
      most = Math.max(most, underWay);
      await sleep(random() * 2);
      underWay -= 1;
      given.release();
    });
    await soon(Promise.all(calls), "60 calls");
    assert.ok(most <= 4, `${most} requests were under way at once, where maxConcurrent is 4`);
    await queued(limiter, 0);
    const all = await Promise.all(times(4, () => permit(limiter)));
    await refused(limiter);
    for (const held of all) held.release();
  },
};

const LEFT = new Error("left");
