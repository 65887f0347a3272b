import { callCount } from "../../core/facts.ts";
import type { MemoryEntry } from "../../stores/memory.ts";

type Concerns = (key: string, entry: MemoryEntry) => boolean;

interface Invalidation {
  readonly concerns: Concerns;
  /** The last call that was made before. */
  readonly lastCall: number;
}

/** Calls made before a forgotten one are taken to be concerned. */
const REMEMBERED = 1_000;

/** What was invalidated of late: an answer that was asked for before and comes in afterwards must stay out. */
export class Invalidations {
  readonly #latest: Invalidation[] = [];
  #lastForgotten = -1;
  /** Told of each as it comes. */
  onAdd: (() => void) | undefined;

  add(concerns: Concerns): void {
    this.#latest.push({ concerns, lastCall: callCount() });
    if (this.#latest.length > REMEMBERED) this.#lastForgotten = (this.#latest.shift() as Invalidation).lastCall;
    this.onAdd?.();
  }

  /** Whether an entry has been invalidated since the call with this number asked for it. */
  concern(call: number, key: string, entry: MemoryEntry): boolean {
    return call <= this.#lastForgotten || this.#latest.some(({ concerns, lastCall }) => call <= lastCall && concerns(key, entry));
  }
}
