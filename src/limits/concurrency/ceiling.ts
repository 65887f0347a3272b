/** How long the limit stays below one that was refused, at first: this many latencies, of a second at least. */
const HOLD_LATENCIES = 10;
const LEAST_LATENCY_MS = 1_000;
/** How often that may double. */
const LONGEST_HOLD = 64;

/**
 * Remembers at which limit the upstream refused requests, so that an upstream with a hard bound is not asked again and again whether
 * it still has it: each time that it turns out to be where it was, the next try comes twice as late.
 */
export class Ceiling {
  #at = Infinity;
  #until = -Infinity;
  #holdMs = 0;

  /** The limit to stay below; `Infinity` when it is time to try. */
  below(now: number): number {
    return now < this.#until ? this.#at : Infinity;
  }

  refused(limit: number, latencyMs: number, now: number): void {
    const firstMs = HOLD_LATENCIES * Math.max(LEAST_LATENCY_MS, latencyMs);
    if (now >= this.#until) {
      const isWhereItWas = limit > this.#at * 0.75 && limit < this.#at / 0.75;
      this.#holdMs = isWhereItWas ? Math.min(LONGEST_HOLD * firstMs, this.#holdMs * 2) : firstMs;
    }
    this.#at = limit;
    this.#until = now + this.#holdMs;
  }
}
