import type { Invalidation, Position } from "../../stores/bus.ts";
import { LabelIndex } from "./label-index.ts";

export interface SentWrite {
  readonly labels: readonly string[];
  readonly position: Position | undefined;
  /** By these it is known again. */
  readonly writer: string;
  readonly storedAt: number;
  /** By the monotonic clock, milliseconds. */
  readonly sentAt: number;
}

const REMEMBERED = 10_000;
/** How long a write may be on its way. */
const UNDER_WAY_MS = 5_000;

/** By then whoever invalidated has counted what it found. */
const ERASE_AFTER_MS = 1_000;
/** More than this many are looked for by their labels. */
const MAX_ERASED_ALONE = 500;

/** Erases one write, or everything that the invalidation concerns. */
type Erase = (invalidation: Invalidation, write: SentWrite | undefined) => void;

/**
 * What this process wrote of late to stores that others read, and how far it had heard of invalidations then. One that it hears of late may concern what it has
 * written meanwhile: whoever invalidated has looked through the store before that came. Nobody takes that for valid, and it is erased.
 */
export class SentWrites {
  readonly #writes = new LabelIndex<SentWrite>();
  readonly #erase: Erase;
  /** Erasures that are about to begin. */
  readonly #waiting = new Set<() => void>();

  constructor(erase: Erase) {
    this.#erase = erase;
  }

  add(key: string, write: SentWrite): void {
    this.#writes.set(key, write);
    if (this.#writes.size > REMEMBERED) for (const [oldest] of this.#writes.entries().take(1)) this.#writes.delete(oldest);
  }

  /** An invalidation, `ageMs` old: what it concerns and was written since, or just before, by one who had not heard of it will be erased. */
  heard(invalidation: Invalidation, position: Position, ageMs: number): void {
    const since = performance.now() - ageMs - UNDER_WAY_MS;
    const isLate = ({ position: known, sentAt }: SentWrite): boolean => sentAt >= since && (known?.epoch !== position.epoch || known.seq < position.seq);
    const late = this.#writes.concerned(invalidation).filter(([, write]) => isLate(write));
    if (late.length === 0) return;
    for (const [key] of late) this.#writes.delete(key);
    const begin = (): void => {
      clearTimeout(timer);
      this.#waiting.delete(begin);
      if (late.length > MAX_ERASED_ALONE) this.#erase(invalidation, undefined);
      else for (const [key, write] of late) this.#erase({ groups: [], key }, write);
    };
    const timer = setTimeout(begin, ERASE_AFTER_MS).unref();
    this.#waiting.add(begin);
  }

  /** Begins the erasures that wait. */
  eraseNow(): void {
    for (const begin of this.#waiting) begin();
  }
}
