import type { Clock } from "../../core/clock.ts";
import { SlidingCount } from "../../core/sliding-count.ts";

/** What is earned and spent counts for ten slices of a second. */
const WINDOW_MS = 10_000;
const SLICES = 10;
/** Retries that each window has in any case: a program that makes three calls a minute earns nothing and may retry all the same. */
const FLOOR = 30;

/**
 * Keeps retries from making an overload worse: in any ten seconds there are at most 30 of them, or a share of the calls of the same time where that is more. One for each pool.
 *
 * After the retry budget of Finagle and linkerd, which have a window of ten seconds too, a share of 20% and a floor of 100; our calls are longer, and fewer.
 */
export class RetryBudget {
  readonly #share: number;
  readonly #clock: Pick<Clock, "elapsed">;
  readonly #calls = new SlidingCount(WINDOW_MS, SLICES);
  readonly #retries = new SlidingCount(WINDOW_MS, SLICES);

  /** @param share of the calls that may be retries, 0 to 1 */
  constructor(share: number, clock: Pick<Clock, "elapsed">) {
    this.#share = share;
    this.#clock = clock;
  }

  /** A call came; its first attempt is none that this is about. */
  called(): void {
    this.#calls.add(this.#clock.elapsed());
  }

  /** Spends a retry. @returns false when there is none left */
  take(): boolean {
    const now = this.#clock.elapsed();
    if (this.#retries.total(now) + 1 > Math.max(FLOOR, this.#share * this.#calls.total(now))) return false;
    this.#retries.add(now);
    return true;
  }
}
