/** LangChain's `BaseStore<string, Uint8Array>`, as far as it is needed. */
export interface BaseStoreLike {
  mget(keys: string[]): Promise<(Uint8Array | undefined)[]>;
  mset(pairs: [string, Uint8Array][]): Promise<void>;
  mdelete(keys: string[]): Promise<void>;
  yieldKeys(prefix?: string): AsyncGenerator<string>;
}

/** A Keyv instance, version 5 or 6, as far as it is needed. */
export interface KeyvLike {
  get(key: string): Promise<unknown>;
  set(key: string, value: string, ttlMs?: number): Promise<unknown>;
  delete(key: string): Promise<unknown>;
  clear(): Promise<void>;
  on(event: string, listener: (error: unknown) => void): unknown;
  iterator?(namespace?: unknown): AsyncIterable<unknown>;
  /** The adapter that the instance stands on. */
  readonly store?: unknown;
}

/** The commands that every key-value store has. */
export interface KeyValueItems {
  /** What is under the name, if it can be ours. */
  read(name: string): Promise<Uint8Array | undefined>;
  write(name: string, bytes: Uint8Array, expiresAt: number): Promise<void>;
  remove(names: readonly string[]): Promise<void>;
  /** Values of all items that can be ours, and perhaps others; absent when the backend cannot be listed. */
  scan?(): AsyncIterable<Uint8Array>;
}

/** How many commands are under way at once while a store is scanned. */
export const BATCH = 64;

const CENTURY_MS = 100 * 365 * 24 * 3_600_000;

export function isBaseStore(client: BaseStoreLike | KeyvLike): client is BaseStoreLike {
  return typeof (client as Partial<BaseStoreLike>).mget === "function";
}

export function baseStoreItems(client: BaseStoreLike, prefix: string): KeyValueItems {
  const readMany = async (names: string[]): Promise<Uint8Array[]> => (await client.mget(names)).filter((bytes) => bytes instanceof Uint8Array);
  return {
    read: async (name) => (await client.mget([name]))[0],
    write: (name, bytes) => client.mset([[name, bytes]]),
    remove: (names) => client.mdelete([...names]),
    async *scan() {
      let names: string[] = [];
      for await (const name of client.yieldKeys(prefix)) {
        names.push(name);
        if (names.length < BATCH) continue;
        yield* await readMany(names);
        names = [];
      }
      yield* await readMany(names);
    },
  };
}

/** Values are kept as base64, since Keyv's serialisation, and its adapters', is JSON. */
export function keyvItems(client: KeyvLike): KeyValueItems {
  const guarded = throwing(client);
  const items: KeyValueItems = {
    read: async (name) => bytesOf(await guarded(() => client.get(name))),
    async write(name, bytes, expiresAt) {
      const ttlMs = Math.max(1, Math.ceil(expiresAt - Date.now()));
      const stored = await guarded(() => client.set(name, Buffer.from(bytes).toString("base64"), ttlMs > CENTURY_MS ? undefined : ttlMs));
      if (stored === false) throw new Error("Keyv did not store the value.");
    },
    async remove(names) {
      // One by one: with several keys, Keyv 5 does not find the names that begin with its namespace.
      for (let at = 0; at < names.length; at += BATCH) {
        await guarded(() => Promise.all(names.slice(at, at + BATCH).map((name) => client.delete(name))));
      }
    },
  };
  if (!canIterate(client)) return items;
  return {
    ...items,
    async *scan() {
      const { rejectIfFailed } = guarded.watch();
      for await (const item of client.iterator?.() ?? []) {
        // The name is not to be relied on: Keyv 5 cuts it at the first colon, whether it has a namespace or not.
        const bytes = Array.isArray(item) ? bytesOf(item[1]) : undefined;
        if (bytes) yield bytes;
      }
      rejectIfFailed();
    },
  };
}

interface Guard {
  <Result>(operation: () => Promise<Result>): Promise<Result>;
  watch(): { rejectIfFailed(): void };
}

/**
 * Keyv tells of a failure by an event, and answers as if nothing had been there. So an operation during which an error was emitted
 * is taken to have failed, even if the error was another's: a failure too many is a miss, one too few an invalidation that is lost.
 * (Keyv 5 says nothing at all of a failed read; that is a miss too.) Having a listener, the event cannot end the process.
 */
function throwing(client: KeyvLike): Guard {
  let failures = 0;
  let latest: unknown;
  client.on("error", (error) => {
    failures += 1;
    latest = error;
  });
  const watch = (): { rejectIfFailed(): void } => {
    const before = failures;
    return {
      rejectIfFailed: () => {
        if (failures !== before) throw latest instanceof Error ? latest : new Error(String(latest));
      },
    };
  };
  const guard = async <Result>(operation: () => Promise<Result>): Promise<Result> => {
    const { rejectIfFailed } = watch();
    const result = await operation();
    rejectIfFailed();
    return result;
  };
  return Object.assign(guard, { watch });
}

/** Keyv 5 has an iterator where its adapter has one that it knows; Keyv 6 always, which gives nothing where the adapter has none. */
function canIterate({ iterator, store }: KeyvLike): boolean {
  if (typeof iterator !== "function") return false;
  // Of Keyv 6: what it has found out about the backend, and, of one in memory, the backend itself.
  const adapter = (store ?? {}) as { capabilities?: { methods?: { iterator?: { exists?: boolean } } }; store?: unknown };
  return adapter.capabilities?.methods?.iterator?.exists !== false || adapter.store instanceof Map;
}

function bytesOf(value: unknown): Uint8Array | undefined {
  return typeof value === "string" ? Buffer.from(value, "base64") : undefined;
}
