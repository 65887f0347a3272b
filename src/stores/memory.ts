import type { CacheEntry } from "../core/entry.ts";
import { resolveWith } from "../core/options.ts";
import { HeapPressure } from "./heap-pressure.ts";
import { LruPolicy } from "./memory-lru.ts";
import type { MemoryPolicy } from "./memory-policy.ts";
import { S3FifoPolicy } from "./memory-s3-fifo.ts";

/** The port that the memory tier of the cache is reached through: synchronous, so that a hit costs no promise. */
export interface MemoryStore {
  /** Counts as a use of the entry. */
  get(key: string): CacheEntry | undefined;
  /** Reads without counting as a use. */
  peek(key: string): CacheEntry | undefined;
  /** @returns whether it was taken; an entry over `maxEntryBytes` is not */
  set(key: string, entry: CacheEntry): boolean;
  delete(key: string): boolean;
  /** Does not count as a use. */
  entries(): Iterable<readonly [key: string, entry: CacheEntry]>;
  clear(): void;
  readonly entryCount: number;
  readonly sizeBytes: number;
  /** Entries that had to make room for others. */
  readonly evictions: number;
}

export interface MemoryStoreOptions {
  /**
   * Which entry makes room: the one that was not used for longest (`lru`), or by S3-FIFO, which keeps what is asked for again and again
   * and gets LRU's hit rate with less memory where most questions are asked once.
   * @default "lru"
   */
  policy?: "lru" | "s3-fifo";
  /** Bytes that all entries together may take, estimated. @default 67_108_864 (64 MiB) */
  maxBytes?: number;
  /** @default Infinity */
  maxEntries?: number;
  /** A larger answer is not kept, bytes. @default a sixteenth of `maxBytes` */
  maxEntryBytes?: number;
}

/**
 * The tier in this process. Besides its own bounds it heeds the heap's: it lets go of entries when the heap runs short.
 * @throws OptionError
 */
export function memoryStore(options: MemoryStoreOptions = {}, pressure: HeapPressure = new HeapPressure()): MemoryStore {
  return new BoundedMemory(options, pressure);
}

/** Keeps a policy's entries within bounds. */
class BoundedMemory implements MemoryStore {
  readonly #policy: MemoryPolicy<CacheEntry>;
  readonly #pressure: HeapPressure;
  readonly #maxBytes: number;
  readonly #maxEntries: number;
  readonly #maxEntryBytes: number;
  evictions = 0;

  constructor(options: MemoryStoreOptions, pressure: HeapPressure) {
    const { policy, ...bounds } = resolveWith("memoryStore", options, (read) => ({
      policy: read.oneOf("policy", ["lru", "s3-fifo"], "lru"),
      maxBytes: read.number("maxBytes", { default: 64 * 1024 * 1024, min: 1, integer: true }),
      maxEntries: read.number("maxEntries", { default: Infinity, min: 1, integer: true }),
      maxEntryBytes: read.number("maxEntryBytes", { default: undefined, min: 1, integer: true }),
    }));
    this.#policy = policy === "lru" ? new LruPolicy() : new S3FifoPolicy();
    this.#pressure = pressure;
    this.#maxBytes = bounds.maxBytes;
    this.#maxEntries = bounds.maxEntries;
    this.#maxEntryBytes = bounds.maxEntryBytes ?? Math.ceil(bounds.maxBytes / 16);
  }

  get(key: string): CacheEntry | undefined {
    return this.#policy.get(key);
  }

  peek(key: string): CacheEntry | undefined {
    return this.#policy.peek(key);
  }

  set(key: string, entry: CacheEntry): boolean {
    const { sizeBytes } = entry;
    const roomBytes = Math.min(this.#maxBytes, this.#pressure.roomBytes(sizeBytes, this.#policy.sizeBytes));
    const isTaken = sizeBytes <= Math.min(this.#maxEntryBytes, roomBytes);
    if (!isTaken) this.#policy.delete(key);
    this.#makeRoom(roomBytes, key, isTaken ? entry : undefined);
    if (isTaken) this.#policy.set(key, entry);
    return isTaken;
  }

  delete(key: string): boolean {
    return this.#policy.delete(key);
  }

  entries(): Iterable<readonly [key: string, entry: CacheEntry]> {
    return this.#policy.entries();
  }

  clear(): void {
    this.#policy.clear();
  }

  get entryCount(): number {
    return this.#policy.entryCount;
  }

  get sizeBytes(): number {
    return this.#policy.sizeBytes;
  }

  /** Evicts until all is within bounds, also with what is about to be set. */
  #makeRoom(roomBytes: number, key: string, added: CacheEntry | undefined): void {
    const policy = this.#policy;
    for (;;) {
      const replaced = policy.peek(key);
      const bytes = policy.sizeBytes + (added?.sizeBytes ?? 0) - (replaced?.sizeBytes ?? 0);
      const count = policy.entryCount + (added && !replaced ? 1 : 0);
      if (bytes <= roomBytes && count <= this.#maxEntries) return;
      // What goes and comes back at once was replaced.
      if (policy.evict() !== key) this.evictions += 1;
    }
  }
}
