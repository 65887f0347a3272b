const MINUTE_MS = 60_000;
/** The share of a limit that stays unused: providers count a little differently. */
const SMALLEST = 0.02;
const LARGEST = 0.25;
const KEPT_PER_MINUTE = 0.9;

/** How much of a limit stays unused. It grows when requests are refused all the same, since others then use the limit too, and shrinks again. */
export class Margin {
  #share = SMALLEST;
  #at = 0;

  share(now: number): number {
    return Math.max(SMALLEST, this.#share * KEPT_PER_MINUTE ** ((now - this.#at) / MINUTE_MS));
  }

  widen(now: number): void {
    this.#share = Math.min(LARGEST, this.share(now) * 2);
    this.#at = now;
  }
}
