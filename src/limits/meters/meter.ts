import type { Estimates } from "./estimates.ts";
import { Pace } from "./pace.ts";
import { SlidingWindow } from "./sliding-window.ts";

export interface MeterOptions {
  readonly quota: number;
  /** The time in which the quota may be taken, any such time. */
  readonly lengthMs: number;
  /** What may come at once however small the quota is. */
  readonly leastBurst: number;
  readonly estimates: Estimates;
}

/** Sums of decimal fractions are off by less than this. */
const ROUNDING = 1e-9;

/** One quota: how much of it is taken, and when more may be. */
export class Meter {
  readonly quota: number;
  readonly #lengthMs: number;
  readonly #window: SlidingWindow;
  readonly #pace: Pace;
  readonly #estimates: Estimates;
  /** The part of the quota that may be taken here. */
  #limit: number;
  /** Taken and not known yet, however long ago. */
  #open = 0;

  constructor({ quota, lengthMs, leastBurst, estimates }: MeterOptions) {
    this.quota = quota;
    this.#limit = quota;
    this.#lengthMs = lengthMs;
    this.#window = new SlidingWindow(lengthMs);
    this.#pace = new Pace(lengthMs, leastBurst);
    this.#estimates = estimates;
  }

  /** Share of the quota that is taken. */
  used(now: number): number {
    return this.#window.sum(now, 1) / this.#limit;
  }

  /** From now on only this share of the quota may be taken. */
  rescale(share: number): void {
    this.#limit = this.quota * share;
  }

  /** Milliseconds until this much may be taken, if nothing changes but time; 0 = now, `Infinity` = never. */
  waitMs(amount: number, now: number): number {
    if (amount === 0) return 0;
    if (amount > this.quota) return Infinity;
    const { factor } = this.#estimates;
    const room = this.#limit * (1 + ROUNDING) - Math.min(amount * factor, this.#limit);
    return Math.max(this.#window.waitMs(room, now, factor), this.#pace.waitMs(amount, this.#limit, now));
  }

  /**
   * Milliseconds that must pass before this much may be taken, with so much before it, even if all that is not known yet turns out to be as little as can be hoped:
   * no stretch of n windows takes more than n quotas.
   */
  leastWaitMs(amount: number, before: number, now: number): number {
    if (amount === 0) return 0;
    const { least } = this.#estimates;
    const own = Math.min(amount, this.#limit);
    const toCome = before * least + own;
    const windows = Math.max(1, Math.ceil(toCome / this.#limit));
    const leavesMs = this.#window.waitMs(windows * this.#limit * (1 + ROUNDING) - toCome, now, least);
    const pacedMs = this.#pace.waitMs(own, this.#limit, now, before * least, this.#open * (1 - least));
    return Math.max((windows - 1) * this.#lengthMs + leavesMs, pacedMs);
  }

  take(amount: number, now: number): void {
    this.#open += amount;
    this.#window.take(amount, now);
    this.#pace.take(amount, this.#limit, now);
  }

  settle(amount: number, truth: number, takenAt: number, now: number): void {
    this.#open -= amount;
    this.#window.settle(amount, truth, takenAt, now);
    this.#pace.giveBack(amount - truth, this.#limit);
    this.#estimates.learn(amount, truth);
  }
}
