/** How estimates are wrong. */
export interface Estimates {
  /** For what one estimated unit is counted until the truth is known; at least 1. */
  readonly factor: number;
  /** Hardly any truth is smaller than this times its estimate. */
  readonly least: number;
  learn(estimate: number, truth: number): void;
}

/** Of what is known beforehand. */
export const EXACT: Estimates = { factor: 1, least: 1, learn() {} };

/** What the truths so far still weigh after the next one. */
const MEMORY = 0.96;
/** Part of the way by which extremes come back with each truth that is none. */
const FORGETTING = 0.05;
/** What is counted for estimates above the mean of the truths, as far as some truths are above it. */
const HELD_BACK = 0.15;
/** With a reservation for the longest answer the truth is often a small part of it. */
const LEAST_AT_FIRST = 0.25;

/** Learns from truths. Estimates that are never too small, reservations, are taken as they are. */
export class LearnedEstimates implements Estimates {
  factor = 1;
  least = LEAST_AT_FIRST;
  #most = 1;
  #estimated = 0;
  #true = 0;

  learn(estimate: number, truth: number): void {
    if (estimate === 0) return;
    const ratio = truth / estimate;
    this.least = Math.min(ratio, this.least + (ratio - this.least) * FORGETTING);
    this.#most = Math.max(ratio, this.#most + (ratio - this.#most) * FORGETTING);
    this.#estimated = this.#estimated * MEMORY + estimate;
    this.#true = this.#true * MEMORY + truth;
    this.factor = Math.max(1, Math.min(this.#most, this.#true / this.#estimated + HELD_BACK));
  }
}
