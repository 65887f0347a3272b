import type { MemoryEntry } from "../../stores/memory.ts";

type Concerns = (key: string, entry: MemoryEntry) => boolean;

/** Older ones are taken to concern everything. */
const REMEMBERED = 1_000;

/** What was invalidated, in order: an answer that was asked for before and comes in afterwards must stay out. */
export class Invalidations {
  readonly #latest: Concerns[] = [];
  #count = 0;

  /** Told of each as it comes. */
  onAdd: (() => void) | undefined;

  /** How many there were so far. */
  get count(): number {
    return this.#count;
  }

  add(concerns: Concerns): void {
    this.#count += 1;
    this.#latest.push(concerns);
    if (this.#latest.length > REMEMBERED) this.#latest.shift();
    this.onAdd?.();
  }

  /** Whether an entry whose question was asked when there were `count` of them has been invalidated since. */
  concern(count: number, key: string, entry: MemoryEntry): boolean {
    const missed = this.#count - count;
    if (missed === 0) return false;
    return missed > this.#latest.length || this.#latest.slice(-missed).some((concerns) => concerns(key, entry));
  }
}
