import { LRUCache } from "lru-cache";
import type { Answer } from "../core/layer.ts";

/** What the memory tier holds under a key. The answer is kept as it came, unserialised, and never handed out itself. */
export interface MemoryEntry {
  readonly answer: Answer;
  readonly kind: string;
  /** Milliseconds since the epoch. */
  readonly storedAt: number;
  readonly expiresAt: number;
  readonly sizeBytes: number;
  /** The call whose upstream answer this is. */
  readonly writer: string;
  /** Number of the call that asked for it; see `Call.number`. */
  readonly asked: number;
  readonly namespace: string;
  readonly tenant: string | undefined;
  tags: readonly string[] | undefined;
}

/** The port that the memory tier of the cache is reached through: synchronous, so that a hit costs no promise. */
export interface MemoryStore {
  get(key: string): MemoryEntry | undefined;
  /** @returns whether it was taken; an entry over `maxEntryBytes` is not */
  set(key: string, entry: MemoryEntry): boolean;
  delete(key: string): boolean;
  entries(): Iterable<readonly [key: string, entry: MemoryEntry]>;
  clear(): void;
  readonly entryCount: number;
  readonly sizeBytes: number;
  readonly evictions: number;
}

export interface MemoryStoreOptions {
  /** Bytes that all entries together may take, estimated. @default 67_108_864 (64 MiB) */
  maxBytes?: number;
  /** @default Infinity */
  maxEntries?: number;
  /** A larger answer is not kept, bytes. @default a sixteenth of `maxBytes` */
  maxEntryBytes?: number;
}

/** A least-recently-used memory tier, sized by bytes. */
export function memoryStore(options: MemoryStoreOptions = {}): MemoryStore {
  const { maxBytes = 64 * 1024 * 1024, maxEntries = Infinity, maxEntryBytes = Math.ceil(maxBytes / 16) } = options;
  const largest = Math.min(maxEntryBytes, maxBytes);
  let evictions = 0;
  const cache = new LRUCache<string, MemoryEntry>({
    // lru-cache takes no Infinity.
    maxSize: Math.min(maxBytes, Number.MAX_SAFE_INTEGER),
    ...(Number.isFinite(maxEntries) ? { max: maxEntries } : {}),
    dispose: (_entry, _key, reason) => {
      if (reason === "evict") evictions += 1;
    },
  });
  return {
    get: (key) => cache.get(key),
    set: (key, entry) => {
      if (entry.sizeBytes > largest) return cache.delete(key), false;
      cache.set(key, entry, { size: entry.sizeBytes });
      return true;
    },
    delete: (key) => cache.delete(key),
    entries: () => cache.entries(),
    clear: () => cache.clear(),
    get entryCount() {
      return cache.size;
    },
    get sizeBytes() {
      return cache.calculatedSize;
    },
    get evictions() {
      return evictions;
    },
  };
}
