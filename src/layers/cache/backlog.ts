import type { Invalidation } from "../../stores/bus.ts";
import type { StoredEntry } from "../../stores/store.ts";
import { concerns } from "./invalidations.ts";

/** A write that waits for its turn. Sealed only then: what waits in memory is the answer that the memory tier has anyway. */
export interface PendingWrite {
  readonly labels: readonly string[];
  /** Milliseconds since the epoch. */
  readonly since: number;
  /** Bytes that waiting costs, estimated. */
  readonly sizeBytes: number;
  /** `undefined` when the entry has become invalid, or cannot leave this process. */
  seal(): StoredEntry | undefined;
}

/** An erasure that waits to be delivered. */
export interface Erasure {
  readonly invalidation: Invalidation;
  resolve(count: number): void;
}

/** In an outage: about a minute of 500 answers a second. */
const MAX_WRITES = 50_000;
const MAX_BYTES = 128 * 1024 * 1024;
const MAX_ERASURES = 10_000;
const MAX_WAIT_MS = 600_000;

/** What a store has not been told yet, bounded: erasures, which go first, and the latest write of each key. */
export class Backlog {
  readonly #writes = new Map<string, PendingWrite>();
  erasures: Erasure[] = [];
  #bytes = 0;
  /** Writes that were given up for newer ones. */
  dropped = 0;

  get size(): number {
    return this.#writes.size + this.erasures.length;
  }

  write(key: string): PendingWrite | undefined {
    return this.#writes.get(key);
  }

  add(key: string, write: PendingWrite): void {
    this.#remove(key);
    this.#writes.set(key, write);
    this.#bytes += write.sizeBytes;
    while (this.#writes.size > MAX_WRITES || this.#bytes > MAX_BYTES) {
      const [oldest] = this.#writes.keys();
      this.#remove(oldest as string);
      this.dropped += 1;
    }
  }

  /** The oldest writes, out of the backlog. */
  take(count: number): [key: string, write: PendingWrite][] {
    const taken = this.#writes.entries().take(count).toArray();
    for (const [key] of taken) this.#remove(key);
    return taken;
  }

  /** A write that failed, unless a newer one came meanwhile, it has become invalid, or it has failed for too long. */
  putBack(key: string, write: PendingWrite): void {
    if (Date.now() - write.since > MAX_WAIT_MS) {
      this.dropped += 1;
      return;
    }
    const isErased = this.erasures.some(({ invalidation }) => concerns(invalidation, key, write.labels));
    if (!this.#writes.has(key) && !isErased) this.add(key, write);
  }

  /** @returns how many entries the store had, once it is known */
  erase(invalidation: Invalidation): Promise<number> {
    for (const [key, { labels }] of this.#writes) if (concerns(invalidation, key, labels)) this.#remove(key);
    const { promise, resolve } = Promise.withResolvers<number>();
    // So many that telling them one by one makes no sense any more.
    const everything = "all" in invalidation || this.erasures.length >= MAX_ERASURES;
    if (everything) {
      this.settle();
      this.erasures = [];
    }
    this.erasures.push({ invalidation: everything ? { all: true } : invalidation, resolve });
    return promise;
  }

  erased(erasure: Erasure, count: number): void {
    this.erasures = this.erasures.filter((other) => other !== erasure);
    erasure.resolve(count);
  }

  /** Lets go of those who wait for the outcome of erasures; these stay. */
  settle(): void {
    for (const { resolve } of this.erasures) resolve(0);
  }

  abandon(): void {
    this.settle();
    this.erasures = [];
    this.#writes.clear();
    this.#bytes = 0;
  }

  #remove(key: string): void {
    this.#bytes -= this.#writes.get(key)?.sizeBytes ?? 0;
    this.#writes.delete(key);
  }
}
