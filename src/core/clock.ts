/** Source of time. Injected everywhere, so that tests own it. */
export interface Clock {
  /** Wall clock, milliseconds since the epoch. */
  now(): number;
  /** Monotonic clock, milliseconds since an arbitrary start; for durations. */
  elapsed(): number;
}

/** A clock that also wakes who asks for it. */
export interface Alarm extends Clock {
  /** Runs `work` after this many milliseconds of the monotonic clock, at the earliest. The process stays alive for it. @returns what calls it off */
  after(delayMs: number, work: () => void): () => void;
}

/** Node's timers ring at once, and `setInterval` all the time, for what is further away than this. */
export const LONGEST_TIMEOUT_MS = 2 ** 31 - 1;

export const systemClock: Alarm = {
  now: () => Date.now(),
  elapsed: () => performance.now(),
  after(delayMs, work) {
    const timer = setTimeout(work, Math.min(delayMs, LONGEST_TIMEOUT_MS));
    return () => clearTimeout(timer);
  },
};
