import { LRUCache } from "lru-cache";
import type { MemoryPolicy, Sized } from "./memory-policy.ts";

/** An entry and how often it was asked for since it came in or was last passed over; more than `MOST_REUSES` is not counted. */
interface Held<Entry> {
  readonly key: string;
  entry: Entry;
  reuses: number;
}

/** Part of all bytes that newcomers may take. */
const SMALL_SHARE = 0.1;
const MOST_REUSES = 3;
/** So many make a newcomer stay. */
const PROMOTING_REUSES = 2;

/**
 * S3-FIFO: three queues, first in first out (Yang, Zhang, Qiu, Yue, Rashmi: "FIFO queues are all you need for cache eviction", SOSP 2023).
 * What comes in waits in the small queue. Most entries are never asked for again, and leave from there at little cost; what is reused
 * moves on to the main queue, at whose end a reused entry gets another round. The ghost remembers keys of those that left the small
 * queue: who comes back so soon goes straight to the main queue.
 */
export class S3FifoPolicy<Entry extends Sized> implements MemoryPolicy<Entry> {
  readonly #small = new Queue<Entry>();
  readonly #main = new Queue<Entry>();
  readonly #ghost = fifo<string>();

  get(key: string): Entry | undefined {
    const held = this.#find(key);
    if (held === undefined) return undefined;
    if (held.reuses < MOST_REUSES) held.reuses += 1;
    return held.entry;
  }

  peek(key: string): Entry | undefined {
    return this.#find(key)?.entry;
  }

  /** A new entry under a known key keeps the place and the reuses of the old one. */
  set(key: string, entry: Entry): void {
    if (this.#small.replace(key, entry) || this.#main.replace(key, entry)) return;
    const queue = this.#ghost.delete(key) ? this.#main : this.#small;
    queue.push({ key, entry, reuses: 0 });
  }

  delete(key: string): boolean {
    return this.#main.delete(key) || this.#small.delete(key);
  }

  evict(): string | undefined {
    for (;;) {
      const fromSmall = this.#main.count === 0 || this.#small.bytes >= SMALL_SHARE * this.sizeBytes;
      const held = (fromSmall ? this.#small : this.#main).shift();
      if (held === undefined) return undefined;
      if (held.reuses < (fromSmall ? PROMOTING_REUSES : 1)) {
        if (fromSmall) this.#remember(held.key);
        return held.key;
      }
      held.reuses = fromSmall ? 0 : held.reuses - 1;
      this.#main.push(held);
    }
  }

  *entries(): Generator<readonly [key: string, entry: Entry]> {
    for (const queue of [this.#main, this.#small]) {
      for (const { key, entry } of queue.values()) yield [key, entry];
    }
  }

  clear(): void {
    this.#small.clear();
    this.#main.clear();
    this.#ghost.clear();
  }

  get entryCount(): number {
    return this.#small.count + this.#main.count;
  }

  get sizeBytes(): number {
    return this.#small.bytes + this.#main.bytes;
  }

  /** Most hits are in the main queue. */
  #find(key: string): Held<Entry> | undefined {
    return this.#main.peek(key) ?? this.#small.peek(key);
  }

  /** Entries are evicted when the room is full, so what is held now tells how many the main queue has room for. */
  #remember(key: string): void {
    const most = Math.ceil((1 - SMALL_SHARE) * (this.entryCount + 1));
    while (this.#ghost.size >= most) this.#ghost.pop();
    this.#ghost.set(key, key);
  }
}

/** First in, first out, with access by key. */
class Queue<Entry extends Sized> {
  readonly #held = fifo<Held<Entry>>();
  bytes = 0;

  get count(): number {
    return this.#held.size;
  }

  peek(key: string): Held<Entry> | undefined {
    return this.#held.peek(key);
  }

  push(held: Held<Entry>): void {
    this.#held.set(held.key, held);
    this.bytes += held.entry.sizeBytes;
  }

  shift(): Held<Entry> | undefined {
    const held = this.#held.pop();
    if (held !== undefined) this.bytes -= held.entry.sizeBytes;
    return held;
  }

  replace(key: string, entry: Entry): boolean {
    const held = this.#held.peek(key);
    if (held === undefined) return false;
    this.bytes += entry.sizeBytes - held.entry.sizeBytes;
    held.entry = entry;
    return true;
  }

  delete(key: string): boolean {
    const held = this.#held.peek(key);
    if (held === undefined) return false;
    this.#held.delete(key);
    this.bytes -= held.entry.sizeBytes;
    return true;
  }

  values(): Iterable<Held<Entry>> {
    return this.#held.values();
  }

  clear(): void {
    this.#held.clear();
    this.bytes = 0;
  }
}

/** An lru-cache that is read by `peek` alone is a queue. It wants some bound: here each entry counts as one, and there is room for all. */
function fifo<Value extends object | string>(): LRUCache<string, Value> {
  return new LRUCache({ maxSize: Number.MAX_SAFE_INTEGER, sizeCalculation: () => 1 });
}
