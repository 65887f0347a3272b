const SLICES = 60;
const SLICE_MS = 1_000;

/** Requests and their tokens. */
export interface Taken {
  readonly requests: number;
  readonly tokens: number;
}

/** What was taken in the last minute, to a second. */
export class LastMinute {
  readonly #requests = new Float64Array(SLICES);
  readonly #tokens = new Float64Array(SLICES);
  #newest = 0;

  add({ requests, tokens }: Taken, now: number): void {
    this.#advance(now);
    const place = this.#newest % SLICES;
    this.#requests[place] = (this.#requests[place] as number) + requests;
    this.#tokens[place] = (this.#tokens[place] as number) + tokens;
  }

  total(now: number): Taken {
    this.#advance(now);
    return { requests: sum(this.#requests), tokens: sum(this.#tokens) };
  }

  #advance(now: number): void {
    const slice = Math.max(this.#newest, Math.floor(now / SLICE_MS));
    for (let stale = Math.max(this.#newest + 1, slice - SLICES + 1); stale <= slice; stale++) {
      this.#requests[stale % SLICES] = 0;
      this.#tokens[stale % SLICES] = 0;
    }
    this.#newest = slice;
  }
}

function sum(amounts: Float64Array): number {
  return amounts.reduce((total, amount) => total + amount, 0);
}
