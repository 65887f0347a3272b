/** All that a policy knows of what it holds. */
export interface Sized {
  /** A whole number of at least 1, and the same for as long as the entry is held. */
  readonly sizeBytes: number;
}

/** Holds entries without a bound, and chooses which of them goes next. The bounds are the store's. */
export interface MemoryPolicy<Entry extends Sized> {
  /** Counts as a use of the entry. */
  get(key: string): Entry | undefined;
  /** Reads without counting as a use. */
  peek(key: string): Entry | undefined;
  set(key: string, entry: Entry): void;
  delete(key: string): boolean;
  /** Lets go of the entry that is worth least. @returns its key; `undefined` when nothing was held */
  evict(): string | undefined;
  entries(): Iterable<readonly [key: string, entry: Entry]>;
  clear(): void;
  readonly entryCount: number;
  readonly sizeBytes: number;
}
