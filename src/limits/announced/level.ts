import type { QuotaLevel } from "../limiter.ts";
import { Bucket } from "./bucket.ts";

const MINUTE_MS = 60_000;
/**
 * The refill of so much time between a request and its answer is not counted on, at most: a report tells nothing of what other processes send in that time.
 * It costs nothing in the long run, since the next report shows what was left over.
 */
const UNCOUNTED_MS = 10_000;
/** Reports are rounded, to a second and to one request, at least. */
const ROUNDED_MS = 1_000;
/** Who has told nothing for so long does not tell its limits any more, milliseconds. */
const FORGOTTEN_MS = 10 * MINUTE_MS;

/** Requests that are sent within so long overtake each other on their way, milliseconds. */
export const OVERTAKING_MS = 250;

/**
 * One quota of a provider, as its reports tell it. A report is taken to show the quota as it was when its request was sent (providers count at admission, and the
 * headers of an answer that takes 20 seconds may be 20 seconds old): what was sent since, and what may have been overtaken, is subtracted.
 */
export class AnnouncedLevel {
  #bucket: Bucket | undefined;
  /** When the first request was sent of those whose reports are of one age. */
  #since = -Infinity;
  /** The least that they showed. */
  #remaining = 0;
  #heardAt = 0;

  /** Whether a report counts. */
  isKnown(now: number): boolean {
    return this.#bucket !== undefined && now - this.#heardAt < FORGOTTEN_MS;
  }

  /** The share of the limit that is taken, 0 to 1; `undefined` when nothing is known. */
  used(now: number): number | undefined {
    if (!this.#bucket || !this.isKnown(now)) return undefined;
    return Math.min(1, Math.max(0, 1 - this.#bucket.level(now) / this.#bucket.capacity));
  }

  /** Whether the limit is too small for this amount. */
  isBelow(amount: number): boolean {
    return this.#bucket !== undefined && amount > this.#bucket.capacity;
  }

  /**
   * Milliseconds until `amount` may go, after others have taken what is `ahead`. What is larger than the limit waits until all of it is there.
   * @param margin the share of the limit that stays unused
   */
  waitMs(amount: number, ahead: number, margin: number, now: number): number {
    if (amount === 0 || !this.#bucket || !this.isKnown(now)) return 0;
    return this.#bucket.waitMs(amount + this.#bucket.capacity * margin, ahead, now);
  }

  take(amount: number, now: number): void {
    this.#bucket?.take(amount, now);
  }

  /**
   * The reports of the newest requests count; those of earlier ones are older, however late they come.
   * @param sentAt when the request was sent that the report came by
   * @param pending what it may not include
   */
  heard({ limit, remaining, resetMs }: QuotaLevel, sentAt: number, pending: number, now: number): void {
    if (remaining === undefined || sentAt < this.#since) return;
    const isNewer = sentAt > this.#since + OVERTAKING_MS;
    this.#remaining = isNewer ? remaining : Math.min(this.#remaining, remaining);
    if (isNewer) this.#since = sentAt;
    const capacity = Math.max(1, limit ?? Math.max(this.#bucket?.capacity ?? 0, remaining));
    const perMs = refill(capacity, remaining, resetMs);
    const refilled = perMs * Math.max(0, now - sentAt - UNCOUNTED_MS);
    this.#bucket = new Bucket(capacity, perMs, Math.min(capacity, this.#remaining + refilled) - pending, now);
    this.#heardAt = now;
  }
}

/** Limits are a minute's worth; a slower refill, as of limits by the day, shows in the time until all of it is there again. */
function refill(limit: number, remaining: number, resetMs: number | undefined): number {
  const byMinute = limit / MINUTE_MS;
  return resetMs === undefined || resetMs <= ROUNDED_MS ? byMinute : Math.min(byMinute, (limit - remaining + 1) / (resetMs - ROUNDED_MS));
}
