/** Draws from distributions by means of numbers that are even in [0, 1). */
export class Sampler {
  readonly #random: () => number;
  /** The second of a pair of normal numbers. */
  #spare: number | undefined;

  constructor(random: () => number) {
    this.#random = random;
  }

  /** Mean 0, standard deviation 1 (Box and Muller 1958). */
  normal(): number {
    const spare = this.#spare;
    this.#spare = undefined;
    if (spare !== undefined) return spare;
    const radius = Math.sqrt(-2 * Math.log(1 - this.#random()));
    const angle = 2 * Math.PI * this.#random();
    this.#spare = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  }

  /** A probability of which `successes` and `failures` are known. @param successes at least 1 @param failures at least 1 */
  beta(successes: number, failures: number): number {
    const success = this.#gamma(successes);
    return success / (success + this.#gamma(failures));
  }

  /** Marsaglia and Tsang 2000. @param shape at least 1 */
  #gamma(shape: number): number {
    const d = shape - 1 / 3;
    const c = 1 / Math.sqrt(9 * d);
    for (;;) {
      const x = this.normal();
      const root = 1 + c * x;
      const v = root * root * root;
      const u = 1 - this.#random();
      // The first test spares most of the logarithms.
      if (v > 0 && (u < 1 - 0.0331 * x * x * x * x || Math.log(u) < 0.5 * x * x + d * (1 - v + Math.log(v)))) return d * v;
    }
  }
}
