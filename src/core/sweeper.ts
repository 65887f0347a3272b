import { LONGEST_TIMEOUT_MS } from "./clock.ts";

/** No more often than this, milliseconds. */
const SHORTEST_MS = 10;

/** Looks again and again, without keeping the process alive, for what has been silent too long. */
export class Sweeper {
  readonly #everyMs: number;
  readonly #sweep: () => void;
  #timer: NodeJS.Timeout | undefined;

  /** @param silentMs what is too long: a quarter of it passes between two sweeps; `Infinity` = nothing is, and no sweep is made */
  constructor(silentMs: number, sweep: () => void) {
    this.#everyMs = silentMs / 4;
    this.#sweep = sweep;
  }

  /** There is something to look at. */
  start(): void {
    if (this.#everyMs === Infinity) return;
    this.#timer ??= setInterval(this.#sweep, Math.min(Math.max(SHORTEST_MS, this.#everyMs), LONGEST_TIMEOUT_MS)).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
