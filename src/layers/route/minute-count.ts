const SLICES = 12;
const SLICE_MS = 60_000 / SLICES;

/** Counts what happened in the last minute, in slices of five seconds. */
export class MinuteCount {
  readonly #counts = new Float64Array(SLICES);
  #slice = -1;

  add(now: number): void {
    this.#turn(now);
    this.#counts[this.#slice % SLICES] = (this.#counts[this.#slice % SLICES] ?? 0) + 1;
  }

  count(now: number): number {
    this.#turn(now);
    return this.#counts.reduce((sum, count) => sum + count, 0);
  }

  #turn(now: number): void {
    const slice = Math.floor(now / SLICE_MS);
    if (slice === this.#slice) return;
    if (this.#slice < 0 || slice - this.#slice >= SLICES) this.#counts.fill(0);
    else for (let past = this.#slice + 1; past <= slice; past += 1) this.#counts[past % SLICES] = 0;
    this.#slice = slice;
  }
}
