import { getEventListeners } from "node:events";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { withDeadline } from "../../src/core/deadline.ts";
import { DeadlineError } from "../../src/core/errors.ts";
import { pause } from "../../src/core/pause.ts";

beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] }));
afterEach(() => void vi.useRealTimers());

it("a deadline gives what comes in time, and leaves no timer", async () => {
  expect(await withDeadline(Promise.resolve(1), 10, "late")).toBe(1);
  const failure = new Error("failed");
  await expect(withDeadline(Promise.reject(failure), 10, "late")).rejects.toBe(failure);
  expect(vi.getTimerCount()).toBe(0);
});

it("a deadline that passes is an error of its own, and what comes later is nobody's", async () => {
  const work = Promise.withResolvers<number>();
  const outcome = withDeadline(work.promise, 10, "late").catch((error: unknown) => error);
  await vi.advanceTimersByTimeAsync(9);
  expect(vi.getTimerCount()).toBe(1);
  await vi.advanceTimersByTimeAsync(1);
  const error = await outcome;
  expect(DeadlineError.isInstance(error) && error.message).toBe("late");
  work.reject(new Error("much later"));
  await vi.advanceTimersByTimeAsync(0);
  expect(vi.getTimerCount()).toBe(0);
});

it("a pause ends in time, and leaves neither timer nor listener", async () => {
  const { signal } = new AbortController();
  let ended = false;
  const paused = pause(10, signal).then(() => (ended = true));
  await vi.advanceTimersByTimeAsync(9);
  expect(ended).toBe(false);
  await vi.advanceTimersByTimeAsync(1);
  await paused;
  expect([vi.getTimerCount(), getEventListeners(signal, "abort").length]).toEqual([0, 0]);
});

it("a pause ends with the reason of an abort, before it or during it", async () => {
  const controller = new AbortController();
  const reason = new Error("gone");
  const paused = pause(10, controller.signal).catch((error: unknown) => error);
  controller.abort(reason);
  expect(await paused).toBe(reason);
  expect(vi.getTimerCount()).toBe(0);
  await expect(pause(10, controller.signal)).rejects.toBe(reason);
});
