/** Slices of the time that counts. One more than these is held: the oldest counts whole until all of it is past. */
const SLICES = 240;
const HELD = SLICES + 1;

/**
 * What was taken in the time that counts, by slices of it. What is open, taken but not known yet, stands apart from what is known: both at the moment at which it
 * was taken, which is where providers count it.
 */
export class SlidingWindow {
  readonly #sliceMs: number;
  readonly #open = new Float64Array(HELD);
  readonly #known = new Float64Array(HELD);
  #openSum = 0;
  #knownSum = 0;
  /** The present slice, counted from the start of the clock. */
  #slice = 0;

  constructor(lengthMs: number) {
    this.#sliceMs = lengthMs / SLICES;
  }

  /** @param factor for what one open unit is counted */
  sum(now: number, factor: number): number {
    this.#advance(now);
    return this.#knownSum + this.#openSum * factor;
  }

  take(amount: number, now: number): void {
    this.#advance(now);
    this.#open[this.#slice % HELD]! += amount;
    this.#openSum += amount;
  }

  /** What was taken is known now; nothing happens when that is past already. */
  settle(amount: number, truth: number, takenAt: number, now: number): void {
    this.#advance(now);
    const slice = Math.floor(takenAt / this.#sliceMs);
    if (slice <= this.#slice - HELD) return;
    this.#open[slice % HELD]! -= amount;
    this.#known[slice % HELD]! += truth;
    this.#openSum -= amount;
    this.#knownSum += truth;
  }

  /** Milliseconds until no more than this is left of what was taken so far, if nothing changes but time. */
  waitMs(atMost: number, now: number, factor: number): number {
    let sum = this.sum(now, factor);
    if (sum <= atMost) return 0;
    for (let slice = Math.max(0, this.#slice - SLICES); slice <= this.#slice; slice++) {
      const place = slice % HELD;
      sum -= this.#known[place]! + this.#open[place]! * factor;
      if (sum <= atMost) return (slice + HELD) * this.#sliceMs - now;
    }
    return (this.#slice + HELD) * this.#sliceMs - now;
  }

  #advance(now: number): void {
    const slice = Math.floor(now / this.#sliceMs);
    for (let past = Math.max(this.#slice + 1, slice - SLICES); past <= slice; past++) {
      const place = past % HELD;
      this.#openSum -= this.#open[place]!;
      this.#knownSum -= this.#known[place]!;
      this.#open[place] = 0;
      this.#known[place] = 0;
    }
    this.#slice = Math.max(this.#slice, slice);
  }
}
