import { OptionError } from "../core/errors.ts";
import { type OptionReader, resolveWith } from "../core/options.ts";
import { Batcher } from "./batcher.ts";
import { codeOf, Connection, type PgPool } from "./postgres/pool.ts";
import { type PostgresStatements, statementsFor } from "./postgres/statements.ts";
import { byteArrays, escapeText, textArray, unescapeText } from "./postgres/wire.ts";
import type { Store, StoredEntry, StoredKey, StoreNote, StoreStats } from "./store.ts";
import { Turns } from "./turns.ts";

export type { PgPool, PgQuery, PgResult } from "./postgres/pool.ts";

export interface PostgresStoreOptions {
  /** `postgres://user:password@host:port/database`. @default what `pg` takes from `PGHOST` and its like */
  url?: string;
  /** A pool of your own, instead of `url`. It stays open when the store is closed. */
  pool?: PgPool;
  /** Name of the table, after a schema and a dot if you like; made at first use, with `<table>_notes` beside it. @default "langchain_perf_cache" */
  table?: string;
  /** Connections that are open at once at most. @default 5 */
  maxConnections?: number;
}

const DEFAULT_TABLE = "langchain_perf_cache";
/** A name, or two with a dot between. Postgres cuts names at 63 bytes, and indexes add to the table's. */
const TABLE_NAME = /^([A-Za-z_][A-Za-z0-9_]{0,62}\.)?[A-Za-z_][A-Za-z0-9_]{0,49}$/;
/** Keys in one question and entries in one write at most. */
const BATCH_ITEMS = 256;
const PAGE_ROWS = 1_000;

interface Put {
  readonly key: string;
  readonly entry: StoredEntry;
}

/**
 * Entries in a table of a Postgres database, which any number of processes share. Needs the package `pg`; connects at the first use.
 * What is asked for in one tick is one query. Writes of one process take turns, so that they count in the order in which they were made.
 * @throws OptionError when the options are wrong
 */
export function postgresStore(options: string | PostgresStoreOptions): Store {
  const { url, pool, table, maxConnections } = resolveWith("postgres", typeof options === "string" ? { url: options } : options, read);
  const statements = statementsFor(table);
  return new PostgresStore(statements, new Connection(statements, pool, url, maxConnections));
}

function read(reader: OptionReader) {
  const resolved = {
    url: reader.string("url", undefined),
    pool: reader.objectWith<PgPool>("pool", ["query"]),
    table: reader.string("table", DEFAULT_TABLE),
    maxConnections: reader.number("maxConnections", { default: 5, min: 1, max: 1_000, integer: true }),
  };
  if (resolved.url !== undefined && resolved.pool) throw new OptionError(reader.pathOf("pool"), "no pool beside a url", resolved.pool);
  if (!TABLE_NAME.test(resolved.table)) throw new OptionError(reader.pathOf("table"), "letters, digits and underscores, 50 at most, after a schema and a dot if need be", resolved.table);
  return resolved;
}

class PostgresStore implements Store {
  readonly name = "postgres";
  readonly shared = true;
  readonly note: StoreNote;
  readonly #statements: PostgresStatements;
  readonly #connection: Connection;
  readonly #writes = new Turns();
  readonly #gets = new Batcher<string, Uint8Array | undefined>({ run: (keys) => this.#get(keys), maxItems: BATCH_ITEMS, isOneItemsFault });
  readonly #puts = new Batcher<Put, void>({ run: (puts) => this.#put(puts), maxItems: BATCH_ITEMS, turn: (go) => this.#writes.take(go), isOneItemsFault });
  #closed = false;

  constructor(statements: PostgresStatements, connection: Connection) {
    this.#statements = statements;
    this.#connection = connection;
    this.note = {
      read: async (name) => (await this.#ask<{ text: string }>(statements.readNote, [escapeText(name)])).rows.map(({ text }) => unescapeText(text))[0],
      write: async (name, text) => void (await this.#ask(statements.writeNote, [escapeText(name), escapeText(text)])),
    };
  }

  async get(key: string): Promise<Uint8Array | undefined> {
    this.#refuseWhenClosed();
    return this.#gets.add(escapeText(key));
  }

  async set(key: string, entry: StoredEntry): Promise<void> {
    this.#refuseWhenClosed();
    return this.#puts.add({ key: escapeText(key), entry });
  }

  async delete(keys: readonly string[]): Promise<number> {
    return keys.length === 0 ? 0 : this.#remove(this.#statements.remove, [keys.map(escapeText)]);
  }

  /** Nothing is deleted where no group is given. */
  async invalidate(groups: readonly (readonly string[])[]): Promise<number> {
    return groups.length === 0 ? 0 : this.#remove(this.#statements.invalidate(groups.length), groups.map((labels) => labels.map(escapeText)));
  }

  async clear(): Promise<void> {
    await this.#remove(this.#statements.clear, []);
  }

  async *keys(): AsyncIterable<StoredKey> {
    for (let after = ""; ; ) {
      const { rows } = await this.#ask<{ key: string; size: number }>(this.#statements.list, [after, Date.now(), PAGE_ROWS]);
      for (const { key, size } of rows) yield { key: unescapeText(key), sizeBytes: size };
      const last = rows.at(-1);
      if (!last || rows.length < PAGE_ROWS) return;
      after = last.key;
    }
  }

  async touch(hits: ReadonlyMap<string, number>): Promise<void> {
    const sorted = [...hits].map(([key, count]) => [escapeText(key), count] as const).sort(byKey);
    for (let at = 0; at < sorted.length; at += BATCH_ITEMS) {
      const page = sorted.slice(at, at + BATCH_ITEMS);
      await this.#ask(this.#statements.touch, [page.map(([key]) => key), page.map(([, count]) => count)]);
    }
  }

  async hottest(limit: number): Promise<string[]> {
    const { rows } = await this.#ask<{ key: string }>(this.#statements.hottest, [Date.now(), limit]);
    return rows.map(({ key }) => unescapeText(key));
  }

  async purge(limit: number): Promise<number> {
    return (await this.#ask(this.#statements.purge, [Date.now(), limit])).count;
  }

  /** `sizeBytes` is what the table and its indexes take on the server's disk. */
  async stats(): Promise<StoreStats> {
    const { rows } = await this.#ask<{ entries: number; size: number }>(this.#statements.stats, []);
    const [{ entries, size }] = rows as [{ entries: number; size: number }];
    return { entries, sizeBytes: size };
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#writes.end();
    await this.#connection.close();
  }

  async #get(keys: readonly string[]): Promise<(Uint8Array | undefined)[]> {
    const distinct = [...new Set(keys)];
    const { rows } = await this.#connection.query<{ key: string; value: Buffer }>(this.#statements.get, [distinct, Date.now()]);
    const values = new Map(rows.map(({ key, value }) => [key, value]));
    const given = new Set<string>();
    return keys.map((key) => {
      const value = values.get(key);
      // Whoever asks for the same key gets bytes of their own.
      if (given.has(key)) return value && Uint8Array.from(value);
      given.add(key);
      return value;
    });
  }

  /** The keys are sorted: two processes that write the same ones do not lock each other out. */
  async #put(puts: readonly Put[]): Promise<void[]> {
    const last = new Map(puts.map(({ key, entry }) => [key, entry]));
    const sorted = [...last].sort(byKey);
    const entries = sorted.map(([, entry]) => entry);
    const expiries = entries.map(({ expiresAt }) => Math.floor(Math.min(expiresAt, Number.MAX_SAFE_INTEGER)));
    const labels = entries.map((entry) => textArray(entry.labels.map(escapeText)));
    await this.#connection.query(this.#statements.put, [sorted.map(([key]) => key), expiries, labels, byteArrays(entries.map(({ value }) => value))]);
    return puts.map(() => undefined);
  }

  /** @returns how many entries there were */
  #remove(text: string, values: unknown[]): Promise<number> {
    this.#refuseWhenClosed();
    this.#puts.seal();
    return this.#writes.take(async () => (await this.#connection.query(text, values)).count);
  }

  async #ask<Row>(text: string, values: unknown[]): Promise<{ rows: Row[]; count: number }> {
    this.#refuseWhenClosed();
    return this.#connection.query<Row>(text, values);
  }

  #refuseWhenClosed(): void {
    if (this.#closed) throw new Error("the store is closed");
  }
}

function byKey([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Classes 22 and 54 of Postgres's errors: a value that it cannot take, or one that is too long for an index. */
function isOneItemsFault(error: unknown): boolean {
  return /^(22|54)/.test(codeOf(error));
}
