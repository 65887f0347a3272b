import { Bucket } from "./bucket.ts";
import type { Taken } from "./last-minute.ts";

const MINUTE_MS = 60_000;
/** How much of what was just too much is tried next. */
const CAUTION = 0.9;
const GROWTH_PER_MINUTE = 1.1;
const FORGOTTEN_MS = 10 * MINUTE_MS;
/** As much as this time refills may go at once. */
const BURST_MS = 10_000;

/** What a provider that tells nothing but "too many" seems to allow: some less than what it refused, and slowly more again. */
export class Ceiling {
  readonly #requests: Rising;
  readonly #tokens: Rising | undefined;
  readonly #since: number;

  /** @param lastMinute what the provider took in the last minute before it refused */
  constructor(lastMinute: Taken, now: number) {
    this.#since = now;
    this.#requests = new Rising(Math.max(1, lastMinute.requests * CAUTION), now);
    this.#tokens = lastMinute.tokens > 0 ? new Rising(lastMinute.tokens * CAUTION, now) : undefined;
  }

  /** Whether it is so long ago that it says nothing any more. */
  isOver(now: number): boolean {
    return now - this.#since >= FORGOTTEN_MS;
  }

  waitMs({ requests, tokens }: Taken, ahead: Taken, now: number): number {
    return Math.max(this.#requests.at(now).waitMs(requests, ahead.requests, now), this.#tokens?.at(now).waitMs(tokens, ahead.tokens, now) ?? 0);
  }

  take({ requests, tokens }: Taken, now: number): void {
    this.#requests.at(now).take(requests, now);
    this.#tokens?.at(now).take(tokens, now);
  }
}

/** A bucket, empty at first, whose limit a minute rises. */
class Rising {
  readonly #limit: number;
  readonly #since: number;
  readonly #bucket: Bucket;

  constructor(limit: number, now: number) {
    this.#limit = limit;
    this.#since = now;
    this.#bucket = new Bucket(burst(limit), limit / MINUTE_MS, 0, now);
  }

  at(now: number): Bucket {
    const limit = this.#limit * GROWTH_PER_MINUTE ** ((now - this.#since) / MINUTE_MS);
    this.#bucket.resize(burst(limit), limit / MINUTE_MS, now);
    return this.#bucket;
  }
}

function burst(limit: number): number {
  return Math.max(1, (limit * BURST_MS) / MINUTE_MS);
}
