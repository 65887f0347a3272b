import type { Clock } from "../../core/clock.ts";

/** What is earned and spent counts for ten slices of a second. */
const SLICE_MS = 1_000;
const SLICES = 10;
/** Retries that each window has in any case: a program that makes three calls a minute earns nothing and may retry all the same. */
const FLOOR = 30;

interface Slice {
  /** When it began, in slices of the clock. */
  at: number;
  calls: number;
  retries: number;
}

/**
 * Keeps retries from making an overload worse: in any ten seconds there are at most 30 of them, or a share of the calls of the same time where that is more. One for each pool.
 *
 * After the retry budget of Finagle and linkerd, which have a window of ten seconds too, a share of 20% and a floor of 100; our calls are longer, and fewer.
 */
export class RetryBudget {
  readonly #share: number;
  readonly #clock: Pick<Clock, "elapsed">;
  readonly #slices = Array.from({ length: SLICES }, (): Slice => ({ at: -Infinity, calls: 0, retries: 0 }));

  /** @param share of the calls that may be retries, 0 to 1 */
  constructor(share: number, clock: Pick<Clock, "elapsed">) {
    this.#share = share;
    this.#clock = clock;
  }

  /** A call came; its first attempt is none that this is about. */
  called(): void {
    this.#slice().calls += 1;
  }

  /** Spends a retry. @returns false when there is none left */
  take(): boolean {
    const now = this.#slice();
    let [calls, retries] = [0, 0];
    for (const slice of this.#slices) {
      if (slice.at <= now.at - SLICES) continue;
      calls += slice.calls;
      retries += slice.retries;
    }
    if (retries + 1 > Math.max(FLOOR, this.#share * calls)) return false;
    now.retries += 1;
    return true;
  }

  #slice(): Slice {
    const at = Math.floor(this.#clock.elapsed() / SLICE_MS);
    const slice = this.#slices[at % SLICES] as Slice;
    if (slice.at !== at) Object.assign(slice, { at, calls: 0, retries: 0 });
    return slice;
  }
}
