import { LRUCache } from "lru-cache";
import type { MemoryPolicy, Sized } from "./memory-policy.ts";

/** The least recently used entry goes first. A `set` is a use. */
export class LruPolicy<Entry extends Sized> implements MemoryPolicy<Entry> {
  readonly #entries = new LRUCache<string, Entry>({
    // Makes it count bytes; it takes no Infinity.
    maxSize: Number.MAX_SAFE_INTEGER,
    sizeCalculation: ({ sizeBytes }) => sizeBytes,
  });

  get(key: string): Entry | undefined {
    return this.#entries.get(key);
  }

  peek(key: string): Entry | undefined {
    return this.#entries.peek(key);
  }

  set(key: string, entry: Entry): void {
    this.#entries.set(key, entry);
  }

  delete(key: string): boolean {
    return this.#entries.delete(key);
  }

  evict(): string | undefined {
    const [oldest] = this.#entries.rkeys();
    if (oldest !== undefined) this.#entries.delete(oldest);
    return oldest;
  }

  entries(): Iterable<readonly [key: string, entry: Entry]> {
    return this.#entries.entries();
  }

  clear(): void {
    this.#entries.clear();
  }

  get entryCount(): number {
    return this.#entries.size;
  }

  get sizeBytes(): number {
    return this.#entries.calculatedSize;
  }
}
