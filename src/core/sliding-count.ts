/** How much there was of something of late, by slices of time: the oldest is forgotten as a whole. */
export class SlidingCount {
  readonly #sliceMs: number;
  readonly #amounts: Float64Array;
  /** The present slice, counted from the start of the clock. */
  #newest = 0;

  /** @param slices into which the window is cut; what is older than the window, less one of them, may be forgotten */
  constructor(windowMs: number, slices: number) {
    this.#sliceMs = windowMs / slices;
    this.#amounts = new Float64Array(slices);
  }

  /** @param now monotonic milliseconds, as in `total` */
  add(now: number, amount = 1): void {
    this.#advance(now);
    const place = this.#newest % this.#amounts.length;
    this.#amounts[place] = (this.#amounts[place] as number) + amount;
  }

  total(now: number): number {
    this.#advance(now);
    return this.#amounts.reduce((sum, amount) => sum + amount, 0);
  }

  #advance(now: number): void {
    const slices = this.#amounts.length;
    const slice = Math.max(this.#newest, Math.floor(now / this.#sliceMs));
    for (let stale = Math.max(this.#newest + 1, slice - slices + 1); stale <= slice; stale++) this.#amounts[stale % slices] = 0;
    this.#newest = slice;
  }
}
