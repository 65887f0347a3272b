import type { Clock } from "./clock.ts";

export interface CircuitOptions {
  readonly clock: Clock;
  /** Failures in a row that open the circuit. @default 3 */
  readonly maxFailures?: number;
  /** How long it stays open at first, milliseconds; doubled with each probe that fails. @default 250 */
  readonly openMs?: number;
  /** @default 2_000 */
  readonly maxOpenMs?: number;
}

/**
 * Keeps calls away from what fails again and again. Closed: all may go. Open: none. Half-open, when its time is up: one at a time may
 * try, and its success closes the circuit.
 */
export class Circuit {
  readonly #clock: Clock;
  readonly #maxFailures: number;
  readonly #openMs: number;
  readonly #maxOpenMs: number;
  #failures = 0;
  /** When one may try again, by the monotonic clock; `undefined` = closed. */
  #retryAt: number | undefined;
  #waitMs: number;

  constructor({ clock, maxFailures = 3, openMs = 250, maxOpenMs = 2_000 }: CircuitOptions) {
    this.#clock = clock;
    this.#maxFailures = maxFailures;
    this.#openMs = openMs;
    this.#maxOpenMs = maxOpenMs;
    this.#waitMs = openMs;
  }

  get state(): "closed" | "open" | "half-open" {
    if (this.#retryAt === undefined) return "closed";
    return this.#clock.elapsed() < this.#retryAt ? "open" : "half-open";
  }

  /** Milliseconds until somebody may try; 0 = now. */
  get waitMs(): number {
    return this.#retryAt === undefined ? 0 : Math.max(0, this.#retryAt - this.#clock.elapsed());
  }

  /** Whether a call may go. Who is let through tells the outcome. */
  allows(): boolean {
    if (this.#retryAt === undefined) return true;
    if (this.#clock.elapsed() < this.#retryAt) return false;
    // The next probe goes when this one has not come back in time.
    this.#retryAt = this.#clock.elapsed() + this.#waitMs;
    return true;
  }

  succeeded(): void {
    this.#failures = 0;
    this.#retryAt = undefined;
    this.#waitMs = this.#openMs;
  }

  /** @returns whether this failure opened the circuit that was closed */
  failed(): boolean {
    this.#failures += 1;
    if (this.#failures < this.#maxFailures) return false;
    const opened = this.#retryAt === undefined;
    if (!opened) this.#waitMs = Math.min(this.#maxOpenMs, this.#waitMs * 2);
    this.#retryAt = this.#clock.elapsed() + this.#waitMs;
    return opened;
  }
}
