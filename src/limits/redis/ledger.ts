import { EXACT, LearnedEstimates, type Estimates } from "../meters/estimates.ts";
import { SLICES, type SharedLimits } from "./exchange-script.ts";
import { SLICE_MS, type Gauged } from "./gauges.ts";

/** How what Redis counts in one slice is to be changed. */
export type Correction = readonly [gauge: number, slice: number, difference: number];

/** By less than this share a new factor changes nothing that is open: each change is a correction for every slice. */
const NOTICEABLE = 0.005;

/**
 * What this process was granted and what it took, by slices of the server's time, beside what Redis was told of it. The difference is told with the next message,
 * and all of it to a Redis that has forgotten.
 */
export class Ledger {
  readonly #books = [new Book(EXACT), new Book(new LearnedEstimates()), new Book(new LearnedEstimates())] as const;
  readonly #limits: SharedLimits;

  constructor(limits: SharedLimits) {
    this.#limits = limits;
  }

  /** What Redis is asked for: enough though estimates are wrong as usual, and no more than there is at all. */
  reserved(estimate: Gauged): Gauged {
    const [requests, tokens, nanoUsd] = this.#books;
    const limits = this.#limits;
    return [
      requests.reserved(estimate[0]),
      Math.min(tokens.reserved(estimate[1]), limits.tokens ?? Infinity),
      Math.min(nanoUsd.reserved(estimate[2]), limits.nanoUsd ?? Infinity),
    ];
  }

  /** @param told what Redis has counted for it already */
  take(estimate: Gauged, told: Gauged, time: number): void {
    const [requests, tokens, nanoUsd] = this.#books;
    const minute = sliceOf(0, time);
    requests.take(minute, estimate[0], told[0]);
    tokens.take(minute, estimate[1], told[1]);
    nanoUsd.take(sliceOf(2, time), estimate[2], told[2]);
  }

  settle(estimate: Gauged, truth: Gauged, time: number): void {
    const [requests, tokens, nanoUsd] = this.#books;
    const minute = sliceOf(0, time);
    requests.settle(minute, estimate[0], truth[0]);
    tokens.settle(minute, estimate[1], truth[1]);
    nanoUsd.settle(sliceOf(2, time), estimate[2], truth[2]);
  }

  /** Whether there is something that Redis does not know yet. */
  get hasChanged(): boolean {
    const [requests, tokens, nanoUsd] = this.#books;
    return requests.hasChanged || tokens.hasChanged || nanoUsd.hasChanged;
  }

  /** What Redis does not know yet; it counts as told from now on. */
  corrections(): Correction[] {
    return this.#books.flatMap((book, gauge) => book.corrections().map(([slice, difference]): Correction => [gauge + 1, slice, difference]));
  }

  /** Redis knows nothing any more. */
  untold(): void {
    for (const book of this.#books) book.untold();
  }
}

function sliceOf(gauge: number, time: number): number {
  return Math.floor(time / (SLICE_MS[gauge] as number));
}

interface Slice {
  /** What was granted and is not known yet. */
  open: number;
  known: number;
  /** What Redis counts. */
  told: number;
}

class Book {
  readonly #estimates: Estimates;
  readonly #slices = new Map<number, Slice>();
  readonly #changed = new Set<number>();
  #factor = 1;
  #pruned = 0;

  constructor(estimates: Estimates) {
    this.#estimates = estimates;
  }

  get hasChanged(): boolean {
    return this.#changed.size > 0;
  }

  reserved(estimate: number): number {
    return Math.ceil(estimate * this.#factor);
  }

  take(slice: number, estimate: number, told: number): void {
    const present = this.#at(slice);
    present.open += estimate;
    present.told += told;
    if (this.reserved(estimate) !== told) this.#changed.add(slice);
    this.#prune(slice - SLICES);
  }

  settle(slice: number, estimate: number, truth: number): void {
    const present = this.#slices.get(slice);
    if (present) {
      present.open -= estimate;
      present.known += truth;
      if (this.reserved(estimate) !== truth) this.#changed.add(slice);
    }
    this.#estimates.learn(estimate, truth);
    this.#adopt(this.#estimates.factor);
  }

  corrections(): [slice: number, difference: number][] {
    const corrections: [number, number][] = [];
    for (const slice of this.#changed) {
      const counted = this.#slices.get(slice);
      if (!counted) continue;
      const difference = Math.ceil(counted.known + counted.open * this.#factor) - counted.told;
      counted.told += difference;
      if (difference !== 0) corrections.push([slice, difference]);
    }
    this.#changed.clear();
    return corrections;
  }

  untold(): void {
    for (const [slice, counted] of this.#slices) {
      counted.told = 0;
      this.#changed.add(slice);
    }
  }

  #at(slice: number): Slice {
    let present = this.#slices.get(slice);
    if (!present) this.#slices.set(slice, (present = { open: 0, known: 0, told: 0 }));
    return present;
  }

  #adopt(factor: number): void {
    if (Math.abs(factor - this.#factor) < NOTICEABLE * this.#factor) return;
    this.#factor = factor;
    for (const [slice, { open }] of this.#slices) if (open > 0) this.#changed.add(slice);
  }

  #prune(gone: number): void {
    if (gone <= this.#pruned) return;
    this.#pruned = gone;
    for (const slice of this.#slices.keys()) if (slice <= gone) this.#slices.delete(slice);
  }
}
