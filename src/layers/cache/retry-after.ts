import type { Clock } from "../../core/clock.ts";
import { headOfError, retryAfterMs } from "../../core/retry-after.ts";

/** When a provider said "too many requests, come back later", the calls that come in the meantime wait instead of being refused one by one. */
export class RetryAfter {
  readonly #clock: Clock;
  readonly #longestWaitMs: number;
  /** Until when, by the monotonic clock. */
  readonly #until = new Map<string, number>();

  /** @param longestWaitMs a provider that asks for more than this is not waited for */
  constructor(clock: Clock, longestWaitMs: number) {
    this.#clock = clock;
    this.#longestWaitMs = longestWaitMs;
  }

  /** Whether anybody is to be waited for. */
  get isEmpty(): boolean {
    return this.#until.size === 0;
  }

  /** Hears of an upstream failure. */
  heard(target: () => string, error: unknown): void {
    const delayMs = refusedForMs(error);
    if (delayMs !== undefined && delayMs > 0 && delayMs <= this.#longestWaitMs) this.#until.set(target(), this.#clock.elapsed() + delayMs);
  }

  /** Milliseconds that a call to this target should wait; 0 = none. */
  waitMs(target: string): number {
    const waitMs = (this.#until.get(target) ?? 0) - this.#clock.elapsed();
    if (waitMs > 0) return waitMs;
    this.#until.delete(target);
    return 0;
  }
}

/** What a refusal with status 429 or 503 says of when to come back, milliseconds. */
function refusedForMs(error: unknown): number | undefined {
  const head = headOfError(error);
  return head?.status === 429 || head?.status === 503 ? retryAfterMs(head.header, Date.now()) : undefined;
}
