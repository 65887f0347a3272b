import type { Alarm } from "../../src/core/clock.ts";
import { Heap } from "../../src/limits/heap.ts";

interface Ring {
  place: number;
  readonly at: number;
  readonly number: number;
  readonly work: () => void;
}

/** Time that passes when it is told to, and by as much. */
export class VirtualTime implements Alarm {
  readonly #rings = new Heap<Ring>((a, b) => a.at < b.at || (a.at === b.at && a.number < b.number));
  #elapsed: number;
  #number = 0;
  /** What the wall clock is off by. */
  wallOffset = 0;
  /** Alarms ring, and the clock stands still. */
  isFrozen = false;

  constructor(elapsed = 0) {
    this.#elapsed = elapsed;
  }

  /** Alarms that are set. */
  get alarms(): number {
    return this.#rings.size;
  }

  now(): number {
    return 1_700_000_000_000 + this.#elapsed + this.wallOffset;
  }

  elapsed(): number {
    return this.#elapsed;
  }

  after(delayMs: number, work: () => void): () => void {
    const ring = { place: -1, at: this.#elapsed + delayMs, number: (this.#number += 1), work };
    this.#rings.add(ring);
    return () => {
      if (ring.place >= 0) this.#rings.remove(ring);
    };
  }

  /** Lets time pass; alarms ring at their time, and whoever is woken gets on before the next one rings. */
  async pass(ms: number): Promise<void> {
    const until = this.#elapsed + ms;
    for (await settled(); this.#rings.first && this.#rings.first.at <= until; await settled()) this.#ringFirst();
    this.#elapsed = until;
  }

  /** Lets time pass until no alarm is set. @returns false when that has not come after so many alarms */
  async passAll(maxAlarms = 100_000): Promise<boolean> {
    await this.ring(maxAlarms);
    return this.#rings.size === 0;
  }

  /** Lets so many alarms ring, if so many are set, each at its time. */
  async ring(count: number): Promise<void> {
    await settled();
    for (let rung = 0; this.#rings.first && rung < count; rung += 1) {
      this.#ringFirst();
      await settled();
    }
  }

  /** Jumps ahead, as when a machine was asleep: what is due in between rings late. */
  jump(ms: number): void {
    this.#elapsed += ms;
  }

  #ringFirst(): void {
    const ring = this.#rings.first as Ring;
    this.#rings.remove(ring);
    if (!this.isFrozen) this.#elapsed = Math.max(this.#elapsed, ring.at);
    ring.work();
  }
}

/** Promises that are settled now, and those that follow from them, are heard. */
function settled(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve));
}
