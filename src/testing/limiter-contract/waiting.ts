import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { QueueFullError } from "../../core/errors.ts";
import { failsWith, GRACE_MS, isLate, later, passes, permit, queued, refused, soon, times, waits, type Check } from "./check.ts";

const isFull = (error: unknown): boolean => QueueFullError.isInstance(error);

/** Waiting has an end, and nobody who leaves is in the way. */
export const waitingCases: Record<string, Check> = {
  "lets an aborted call go with the signal's reason, and frees its place in the queue": async (open) => {
    const limiter = await open({ maxConcurrent: 1, maxQueue: 2 });
    const held = await permit(limiter);
    const caller = new AbortController();
    const reason = new Error("no longer wanted");
    const first = await waits(limiter, { priority: 0, signal: caller.signal });
    const second = await waits(limiter);
    caller.abort(reason);
    await failsWith(first.permit, (error) => error === reason, "the signal's reason");
    await queued(limiter, 1);
    const third = await waits(limiter);
    held.release();
    (await second.permit).release();
    (await third.permit).release();
    await passes(limiter);
  },

  "refuses a call whose signal is aborted already, and takes nothing for it": async (open) => {
    const limiter = await open({ maxConcurrent: 1 });
    const signal = AbortSignal.abort(new Error("never wanted"));
    for (const isNested of [false, true]) await failsWith(limiter.acquire({ signal, isNested }), (error) => error === signal.reason, "the signal's reason");
    const held = await permit(limiter);
    await failsWith(limiter.acquire({ signal }), (error) => error === signal.reason, "the signal's reason");
    assert.equal(limiter.status().queued, 0);
    held.release();
    await passes(limiter);
  },

  "lets a thousand calls of one signal go at once": async (open) => {
    const limiter = await open({ maxConcurrent: 1 });
    const held = await permit(limiter);
    const caller = new AbortController();
    const reason = new Error("all of it");
    const calls = times(1_000, () => limiter.acquire({ signal: caller.signal }));
    const outcomes = later(soon(Promise.allSettled(calls), "calls whose signal has aborted"));
    await queued(limiter, 1_000);
    caller.abort(reason);
    const wrong = (await outcomes).filter((outcome) => outcome.status === "fulfilled" || outcome.reason !== reason);
    assert.equal(wrong.length, 0, `${wrong.length} of 1000 calls did not reject with the signal's reason`);
    await queued(limiter, 0);
    held.release();
    await passes(limiter);
  },

  "refuses whoever is not served by the deadline, and takes nothing for it": async (open) => {
    const limiter = await open({ maxConcurrent: 1 });
    const held = await permit(limiter);
    const late = limiter.acquire({ deadlineMs: 50 });
    const patient = later(limiter.acquire({ deadlineMs: 60_000 }));
    await failsWith(late, isLate, "DeadlineError");
    await queued(limiter, 1);
    held.release();
    (await soon(patient, "a call with time")).release();
    await passes(limiter);
  },

  "lets nobody wait longer than maxWaitMs": async (open) => {
    const limiter = await open({ maxConcurrent: 1, maxWaitMs: GRACE_MS });
    const held = await permit(limiter);
    await failsWith(limiter.acquire(), isLate, "DeadlineError");
    await failsWith(limiter.acquire({ deadlineMs: 60_000 }), isLate, "DeadlineError");
    held.release();
    await passes(limiter);
  },

  "refuses one call more than maxQueue, and serves those who wait": async (open) => {
    const limiter = await open({ maxConcurrent: 1, maxQueue: 2 });
    const held = await permit(limiter);
    const waiting = [await waits(limiter), await waits(limiter)];
    await failsWith(limiter.acquire(), isFull, "QueueFullError");
    await failsWith(limiter.acquire({ priority: 0 }), isFull, "QueueFullError");
    assert.equal(limiter.status().queued, 2);
    held.release();
    for (const { permit: coming } of waiting) (await coming).release();
    await passes(limiter);
  },

  "says how long a permit was waited for": async (open) => {
    const limiter = await open({ maxConcurrent: 1 });
    const begin = performance.now();
    const held = await permit(limiter);
    assert.ok(held.waitMs >= 0 && held.waitMs <= performance.now() - begin + 1, `a permit that was free came after ${held.waitMs} ms`);
    const asked = performance.now();
    const waiting = await waits(limiter);
    const since = performance.now();
    await sleep(GRACE_MS);
    const least = performance.now() - since;
    held.release();
    const { waitMs } = await waiting.permit;
    const most = performance.now() - asked;
    assert.ok(waitMs >= least - 1 && waitMs <= most + 1, `a permit came after ${waitMs} ms, where it took between ${least} and ${most} ms`);
  },

  "says who it is, how many wait and how many permits are held": async (open) => {
    const limiter = await open({ maxConcurrent: 2 });
    const expectStatus = (wanted: { active: number; queued: number }): void => {
      const { name, active, queued: waiting } = limiter.status();
      assert.deepEqual({ name, active, queued: waiting }, { name: limiter.name, ...wanted });
    };
    assert.ok(typeof limiter.name === "string" && limiter.name !== "", "the limiter has no name");
    expectStatus({ active: 0, queued: 0 });
    const first = await permit(limiter);
    expectStatus({ active: 1, queued: 0 });
    const second = await permit(limiter);
    const third = await waits(limiter);
    expectStatus({ active: 2, queued: 1 });
    first.release();
    const last = await third.permit;
    expectStatus({ active: 2, queued: 0 });
    second.release();
    last.release();
    expectStatus({ active: 0, queued: 0 });
  },

  "serves those who wait when it is closed": async (open) => {
    const limiter = await open({ maxConcurrent: 1 });
    const held = await permit(limiter);
    const waiting = [await waits(limiter), await waits(limiter)];
    const closing = limiter.close?.();
    held.release();
    for (const { permit: coming } of waiting) (await coming).release();
    await soon(Promise.resolve(closing), "closing");
  },

  "leaves no rejection unhandled": async (open) => {
    const unhandled: unknown[] = [];
    const hear = (error: unknown): void => void unhandled.push(error);
    process.on("unhandledRejection", hear);
    try {
      const limiter = await open({ maxConcurrent: 1, maxQueue: 2 });
      const held = await permit(limiter);
      const caller = new AbortController();
      const waiting = await waits(limiter, { signal: caller.signal });
      await refused(limiter);
      await waits(limiter);
      await failsWith(limiter.acquire(), isFull, "QueueFullError");
      caller.abort(MARK);
      await failsWith(waiting.permit, (error) => error === MARK, "the signal's reason");
      held.release();
      await sleep(GRACE_MS);
    } finally {
      process.off("unhandledRejection", hear);
    }
    assert.deepEqual(unhandled, []);
  },
};

const MARK = new Error("aborted");
