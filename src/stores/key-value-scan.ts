import { BATCH, type KeyValueItems } from "./key-value-items.ts";
import { carries, isLive, nameOf, pack, unpack, type LabelledValue } from "./labelled-value.ts";
import type { Store, StoredEntry, StoredKey } from "./store.ts";

export interface ScannedStoreOptions {
  readonly name: string;
  readonly shared: boolean;
  readonly keyPrefix: string;
}

type ScannableItems = KeyValueItems & Required<Pick<KeyValueItems, "scan">>;

/** A store that reads all that there is to find what an invalidation concerns. */
export class ScannedStore implements Store {
  readonly name: string;
  readonly shared: boolean;
  readonly #items: ScannableItems;
  readonly #prefix: string;
  /** Begins the key in each entry: a scan can tell by it whose the entry is, even if the item's name has been cut. */
  readonly #mark: string;

  constructor(items: ScannableItems, { name, shared, keyPrefix }: ScannedStoreOptions) {
    this.name = name;
    this.shared = shared;
    this.#items = items;
    this.#prefix = keyPrefix;
    this.#mark = `${keyPrefix}\n`;
  }

  async get(key: string): Promise<Uint8Array | undefined> {
    return (await this.#find(key))?.value;
  }

  async set(key: string, { value, expiresAt, labels }: StoredEntry): Promise<void> {
    if (expiresAt <= Date.now()) return this.#items.remove([this.#nameFor(key)]);
    return this.#items.write(this.#nameFor(key), pack({ key: `${this.#mark}${key}`, expiresAt, labels }, value), expiresAt);
  }

  async delete(keys: readonly string[]): Promise<number> {
    const distinct = [...new Set(keys)];
    let found = 0;
    for (let at = 0; at < distinct.length; at += BATCH) {
      const batch = distinct.slice(at, at + BATCH);
      found += (await Promise.all(batch.map((key) => this.#find(key)))).filter(Boolean).length;
      await this.#items.remove(batch.map((key) => this.#nameFor(key)));
    }
    return found;
  }

  invalidate(groups: readonly (readonly string[])[]): Promise<number> {
    return this.#removeWhere((entry) => isLive(entry) && carries(entry.labels, groups));
  }

  async clear(): Promise<void> {
    await this.#removeWhere(() => true);
  }

  async *keys(): AsyncGenerator<StoredKey> {
    for await (const entry of this.#entries()) if (isLive(entry)) yield { key: entry.key, sizeBytes: entry.value.length };
  }

  purge(limit: number): Promise<number> {
    return this.#removeWhere((entry) => !isLive(entry), limit);
  }

  async close(): Promise<void> {}

  async #find(key: string): Promise<LabelledValue | undefined> {
    const entry = unpack(await this.#items.read(this.#nameFor(key)));
    return entry && entry.key === `${this.#mark}${key}` && isLive(entry) ? entry : undefined;
  }

  async *#entries(): AsyncGenerator<LabelledValue> {
    for await (const bytes of this.#items.scan()) {
      const entry = unpack(bytes);
      if (entry?.key.startsWith(this.#mark)) yield { ...entry, key: entry.key.slice(this.#mark.length) };
    }
  }

  async #removeWhere(isDoomed: (entry: LabelledValue) => boolean, limit = Infinity): Promise<number> {
    const names: string[] = [];
    if (limit < 1) return 0;
    for await (const entry of this.#entries()) {
      if (isDoomed(entry) && names.push(this.#nameFor(entry.key)) >= limit) break;
    }
    if (names.length > 0) await this.#items.remove(names);
    return names.length;
  }

  #nameFor(key: string): string {
    return `${this.#prefix}${nameOf(key)}`;
  }
}
