import type { Invalidation } from "../../stores/bus.ts";
import type { StoredEntry } from "../../stores/store.ts";
import { concerns } from "./invalidations.ts";
import { LabelIndex } from "./label-index.ts";

/** A write that waits for its turn. Sealed only then: what waits in memory is the answer that the memory tier has anyway. */
export interface PendingWrite {
  readonly labels: readonly string[];
  /** Milliseconds since the epoch. */
  readonly since: number;
  /** Bytes that waiting costs, estimated. */
  readonly sizeBytes: number;
  /** Whether the entry has become invalid meanwhile. */
  isInvalid(): boolean;
  /** `undefined` when the entry cannot leave this process. */
  seal(): StoredEntry | undefined;
}

/** An erasure that waits to be delivered. */
export interface Erasure {
  readonly invalidation: Invalidation;
  readonly isMeant: IsMeant | undefined;
  resolve(count: number): void;
}

/** Whether what a store has under a key is what an erasure of this key is about. */
export type IsMeant = (key: string, value: Uint8Array) => boolean;

interface Tries {
  readonly count: number;
  /** By the monotonic clock. */
  readonly restsUntil: number;
}

/** In an outage: about a minute of 500 answers a second. */
const MAX_WRITES = 50_000;
const MAX_BYTES = 128 * 1024 * 1024;
const MAX_ERASURES = 10_000;
const MAX_WAIT_MS = 600_000;
/** A write at which the store fails while it takes others rests, each time twice as long, and is given up after so many times. */
const MAX_TRIES = 5;
const REST_MS = 1_000;

/** What a store has not been told yet, bounded: erasures, which go first, and the latest write of each key. */
export class Backlog {
  readonly #writes = new LabelIndex<PendingWrite>();
  /** Of writes that failed while others did not. */
  readonly #tries = new WeakMap<PendingWrite, Tries>();
  erasures: Erasure[] = [];
  #bytes = 0;
  /** What was given up: for newer writes, because the store would not take it, or because the end came first. */
  dropped = 0;
  #isAbandoned = false;

  get size(): number {
    return this.#writes.size + this.erasures.length;
  }

  write(key: string): PendingWrite | undefined {
    return this.#writes.get(key);
  }

  add(key: string, write: PendingWrite): void {
    if (this.#isAbandoned) return this.#drop();
    this.#remove(key);
    this.#writes.set(key, write);
    this.#bytes += write.sizeBytes;
    while (this.#writes.size > MAX_WRITES || this.#bytes > MAX_BYTES) {
      for (const [oldest] of this.#writes.entries().take(1)) this.#remove(oldest);
      this.#drop();
    }
  }

  /** The oldest writes that do not rest, out of the backlog. */
  take(count: number): [key: string, write: PendingWrite][] {
    const now = performance.now();
    const isDue = (write: PendingWrite): boolean => (this.#tries.get(write)?.restsUntil ?? 0) <= now;
    const taken = this.#writes.entries().filter(([, write]) => isDue(write)).take(count).toArray();
    for (const [key] of taken) this.#remove(key);
    return taken;
  }

  /** No write rests any longer. */
  rouse(): void {
    for (const [, write] of this.#writes.entries()) {
      const tries = this.#tries.get(write);
      if (tries) this.#tries.set(write, { ...tries, restsUntil: 0 });
    }
  }

  /**
   * A write that failed, unless a newer one came meanwhile, it has become invalid, or it has failed for too long.
   * @param isItsFault whether others did not fail
   * @returns whether it was given up
   */
  putBack(key: string, write: PendingWrite, isItsFault = false): boolean {
    const tries = (this.#tries.get(write)?.count ?? 0) + (isItsFault ? 1 : 0);
    if (Date.now() - write.since > MAX_WAIT_MS || tries >= MAX_TRIES) {
      this.#drop();
      return true;
    }
    if (isItsFault) this.#tries.set(write, { count: tries, restsUntil: performance.now() + REST_MS * 2 ** (tries - 1) });
    const isErased = this.erasures.some(({ invalidation }) => concerns(invalidation, key, write.labels));
    if (!this.#writes.get(key) && !isErased) this.add(key, write);
    return false;
  }

  /**
   * @param isMeant for an invalidation that names a key; without it, it means whatever is there
   * @returns how many entries the store had, once it is known
   */
  erase(invalidation: Invalidation, isMeant?: IsMeant): Promise<number> {
    if (this.#isAbandoned) return this.#drop(), Promise.resolve(0);
    for (const [key] of this.#writes.concerned(invalidation)) this.#remove(key);
    const { promise, resolve } = Promise.withResolvers<number>();
    // So many that telling them one by one makes no sense any more.
    const everything = "all" in invalidation || this.erasures.length >= MAX_ERASURES;
    if (everything) {
      this.settle();
      this.erasures = [];
    }
    this.erasures.push({ invalidation: everything ? { all: true } : invalidation, isMeant, resolve });
    return promise;
  }

  erased(erasure: Erasure, count: number): void {
    const at = this.erasures.indexOf(erasure);
    if (at >= 0) this.erasures.splice(at, 1);
    erasure.resolve(count);
  }

  /** Lets go of those who wait for the outcome of erasures; these stay. */
  settle(): void {
    for (const { resolve } of this.erasures) resolve(0);
  }

  /** Gives up what waits, and what comes later. */
  abandon(): void {
    this.settle();
    this.dropped += this.size;
    this.erasures = [];
    this.#writes.clear();
    this.#bytes = 0;
    this.#isAbandoned = true;
  }

  #remove(key: string): void {
    this.#bytes -= this.#writes.delete(key)?.sizeBytes ?? 0;
  }

  #drop(): void {
    this.dropped += 1;
  }
}
