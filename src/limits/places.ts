import { AdaptiveConcurrency, fixedConcurrency, type Concurrency } from "./concurrency.ts";
import type { RequestEnd } from "./limiter.ts";

/** By how much a limit that adapts is hoped to grow while somebody waits. */
const HOPED_GROWTH = 2;
/** Part of the way by which the shortest duration comes back with each request that took longer. */
const FORGETTING = 0.05;

/** Who may be under way at once. */
export class Places {
  readonly #concurrency: Concurrency;
  readonly #isAdaptive: boolean;
  #share = 1;
  #taken = 0;
  /** Hardly any request takes less, milliseconds. */
  #shortestMs = Infinity;

  constructor(maxConcurrent: number | "adaptive") {
    this.#isAdaptive = maxConcurrent === "adaptive";
    this.#concurrency = maxConcurrent === "adaptive" ? new AdaptiveConcurrency() : fixedConcurrency(maxConcurrent);
  }

  get limit(): number {
    return Math.max(1, Math.floor(this.#concurrency.limit * this.#share));
  }

  get reason(): string {
    return this.#concurrency.reason;
  }

  get isFree(): boolean {
    return this.#taken < this.limit;
  }

  /** From now on only this share of the limit may be taken. One that adapts does so to what this process alone sees, and stays. */
  rescale(share: number): void {
    if (!this.#isAdaptive) this.#share = share;
  }

  /** Milliseconds that must pass before there is a place after so many others, even if all who have one now end at once, and all others as soon as can be hoped. */
  leastWaitMs(before: number): number {
    const rounds = Math.floor(before / (this.limit * (this.#isAdaptive ? HOPED_GROWTH : 1)));
    return rounds === 0 || this.#shortestMs === Infinity ? 0 : rounds * this.#shortestMs;
  }

  take(): void {
    this.#taken += 1;
  }

  leave(durationMs: number, end: RequestEnd, now: number): void {
    this.#concurrency.ended({ durationMs, end, active: this.#taken, now });
    this.#taken -= 1;
    const known = Math.min(this.#shortestMs, Number.MAX_VALUE);
    this.#shortestMs = Math.min(durationMs, known + (durationMs - known) * FORGETTING);
  }
}
