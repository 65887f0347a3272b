import { resolve } from "node:path";
import { setImmediate as breathe, setTimeout as delay } from "node:timers/promises";
import { OptionError } from "../core/errors.ts";
import { resolveWith } from "../core/options.ts";
import { identityOf, isBusy, isCorrupt, moveAside, openDatabase, type Database, type Statements } from "./sqlite/database.ts";
import type { Store, StoredEntry, StoredKey, StoreNote, StoreStats } from "./store.ts";
import { Turns } from "./turns.ts";

export interface SqliteStoreOptions {
  /** Path of the file, made with its folder when it is not there; `:memory:` keeps the entries in this process only. */
  path: string;
}

/** How long a write waits for those of other processes before it fails. */
const WRITE_WAIT_MS = 5_000;
/** Rows that one step of a long operation touches: some 5 ms of this thread. */
const PAGE_ROWS = 250;
/** Above this many carriers labels count as equally frequent. */
const COUNTED_CARRIERS = 10_000;

/**
 * Entries in one SQLite file (`node:sqlite`), which any number of processes on this machine may share. Nothing is opened before the first use.
 * A broken file is moved aside to `<path>.corrupt-<time>`, and the operation that met it throws; the next one begins an empty file.
 * A file of another program, or of a newer schema, is left as it is: every operation throws. Where the file cannot be written, reads go on.
 * @throws OptionError when the options are wrong
 */
export function sqliteStore(options: string | SqliteStoreOptions): Store {
  const raw = typeof options === "string" ? { path: options } : options;
  const path = resolveWith("sqlite", raw, (reader) => {
    const wanted = reader.string("path", undefined);
    if (wanted === undefined) throw new OptionError(reader.pathOf("path"), "the path of a file", wanted);
    return wanted;
  });
  return new SqliteStore(path === ":memory:" ? path : resolve(path));
}

class SqliteStore implements Store {
  readonly name = "sqlite";
  readonly shared = false;
  readonly note: StoreNote;
  readonly #path: string;
  #database: Database | undefined;
  /** The file that was there when it was last opened. */
  #identity: string | undefined;
  /** One write that had to wait must not overtake a later one. */
  readonly #writes = new Turns();
  #closed = false;

  constructor(path: string) {
    this.#path = path;
    this.note = {
      read: (name) => this.#read(({ readNote }) => (readNote.get(name) as { text: string } | undefined)?.text),
      write: (name, text) => this.#inTurn(() => this.#transaction(({ writeNote }) => void writeNote.run(name, text))),
    };
  }

  get(key: string): Promise<Uint8Array | undefined> {
    return this.#read(({ get }) => (get.get(key, Date.now()) as { value: Uint8Array } | undefined)?.value);
  }

  set(key: string, { value, expiresAt, labels }: StoredEntry): Promise<void> {
    const asked = performance.now();
    const write = ({ put, unlabel, label }: Statements): void => {
      const { id } = put.get(key, Math.min(expiresAt, Number.MAX_SAFE_INTEGER), value) as unknown as NumberedRow;
      unlabel.run(id);
      for (const text of labels) label.run(text, id);
    };
    return this.#inTurn(() => this.#transaction(write, asked));
  }

  delete(keys: readonly string[]): Promise<number> {
    return this.#each(keys, (statements, key) => {
      const found = statements.find.get(key) as NumberedRow | undefined;
      return found ? remove(statements, found) : 0;
    });
  }

  /** In steps: what other processes write meanwhile may or may not be found. Nothing is deleted where no group is given. */
  async invalidate(groups: readonly (readonly string[])[]): Promise<number> {
    return this.#inTurn(async () => {
      const [rarest = [], ...others] = groups.length > 1 ? await this.#rarestFirst(groups) : groups;
      let removed = 0;
      for (const label of rarest) removed += await this.#invalidateLabel(label, others);
      return removed;
    });
  }

  clear(): Promise<void> {
    return this.#inTurn(() => this.#attempt((database) => database.clear()));
  }

  async *keys(): AsyncIterable<StoredKey> {
    for (let after = ""; ; ) {
      const page = await this.#read(({ list }) => list.all(after, Date.now(), PAGE_ROWS) as unknown as Required<StoredKey>[]);
      yield* page;
      const last = page.at(-1);
      if (!last || page.length < PAGE_ROWS) return;
      after = last.key;
    }
  }

  async touch(hits: ReadonlyMap<string, number>): Promise<void> {
    await this.#each([...hits], ({ touch }, [key, count]) => Number(touch.run(count, key).changes));
  }

  hottest(limit: number): Promise<string[]> {
    return this.#read(({ hottest }) => (hottest.all(Date.now(), limit) as unknown as StoredKey[]).map(({ key }) => key));
  }

  purge(limit: number): Promise<number> {
    return this.#inTurn(async () => {
      for (let purged = 0; ; await breathe()) {
        const wanted = Math.min(PAGE_ROWS, limit - purged);
        const removed = await this.#transaction((statements) => {
          const rows = statements.expired.all(Date.now(), wanted) as unknown as NumberedRow[];
          return sum(rows, (row) => remove(statements, row));
        });
        purged += removed;
        if (removed < wanted || purged >= limit) return purged;
      }
    });
  }

  /** `sizeBytes` is what the entries, their labels and indexes take of the file. */
  stats(): Promise<StoreStats> {
    return this.#read(({ count, size }) => {
      const entries = count.get() as unknown as { count: number };
      return { entries: entries.count, sizeBytes: (size.get() as unknown as { bytes: number }).bytes };
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#writes.end();
    this.#release();
  }

  /** The first group is the one whose labels fewest entries carry, since each of these is looked at. */
  async #rarestFirst(groups: readonly (readonly string[])[]): Promise<readonly (readonly string[])[]> {
    const counted = await this.#attempt(({ statements: { carriers } }) =>
      groups.map((labels) => ({
        labels,
        count: sum(labels, (label) => (carriers.get(label, COUNTED_CARRIERS) as unknown as { count: number }).count),
      })),
    );
    return counted.sort((a, b) => a.count - b.count).map(({ labels }) => labels);
  }

  async #invalidateLabel(label: string, others: readonly (readonly string[])[]): Promise<number> {
    let removed = 0;
    for (let after = 0; ; await breathe()) {
      const step = await this.#transaction((statements) => {
        const page = statements.labelled.all(label, after, PAGE_ROWS) as unknown as NumberedRow[];
        const named = page.filter(({ id }) => others.every((group) => group.some((other) => statements.carries.get(other, id))));
        return { page, removed: sum(named, (row) => remove(statements, row)) };
      });
      removed += step.removed;
      const last = step.page.at(-1);
      if (!last || step.page.length < PAGE_ROWS) return removed;
      after = last.id;
    }
  }

  /** Does something to each item, with a breath for the event loop between the pages. @returns the sum of what it gave */
  #each<Item>(items: readonly Item[], work: (statements: Statements, item: Item) => number): Promise<number> {
    return this.#inTurn(async () => {
      let total = 0;
      for (let at = 0; at < items.length; at += PAGE_ROWS) {
        if (at > 0) await breathe();
        const page = items.slice(at, at + PAGE_ROWS);
        total += await this.#transaction((statements) => sum(page, (item) => work(statements, item)));
      }
      return total;
    });
  }

  async #read<T>(work: (statements: Statements) => T): Promise<T> {
    this.#refuseWhenClosed();
    return this.#attempt(({ statements }) => work(statements));
  }

  async #inTurn<T>(write: () => Promise<T>): Promise<T> {
    this.#refuseWhenClosed();
    return this.#writes.take(write);
  }

  async #transaction<T>(work: (statements: Statements) => T, asked?: number): Promise<T> {
    // The file may have become writable since.
    if (this.#database?.readOnly) this.#release();
    return this.#attempt((database) => database.transaction(work), asked);
  }

  /** Does the work as soon as no other process is in the way. @param asked when it was asked for: a queue of writes waits together, not in turn */
  async #attempt<T>(work: (database: Database) => T, asked = performance.now()): Promise<T> {
    const deadline = asked + WRITE_WAIT_MS;
    for (;;) {
      try {
        return work(this.#open());
      } catch (error) {
        if (isCorrupt(error)) this.#discard(error);
        else if (!isBusy(error) || performance.now() > deadline) throw error;
      }
      await delay(1 + Math.random() * 4);
    }
  }

  #open(): Database {
    if (!this.#database) {
      this.#identity = identityOf(this.#path);
      this.#database = openDatabase(this.#path);
      this.#identity ??= identityOf(this.#path);
    }
    return this.#database;
  }

  /** Returns when another process has put the broken file away already. */
  #discard(error: unknown): void {
    this.#release();
    if (identityOf(this.#path) !== this.#identity) return;
    throw new Error(`the file is broken; it was moved to ${moveAside(this.#path)}, and an empty one takes its place`, { cause: error });
  }

  #release(): void {
    const database = this.#database;
    this.#database = undefined;
    try {
      database?.close();
    } catch {
      // A broken file may not even close cleanly; it is let go of all the same.
    }
  }

  #refuseWhenClosed(): void {
    if (this.#closed) throw new Error("the store is closed");
  }
}

interface NumberedRow {
  readonly id: number;
}

/** @returns how many there were: one or none */
function remove(statements: Statements, { id }: NumberedRow): number {
  statements.unlabel.run(id);
  return Number(statements.remove.run(id).changes);
}

function sum<Item>(items: readonly Item[], of: (item: Item) => number): number {
  return items.reduce((total, item) => total + of(item), 0);
}
