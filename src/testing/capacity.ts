/** How many requests a provider works on at once. */
export interface CapacityOptions {
  /** Requests at work. @default no limit */
  concurrency?: number;
  /** Requests that may wait, first come first served. @default 1000 */
  maxQueue?: number;
  /** The answer when the queue is full: 503 or 429. @default 503 */
  fullStatus?: 503 | 429;
}

/** Places to work at, and the queue before them. */
export class Capacity {
  readonly #concurrency: number;
  readonly #maxQueue: number;
  readonly #waiting = new Set<() => void>();
  #active = 0;

  constructor(concurrency: number, maxQueue: number) {
    this.#concurrency = concurrency;
    this.#maxQueue = maxQueue;
  }

  get active(): number {
    return this.#active;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  /** A place's release, `"full"`, or `"aborted"` when the client left while it waited. */
  async acquire(signal: AbortSignal): Promise<(() => void) | "full" | "aborted"> {
    if (this.#active < this.#concurrency) this.#active++;
    else if (this.#waiting.size >= this.#maxQueue) return "full";
    else if (!(await this.#wait(signal))) return "aborted";
    let held = true;
    return () => {
      if (held) this.#release();
      held = false;
    };
  }

  /** True when a place was handed over. */
  #wait(signal: AbortSignal): Promise<boolean> {
    return new Promise((resolve) => {
      const settle = (given: boolean) => (): void => {
        this.#waiting.delete(take);
        signal.removeEventListener("abort", leave);
        resolve(given);
      };
      const take = settle(true);
      const leave = settle(false);
      this.#waiting.add(take);
      signal.addEventListener("abort", leave, { once: true });
      if (signal.aborted) leave();
    });
  }

  #release(): void {
    // A place goes straight to who waited longest, so that nobody can slip in between.
    const next = this.#waiting.values().next().value;
    if (next === undefined) this.#active--;
    else next();
  }
}
