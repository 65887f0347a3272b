import { Ceiling } from "./ceiling.ts";
import { LastMinute, type Taken } from "./last-minute.ts";

const FIRST_BACKOFF_MS = 1_000;
const LONGEST_BACKOFF_MS = 30_000;
/** A refusal after fewer requests than this in a minute says nothing of a quota: whoever answers is busy. */
const LEAST_EVIDENCE = 20;
/** No provider means to be left alone for longer. */
const LONGEST_PAUSE_MS = 24 * 3_600_000;

/** What refusals alone teach: when to come back, and how much was too much. */
export class Refusals {
  readonly #taken = new LastMinute();
  #pausedUntil = -Infinity;
  #backoffMs = 0;
  /** The newest request that was under way when the last refusal was heard. */
  #upTo = 0;
  #ceiling: Ceiling | undefined;

  /** Whether the limits in use were learned from refusals. */
  isLearned(now: number): boolean {
    if (this.#ceiling?.isOver(now)) this.#ceiling = undefined;
    return this.#ceiling !== undefined;
  }

  /** How long nobody may go, whatever is asked for. */
  pauseMs(now: number): number {
    return Math.max(0, this.#pausedUntil - now);
  }

  waitMs(amounts: Taken, ahead: Taken, now: number): number {
    return Math.max(this.pauseMs(now), this.isLearned(now) ? (this.#ceiling as Ceiling).waitMs(amounts, ahead, now) : 0);
  }

  take(amounts: Taken, now: number): void {
    this.#taken.add(amounts, now);
    this.#ceiling?.take(amounts, now);
  }

  /** A request took more or less than it was thought to. */
  correct(tokens: number, now: number): void {
    this.#taken.add({ requests: 0, tokens }, now);
    this.#ceiling?.take({ requests: 0, tokens }, now);
  }

  /** Nobody goes before this time has passed. */
  pause(retryAfterMs: number, now: number): void {
    this.#pausedUntil = Math.max(this.#pausedUntil, now + Math.min(retryAfterMs, LONGEST_PAUSE_MS));
  }

  /** Whether a refusal is news: those of requests that were under way together count once. */
  isNews(number: number, newest: number): boolean {
    if (number <= this.#upTo) return false;
    this.#upTo = newest;
    return true;
  }

  /** A refusal did not say when to come back. */
  backOff(now: number): void {
    this.#backoffMs = Math.min(LONGEST_BACKOFF_MS, this.#backoffMs * 2 || FIRST_BACKOFF_MS);
    this.pause(this.#backoffMs, now);
  }

  /** Learns what the provider allows from what it took in the last minute, without what it has just refused. */
  learn({ requests, tokens }: Taken, now: number): void {
    this.#taken.add({ requests: -requests, tokens: -tokens }, now);
    const taken = this.#taken.total(now);
    if (taken.requests >= LEAST_EVIDENCE) this.#ceiling = new Ceiling(taken, now);
  }

  /** The provider tells its limits itself. */
  unlearn(): void {
    this.#ceiling = undefined;
  }

  /** A request was taken. */
  passed(number: number): void {
    if (number > this.#upTo) this.#backoffMs = 0;
  }
}
