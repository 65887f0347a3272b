import { OptionError } from "../core/errors.ts";
import { resolveWith } from "../core/options.ts";
import { GenerationStore, type Items } from "./generations.ts";
import { baseStoreItems, isBaseStore, keyvItems, type BaseStoreLike, type KeyValueItems, type KeyvLike } from "./key-value-items.ts";
import { ScannedStore, type ScannedStoreOptions } from "./key-value-scan.ts";
import type { Store } from "./store.ts";

export type { BaseStoreLike, KeyvLike } from "./key-value-items.ts";

export interface KeyValueStoreOptions {
  /** Begins the name of every item, so that others' items in the same store stay as they are; no line breaks. @default "langchain-perf." */
  keyPrefix?: string;
  /**
   * Whether processes on other machines see the same entries. Then what another process invalidates is left to that process; else this one erases it here
   * too, which in a shared store only costs time.
   * @default false
   */
  shared?: boolean;
}

/**
 * A store over LangChain's `BaseStore<string, Uint8Array>` or a Keyv instance (5 or 6). Expiry and labels travel with the value, so
 * `invalidate`, `clear`, `keys` and `purge` read every entry: fit for thousands of entries, not for millions. Over a Keyv whose adapter
 * cannot be iterated they work as over memcached, see `GenerationStore`: then keys cannot be listed, nor what was invalidated be counted.
 *
 * The client stays the user's: it is not closed. With Keyv, mind what its adapter holds: the table of `@keyv/mysql` takes values
 * up to 64 KB (entries up to 48 KB) unless its column is made a LONGTEXT; a longer one is an error.
 *
 * @throws OptionError when the client is neither
 */
export function keyValueStore(client: BaseStoreLike | KeyvLike, options: KeyValueStoreOptions = {}): Store {
  const isKeyv = ["get", "set", "delete", "on"].every((method) => typeof (client as unknown as Record<string, unknown> | null)?.[method] === "function");
  if (!client || !(isBaseStore(client) || isKeyv)) throw new OptionError("client", "a BaseStore of LangChain or a Keyv", client);
  const resolved = resolveWith("keyValueStore", options, (read): ScannedStoreOptions => ({
    name: isBaseStore(client) ? "base-store" : "keyv",
    keyPrefix: read.string("keyPrefix", "langchain-perf."),
    shared: read.boolean("shared", false),
  }));
  if (resolved.keyPrefix.includes("\n")) throw new OptionError("keyValueStore.keyPrefix", "a string without line breaks", resolved.keyPrefix);
  const items = isBaseStore(client) ? baseStoreItems(client, resolved.keyPrefix) : keyvItems(client);
  const { scan } = items;
  return scan ? new ScannedStore({ ...items, scan }, resolved) : new GenerationStore(withoutScan(items, resolved));
}

function withoutScan(items: KeyValueItems, { name, shared, keyPrefix }: ScannedStoreOptions): Items {
  return {
    name,
    shared,
    prefix: keyPrefix,
    read: (names) => Promise.all(names.map((each) => items.read(each))),
    write: (each, bytes, expiresAt) => items.write(each, bytes, expiresAt),
    remove: async (each) => (await items.remove([each]), true),
    add: addingOnce(items),
    close: async () => {},
  };
}

/**
 * Such a backend writes over what is there. In one process the writers take turns; of two processes that begin a ledger at the same time
 * one loses the entries that it has written meanwhile.
 */
function addingOnce(items: KeyValueItems): Items["add"] {
  const pending = new Map<string, Promise<boolean>>();
  return async (name, bytes) => {
    const other = pending.get(name);
    if (other) return other.then(() => false);
    const adding = (async () => {
      if (await items.read(name)) return false;
      await items.write(name, bytes, Infinity);
      return true;
    })();
    pending.set(name, adding);
    return adding.finally(() => pending.delete(name));
  };
}
