/** What a window of answers shows. */
export interface Measured {
  readonly meanMs: number;
  /** Standard error of that mean. */
  readonly errorMs: number;
  /** Mean of the requests under way. */
  readonly active: number;
  /** The most that were under way. */
  readonly peak: number;
}

const LEAST_ANSWERS = 20;
const LEAST_MS = 1_000;
/** A window shorter than its answers would be made of those that were admitted before it. */
const LEAST_LATENCIES = 2;
/** Means are divided by. */
const SHORTEST_MS = 0.001;

/** Collects answers until there are enough of them to judge by. */
export class LatencyWindow {
  #answers = 0;
  #openedAt = 0;
  #sumMs = 0;
  #sumSquaresMs = 0;
  #sumActive = 0;
  #peak = 0;

  /** @returns the window when this answer fills it; the next one begins a new window */
  add(durationMs: number, active: number, now: number): Measured | undefined {
    if (this.#answers === 0) this.#openedAt = now;
    this.#answers += 1;
    const tookMs = Math.max(SHORTEST_MS, durationMs);
    this.#sumMs += tookMs;
    this.#sumSquaresMs += tookMs * tookMs;
    this.#sumActive += active;
    this.#peak = Math.max(this.#peak, active);
    const meanMs = this.#sumMs / this.#answers;
    if (this.#answers < LEAST_ANSWERS || now - this.#openedAt < Math.max(LEAST_MS, LEAST_LATENCIES * meanMs)) return undefined;
    const variance = Math.max(0, this.#sumSquaresMs / this.#answers - meanMs * meanMs);
    const measured = { meanMs, errorMs: Math.sqrt(variance / this.#answers), active: this.#sumActive / this.#answers, peak: this.#peak };
    this.clear();
    return measured;
  }

  clear(): void {
    this.#answers = 0;
    this.#sumMs = 0;
    this.#sumSquaresMs = 0;
    this.#sumActive = 0;
    this.#peak = 0;
  }
}
