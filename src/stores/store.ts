/** One entry as a store keeps it. The store looks into nothing but these fields. */
export interface StoredEntry {
  /** Sealed by the cache: format version, compression, encryption. */
  readonly value: Uint8Array;
  /** When nobody wants the entry any more, milliseconds since the epoch. */
  readonly expiresAt: number;
  /** What the entry can be invalidated by. */
  readonly labels: readonly string[];
}

/** What a store knows of an entry without reading it. */
export interface StoredKey {
  readonly key: string;
  /** Bytes of the entry's value, where the store knows them. */
  readonly sizeBytes?: number;
}

export interface StoreStats {
  /** Entries, expired ones that were not purged yet included. */
  readonly entries: number;
  readonly sizeBytes?: number;
}

/**
 * A tier of the cache outside this process's heap. Everything may fail at any moment: the cache turns a failure into a miss,
 * so a store just throws. A store never answers with an expired entry.
 */
export interface Store {
  /** Shown in errors and statistics, e.g. `redis`. */
  readonly name: string;
  /** Whether processes on other machines see the same entries. */
  readonly shared: boolean;
  /** The entry's value; `undefined` when there is none or it has expired. The bytes are the caller's. */
  get(key: string): Promise<Uint8Array | undefined>;
  /** Replaces what is there, labels and expiry included. */
  set(key: string, entry: StoredEntry): Promise<void>;
  /** @returns how many there were */
  delete(keys: readonly string[]): Promise<number>;
  /**
   * Deletes every entry that carries at least one label of each group.
   * @returns how many there were, as far as the store can tell
   */
  invalidate(groups: readonly (readonly string[])[]): Promise<number>;
  clear(): Promise<void>;
  /** Keys of entries that have not expired, in no order. A store that cannot list its keys gives none. */
  keys(): AsyncIterable<StoredKey>;
  /** Adds to the number of times that entries were asked for. */
  touch?(hits: ReadonlyMap<string, number>): Promise<void>;
  /** Keys of the entries that were asked for most, the most asked for first. */
  hottest?(limit: number): Promise<string[]>;
  /** Removes at most `limit` expired entries. @returns how many; fewer than `limit` = none is left */
  purge?(limit: number): Promise<number>;
  stats?(): Promise<StoreStats>;
  /** A note that lives beside the entries, is no entry, and survives `clear`. */
  note?: StoreNote;
  /** Lets go of everything that the store opened itself. */
  close(): Promise<void>;
}

export interface StoreNote {
  read(name: string): Promise<string | undefined>;
  write(name: string, text: string): Promise<void>;
}
