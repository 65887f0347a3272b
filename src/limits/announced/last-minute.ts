import { SlidingCount } from "../../core/sliding-count.ts";

const WINDOW_MS = 60_000;
const SLICES = 60;

/** Requests and their tokens. */
export interface Taken {
  readonly requests: number;
  readonly tokens: number;
}

/** What was taken in the last minute, to a second. */
export class LastMinute {
  readonly #requests = new SlidingCount(WINDOW_MS, SLICES);
  readonly #tokens = new SlidingCount(WINDOW_MS, SLICES);

  add({ requests, tokens }: Taken, now: number): void {
    this.#requests.add(now, requests);
    this.#tokens.add(now, tokens);
  }

  total(now: number): Taken {
    return { requests: this.#requests.total(now), tokens: this.#tokens.total(now) };
  }
}
