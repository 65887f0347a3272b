/** What may come at once, of a whole quota. */
const BURST = 0.05;
/** How much faster than the quota it may go on: the sliding window holds the quota, this only keeps a minute's worth from coming in its first second. */
const HASTE = 1.05;
/** Sums of fractions are off by less than this. */
const ROUNDING_MS = 1e-6;

/**
 * Spreads a quota over its time: the generic cell rate algorithm (ITU-T I.371) with a small burst. What is larger than the burst goes when nothing before it is
 * owed any more.
 */
export class Pace {
  readonly #lengthMs: number;
  readonly #leastBurst: number;
  /** When all that was taken so far has been earned. */
  #earnedAt = 0;

  /** @param leastBurst what may come at once however small the quota is */
  constructor(lengthMs: number, leastBurst: number) {
    this.#lengthMs = lengthMs;
    this.#leastBurst = leastBurst;
  }

  /**
   * Milliseconds until this much may be taken.
   * @param before taken until then
   * @param back given back until then
   */
  waitMs(amount: number, quota: number, now: number, before = 0, back = 0): number {
    const burst = Math.max(BURST * quota, this.#leastBurst);
    const owedMs = Math.max(0, this.#earnedAt - now - this.#earnedIn(back, quota)) + this.#earnedIn(before, quota);
    const waitMs = owedMs - this.#earnedIn(Math.max(0, burst - amount), quota);
    return waitMs > ROUNDING_MS ? waitMs : 0;
  }

  take(amount: number, quota: number, now: number): void {
    this.#earnedAt = Math.max(this.#earnedAt, now) + this.#earnedIn(amount, quota);
  }

  /** What was taken turned out to be less by this much, or more if negative. */
  giveBack(amount: number, quota: number): void {
    this.#earnedAt -= this.#earnedIn(amount, quota);
  }

  #earnedIn(amount: number, quota: number): number {
    return (amount * this.#lengthMs) / (quota * HASTE);
  }
}
