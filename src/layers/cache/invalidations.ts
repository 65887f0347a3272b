import { callCount } from "../../core/facts.ts";
import type { Invalidation, Position } from "../../stores/bus.ts";

interface Remembered {
  readonly invalidation: Invalidation;
  /** The last call that was made before. */
  readonly lastCall: number;
  /** Its place in the order of all processes, once it is known. */
  readonly position: Position | undefined;
  /** Milliseconds since the epoch. */
  readonly at: number;
}

/** Answers of calls made before a forgotten one are taken to be concerned. */
const REMEMBERED = 1_000;

/** Whether an invalidation is about an entry with this key and these labels. */
export function concerns(invalidation: Invalidation, key: string, labels: readonly string[]): boolean {
  if ("all" in invalidation) return true;
  if (invalidation.key !== undefined && invalidation.key !== key) return false;
  return invalidation.groups.every((group) => group.some((label) => labels.includes(label)));
}

/** What was invalidated of late: an answer that was asked for before and comes in afterwards must stay out. */
export class Invalidations {
  readonly #latest: Remembered[] = [];
  #forgotten: Remembered | undefined;
  /** How many calls there had been, and when that was by the monotonic clock. */
  readonly #begun = { calls: callCount(), at: performance.now() };
  /** Told of each as it comes; of none when some may have been missed. */
  onAdd: ((invalidation?: Invalidation) => void) | undefined;

  /**
   * @param ageMs how long ago it was: older than this cache, it concerns nothing that was asked for since
   * @returns the last call that it concerns
   */
  add(invalidation: Invalidation, position?: Position, ageMs = 0): number {
    const lastCall = ageMs > performance.now() - this.#begun.at ? this.#begun.calls : callCount();
    this.#latest.push({ invalidation, lastCall, position, at: Date.now() - ageMs });
    if (this.#latest.length > REMEMBERED) this.#forgotten = this.#latest.shift();
    this.onAdd?.(invalidation);
    return lastCall;
  }

  /** One of this process's own has got its place in the order of all. */
  placed(invalidation: Invalidation, position: Position): void {
    const at = this.#latest.findIndex(({ invalidation: { id } }) => id === invalidation.id);
    const remembered = this.#latest[at];
    if (remembered) this.#latest[at] = { ...remembered, position };
  }

  /** The order was lost sight of: a place that one of this process's own has got meanwhile, at the latest this one, will not be told. */
  lost(position: Position): void {
    for (const [at, remembered] of this.#latest.entries()) if (!remembered.position) this.#latest[at] = { ...remembered, position };
  }

  /**
   * Whether an answer has become invalid since the call with this number asked for it.
   * @param known what whoever stored it had heard of: a process that has just begun hears of old invalidations late
   */
  concern(call: number, key: string, labels: () => readonly string[], known?: Position): boolean {
    if (this.#forgotten && call <= this.#forgotten.lastCall) return true;
    const heard = (other: Position | undefined): boolean => known !== undefined && other?.epoch === known.epoch && other.seq <= known.seq;
    return this.#latest.some(({ invalidation, lastCall, position }) => call <= lastCall && !heard(position) && concerns(invalidation, key, labels()));
  }

  /** Whether an entry that another process wrote, knowing of all invalidations up to `position`, has become invalid since. */
  concernWritten(position: Position, storedAt: number, key: string, labels: () => readonly string[]): boolean {
    const since = (other: Position | undefined): boolean => other !== undefined && other.epoch === position.epoch && other.seq > position.seq;
    // Its writer was far behind: what happened in between is no longer known.
    if (since(this.#forgotten?.position) && storedAt > (this.#forgotten as Remembered).at) return true;
    // One of this process's own that has no place yet: no other process has heard of it.
    return this.#latest.some(({ invalidation, position: at }) => (at === undefined || since(at)) && concerns(invalidation, key, labels()));
  }
}
