/** An amount that refills evenly up to a capacity. It may be overdrawn. */
export class Bucket {
  #capacity: number;
  #perMs: number;
  #level: number;
  #at: number;

  constructor(capacity: number, perMs: number, level: number, now: number) {
    this.#capacity = capacity;
    this.#perMs = perMs;
    this.#level = level;
    this.#at = now;
  }

  get capacity(): number {
    return this.#capacity;
  }

  level(now: number): number {
    this.#level = Math.min(this.#capacity, this.#level + (now - this.#at) * this.#perMs);
    this.#at = now;
    return this.#level;
  }

  /** Milliseconds until `amount` is there, or, if it never is, until the bucket is full; after others have taken what is `ahead`. */
  waitMs(amount: number, ahead: number, now: number): number {
    const missing = Math.min(amount, this.#capacity) + ahead - this.level(now);
    return missing > 0 ? missing / this.#perMs : 0;
  }

  take(amount: number, now: number): void {
    this.#level = this.level(now) - amount;
  }

  /** Changes how fast it refills from now on, and how much it holds. */
  resize(capacity: number, perMs: number, now: number): void {
    this.level(now);
    this.#capacity = capacity;
    this.#perMs = perMs;
  }
}
