import { Batcher } from "../batcher.ts";
import type { Store, StoredEntry, StoredKey, StoreStats } from "../store.ts";
import { isRefusal } from "./client.ts";
import { RedisConnection, type RedisSource } from "./connection.ts";
import { packEntry, unpackEntry } from "./entry.ts";
import { DROP, FORGET, HOTTEST, INDEX, PAGE, TOUCH, WRITE } from "./entry-scripts.ts";

/** Keys that one run of a script looks at: a fraction of a millisecond of the server's time. */
const DROP_BATCH = 200;
const BATCH = 1000;
/** Entries that are read by one command: Redis answers nobody else meanwhile. */
const READ_BATCH = 64;
const HOT_MEMBERS = 10_000;
const WEEK_MS = 7 * 24 * 60 * 60 * 1000;
/** Where the weights of hits begin, 2026-01-01; a double holds a thousand doublings more. */
const WEIGHTS_FROM = Date.UTC(2026, 0);

type Groups = readonly (readonly string[])[];

/**
 * Entries in Redis 6 or later. Redis expires them itself; `keys`, `clear` and `stats` go through all keys with SCAN.
 * A `RedisConnection` that is passed in is shared and stays open; from anything else the store makes its own.
 * @throws OptionError
 */
export function redisStore(source: RedisConnection | RedisSource): Store {
  return source instanceof RedisConnection ? new RedisStore(source, false) : new RedisStore(new RedisConnection(source), true);
}

class RedisStore implements Store {
  readonly name = "redis";
  readonly shared = true;
  readonly #redis: RedisConnection;
  readonly #owns: boolean;
  readonly #entries: string;
  readonly #labels: string;
  readonly #hot: string;
  readonly #reads: Batcher<string, Uint8Array | undefined>;
  /** Entries that Redis was asked for one by one and has not given yet. */
  #underWay = 0;

  constructor(redis: RedisConnection, owns: boolean) {
    this.#redis = redis;
    this.#owns = owns;
    this.#entries = `${redis.prefix}e:`;
    this.#labels = `${redis.prefix}l:`;
    this.#hot = `${redis.prefix}hot`;
    this.#reads = new Batcher({ run: (keys) => this.#getAll(keys), maxItems: READ_BATCH, isOneItemsFault: isRefusal });
  }

  /** One alone goes at once; what is asked for beside it goes together, by ticks. */
  get(key: string): Promise<Uint8Array | undefined> {
    return this.#underWay === 0 || this.#redis.isCluster ? this.#getOne(key) : this.#reads.add(key);
  }

  async set(key: string, { value, expiresAt, labels }: StoredEntry): Promise<void> {
    const ttlMs = Math.ceil(expiresAt - Date.now());
    if (ttlMs <= 0) return void (await this.delete([key]));
    const ttl = Number.isSafeInteger(ttlMs) ? String(ttlMs) : "";
    const name = this.#entries + key;
    const packed = packEntry(value, labels);
    const indices = labels.map((label) => this.#labels + label);
    if (indices.length > 0 && !this.#redis.isCluster) return void (await this.#redis.script(WRITE, [name, ...indices], [key, packed, ttl]));
    const index = (): Promise<unknown> => Promise.all(indices.map((one) => this.#redis.script(INDEX, [one], [key, ttl])));
    if (indices.length > 0) await index();
    await this.#redis.call("set", name, packed, ...(ttl ? ["PX", ttl] : []));
    // Once more, for an invalidation that came between the two and has taken the entry before it out of the index.
    if (indices.length > 0) await index();
  }

  async delete(keys: readonly string[]): Promise<number> {
    const size = this.#redis.isCluster ? 1 : BATCH;
    const counts = await Promise.all(batches(keys, size).map((batch) => this.#redis.call("unlink", ...batch.map((key) => this.#entries + key))));
    return counts.reduce<number>((sum, count) => sum + Number(count), 0);
  }

  async invalidate(groups: Groups): Promise<number> {
    if (groups.some((group) => group.length === 0)) return 0;
    let dropped = 0;
    for (const label of await this.#narrowest(groups)) dropped += await this.#walk(label, groups);
    if (groups.length === 0 || (await this.#hasEvicted())) dropped += await this.#sweep(groups);
    return dropped;
  }

  async clear(): Promise<void> {
    // The indices are emptied, not deleted: an entry that is written meanwhile keeps its place in them.
    for await (const labels of this.#redis.scan("l:")) for (const label of labels) await this.#walk(label, []);
    await this.#sweep([]);
    await this.#redis.call("unlink", this.#hot);
  }

  async *keys(): AsyncIterable<StoredKey> {
    for await (const keys of this.#redis.scan("e:")) for (const key of keys) yield { key };
  }

  /** Hits lose half of their weight in a week: later ones count for more, so that nothing has to age (forward decay, Cormode et al., ICDE 2009). */
  async touch(hits: ReadonlyMap<string, number>): Promise<void> {
    const weight = 2 ** ((Date.now() - WEIGHTS_FROM) / WEEK_MS);
    const runs = batches([...hits], BATCH).map((batch) => this.#redis.script(TOUCH, [this.#hot], [HOT_MEMBERS, ...batch.flatMap(([key, count]) => [count * weight, key])]));
    await Promise.all(runs);
  }

  async hottest(limit: number): Promise<string[]> {
    const found: string[] = [];
    for (let from = 0; found.length < limit; from += BATCH) {
      const keys = (await this.#redis.script(HOTTEST, [this.#hot], [from, from + BATCH - 1])) as string[];
      const exist = await Promise.all(keys.map((key) => this.#redis.call("exists", this.#entries + key)));
      found.push(...keys.filter((_key, index) => Number(exist[index]) === 1));
      if (keys.length < BATCH) break;
    }
    return found.slice(0, limit);
  }

  /** Counts with SCAN: a thousand keys a round trip. Redis does not tell the size of a part of its keys. */
  async stats(): Promise<StoreStats> {
    let entries = 0;
    for await (const keys of this.#redis.scan("e:")) entries += keys.length;
    return { entries };
  }

  async close(): Promise<void> {
    if (this.#owns) this.#redis.close();
  }

  async #getOne(key: string): Promise<Uint8Array | undefined> {
    this.#underWay += 1;
    try {
      return valueOf(await this.#redis.callBuffer("get", this.#entries + key));
    } finally {
      this.#underWay -= 1;
    }
  }

  async #getAll(keys: readonly string[]): Promise<(Uint8Array | undefined)[]> {
    const [only, ...others] = keys;
    if (only !== undefined && others.length === 0) return [await this.#getOne(only)];
    const replies = await this.#redis.callBuffer("mget", ...keys.map((key) => this.#entries + key));
    return (replies as unknown[]).map(valueOf);
  }

  /** The group whose indices have the fewest members: every entry that is looked for is in one of these. */
  async #narrowest(groups: Groups): Promise<readonly string[]> {
    const [only, ...others] = groups;
    if (!only || others.length === 0) return only ?? [];
    const sizes = await Promise.all(groups.map(async (group) => {
      const counts = await Promise.all(group.map((label) => this.#redis.call("zcard", this.#labels + label)));
      return counts.reduce<number>((sum, count) => sum + Number(count), 0);
    }));
    return groups[sizes.indexOf(Math.min(...sizes))] ?? only;
  }

  /** Drops the entries of one index that carry a label of each group; those that are gone leave the index. */
  async #walk(label: string, groups: Groups): Promise<number> {
    const index = this.#labels + label;
    let dropped = 0;
    let cursor = "0";
    do {
      const [next, flat] = (await this.#redis.script(PAGE, [index], [cursor])) as [string, string[]];
      cursor = next;
      const members = batches(flat, 2) as [member: string, score: string][];
      const results = await this.#drop(members.map(([member]) => member), groups);
      const gone = members.filter((_member, at) => results[at] !== STAYS);
      await Promise.all(batches(gone, BATCH).map((batch) => this.#redis.script(FORGET, [index], batch.flat())));
      dropped += results.filter((result) => result === DROPPED).length;
    } while (cursor !== "0");
    return dropped;
  }

  async #sweep(groups: Groups): Promise<number> {
    let dropped = 0;
    for await (const keys of this.#redis.scan("e:")) {
      const results = await this.#drop(keys, groups);
      dropped += results.filter((result) => result === DROPPED).length;
    }
    return dropped;
  }

  async #drop(keys: readonly string[], groups: Groups): Promise<number[]> {
    const wanted = [groups.length, ...groups.flatMap((group) => [group.length, ...group])];
    const size = this.#redis.isCluster ? 1 : DROP_BATCH;
    const results = await Promise.all(batches(keys, size).map((batch) => this.#redis.script(DROP, batch.map((key) => this.#entries + key), wanted)));
    return (results as number[][]).flat();
  }

  /** Whether an index may be missing. A server that may not be asked might have evicted one. */
  async #hasEvicted(): Promise<boolean> {
    try {
      const infos = await this.#redis.callMasters("info", "stats");
      return infos.some((info) => !/^evicted_keys:0\s*$/m.test(String(info)));
    } catch (error) {
      if (isRefusal(error)) return true;
      throw error;
    }
  }
}

/** What the script DROP says of an entry. */
const DROPPED = 1;
const STAYS = 2;

function valueOf(packed: unknown): Uint8Array | undefined {
  return packed === null ? undefined : unpackEntry(packed as Buffer);
}

function batches<T>(items: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_unused, index) => items.slice(index * size, (index + 1) * size));
}
