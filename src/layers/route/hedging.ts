export interface HedgeOptions {
  /** When a second deployment is asked, milliseconds after the first. Absent = learned, for each deployment by itself. */
  readonly afterMs?: number;
  /** Of a deployment's times to first content, 0 to 1: who is slower is hedged. It gives way a little to use the budget and not more. @default 0.95 */
  readonly percentile?: number;
  /** The most hedges, as a share of the calls. @default 0.05 */
  readonly budget?: number;
}

/** What is learned of a deployment: its latest times to first content. */
const WINDOW = 2_000;
/** With fewer nothing is known of the slowest 5%. */
const LEAST_SAMPLES = 100;
/** Hedges that may be saved up. */
const BURST = 20;
/** By how much the share of calls that are hedged is smaller than meant when no hedge is saved up, and how much it grows until all are: both as a part of it. */
const LESS_WHEN_EMPTY = 0.05;
const MORE_WHEN_FULL = 0.2;

/**
 * When a second deployment is asked because the first is slow, and whether that may be. One for each pool.
 *
 * Hedged requests after Dean and Barroso, The Tail at Scale (2013). A primary that lost against its hedge counts as slower than all others: recording the winner's
 * time would lower the percentile, and that again, until everything is hedged.
 */
export class Hedging {
  readonly #afterMs: number | undefined;
  readonly #budget: number;
  /** The share of calls that are to be hedged. */
  readonly #share: number;
  readonly #windows = new Map<string, SampleWindow>();
  /** Hedges that may be made. Nothing is saved up at first, so that there are never more than the budget says. */
  #saved = 0;

  constructor({ afterMs, percentile = 0.95, budget = 0.05 }: HedgeOptions) {
    this.#afterMs = afterMs;
    this.#budget = budget;
    // Where more calls are slow than may be hedged, hedges go to the slowest of them and not to whoever comes first.
    this.#share = Math.min(1 - percentile, budget);
  }

  /** A call came. */
  called(): void {
    this.#saved = Math.min(BURST, this.#saved + this.#budget);
  }

  /** When a second deployment is to be asked, milliseconds after this one was; `undefined` = not known yet. */
  afterMs(deployment: string): number | undefined {
    if (this.#afterMs !== undefined) return this.#afterMs;
    const window = this.#windows.get(deployment);
    if (!window || window.size < LEAST_SAMPLES) return undefined;
    // What is learned is a little off; what is saved up shows by how much, and brings the hedges to what the budget allows.
    return window.quantile(1 - this.#share * (1 - LESS_WHEN_EMPTY + (MORE_WHEN_FULL * this.#saved) / BURST));
  }

  /** Whether there is a hedge left. */
  get hasSome(): boolean {
    return this.#saved >= 1;
  }

  /** Spends a hedge. @returns false when there is none left */
  take(): boolean {
    if (!this.hasSome) return false;
    this.#saved -= 1;
    return true;
  }

  /**
   * A request had its first content after so long.
   * @param firstMs `Infinity` for one that was left because its hedge had won
   */
  heard(deployment: string, firstMs: number): void {
    if (this.#afterMs !== undefined) return;
    let window = this.#windows.get(deployment);
    if (!window) this.#windows.set(deployment, (window = new SampleWindow()));
    window.add(firstMs);
  }

  /** A deployment is gone. */
  forget(deployment: string): void {
    this.#windows.delete(deployment);
  }
}

/** The latest samples, also in their order of size. A new one is found its place in O(log n) steps; making room for it moves 16 KB of memory at the most. */
class SampleWindow {
  readonly #latest = new Float64Array(WINDOW);
  readonly #sorted = new Float64Array(WINDOW);
  /** Of all samples there ever were. */
  #count = 0;

  get size(): number {
    return Math.min(this.#count, WINDOW);
  }

  add(sample: number): void {
    const place = this.#count % WINDOW;
    let size = this.size;
    if (size === WINDOW) {
      const oldest = this.#placeOf(this.#latest[place] as number, size);
      this.#sorted.copyWithin(oldest, oldest + 1, size);
      size -= 1;
    }
    const at = this.#placeOf(sample, size);
    this.#sorted.copyWithin(at + 1, at, size);
    this.#sorted[at] = sample;
    this.#latest[place] = sample;
    this.#count += 1;
  }

  /** The sample than which this share are smaller; the largest that is a time where that is none; `undefined` = no sample is a time. */
  quantile(share: number): number | undefined {
    const times = this.#placeOf(Infinity, this.size);
    return times === 0 ? undefined : this.#sorted[Math.min(Math.floor(share * this.size), times - 1)];
  }

  /** How many samples are smaller. */
  #placeOf(sample: number, size: number): number {
    let [low, high] = [0, size];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#sorted[middle] as number) < sample) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
