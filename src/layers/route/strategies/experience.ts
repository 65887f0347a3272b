import type { Sampler } from "./sampling.ts";

/** So many observations of the pool later one counts 1/e. */
const MEMORY = 33;
/** Believed before anything is known: one success and one failure. */
const BELIEVED_ENDS = 1;
/** Standard deviation of the logarithm of a time, and how many observations that belief is worth. */
const BELIEVED_DEVIATION = 0.7;
const BELIEVED_TIMES = 1;
/** How many observations the belief is worth that a deployment is as fast as the pool. */
const BELIEVED_MEAN = 0.3;

/** Weighted observations of which older ones count less. */
class Fading {
  weight = 0;
  mean = 0;
  /** Sum of squared deviations from the mean. */
  squares = 0;

  fade(share: number): void {
    this.weight *= share;
    this.squares *= share;
  }

  add(value: number): void {
    this.weight += 1;
    const apart = value - this.mean;
    this.mean += apart / this.weight;
    this.squares += apart * (value - this.mean);
  }
}

/** A belief about what the next request to a deployment will be like. */
export class Experience {
  readonly #times = new Fading();
  #successes = 0;
  #failures = 0;
  #step = 0;

  /** @param step number of the observation in its pool: what happens to others makes one's own older */
  succeeded(step: number): void {
    this.#fade(step);
    this.#successes += 1;
  }

  failed(step: number): void {
    this.#fade(step);
    this.#failures += 1;
  }

  /** An answer took so long. @param time its logarithm */
  took(time: number, step: number): void {
    this.#fade(step);
    this.#times.add(time);
  }

  /** It took so long at least, and nobody waited for the end: news only where that is longer than was thought. */
  tookAtLeast(time: number, step: number): void {
    if (this.#times.weight > 0 && time > this.#times.mean) this.took(time, step);
  }

  /** A probability that it succeeds, drawn from the belief (Beta). */
  drawSuccess(sampler: Sampler, step: number): number {
    const remains = remainsOf(step - this.#step);
    return sampler.beta(BELIEVED_ENDS + this.#successes * remains, BELIEVED_ENDS + this.#failures * remains);
  }

  /** The logarithm of its mean time, drawn from the belief (normal). @param pool that of all deployments */
  drawTime(sampler: Sampler, step: number, pool: number): number {
    const remains = remainsOf(step - this.#step);
    const weight = this.#times.weight * remains;
    const mean = (weight * this.#times.mean + BELIEVED_MEAN * pool) / (weight + BELIEVED_MEAN);
    const variance = (this.#times.squares * remains + BELIEVED_TIMES * BELIEVED_DEVIATION ** 2) / (weight + BELIEVED_TIMES);
    return mean + Math.sqrt(variance / (weight + BELIEVED_MEAN)) * sampler.normal();
  }

  #fade(step: number): void {
    const remains = remainsOf(step - this.#step);
    this.#step = step;
    this.#times.fade(remains);
    this.#successes *= remains;
    this.#failures *= remains;
  }
}

/** What an observation counts when so many others have been made. */
function remainsOf(steps: number): number {
  return Math.exp(-steps / MEMORY);
}
