import { existsSync, mkdirSync, renameSync, statSync } from "node:fs";
import { dirname } from "node:path";
import type { DatabaseSync, StatementSync } from "node:sqlite";
import { pathToFileURL } from "node:url";
import { APPLICATION_ID, SCHEMA, SCHEMA_VERSION, STATEMENTS } from "./statements.ts";

export type Statements = { readonly [Name in keyof typeof STATEMENTS]: StatementSync };

/** One open file. */
export interface Database {
  readonly statements: Statements;
  /** The file can be read only. */
  readonly readOnly: boolean;
  /** Runs work that writes: all of it counts, or, when it throws, none. */
  transaction<T>(work: (statements: Statements) => T): T;
  clear(): void;
  close(): void;
}

/** Primary result codes of SQLite, https://sqlite.org/rescode.html. */
const BUSY = 5;
const READONLY = 8;
const CORRUPT = 11;
const CANTOPEN = 14;
const NOTADB = 26;

/** How long SQLite itself waits for another process's write. It blocks this thread, so it is short: whoever waits longer waits outside. */
const BUSY_TIMEOUT_MS = 5;
/** 4,000 pages are 16 MB of log between two syncs. */
const CHECKPOINT_PAGES = 4_000;
const LOG_LIMIT_BYTES = 64 * 1024 * 1024;

export const isBusy = (error: unknown): boolean => codeOf(error) === BUSY;
export const isCorrupt = (error: unknown): boolean => [CORRUPT, NOTADB].includes(codeOf(error));

function codeOf(error: unknown): number {
  const { errcode = 0 } = (error ?? {}) as { errcode?: number };
  return errcode & 0xff;
}

/** Opens a file and makes the tables of a new one; for reading only where it cannot be written. */
export function openDatabase(path: string): Database {
  if (path !== ":memory:" && !existsSync(dirname(path))) mkdirSync(dirname(path), { recursive: true });
  try {
    return opened(connect(path), false);
  } catch (error) {
    if (![READONLY, CANTOPEN].includes(codeOf(error)) || !existsSync(path)) throw error;
    return openReadOnly(path);
  }
}

function openReadOnly(path: string): Database {
  try {
    return opened(connect(path, true), true);
  } catch (error) {
    // A log beside the file cannot be made in a folder that is read-only. Without one the file is whole by itself.
    if (codeOf(error) !== CANTOPEN || sizeOf(`${path}-wal`) > 0) throw error;
    return opened(connect(`${pathToFileURL(path).href}?immutable=1`, true), true);
  }
}

/** Moves a broken file out of the way, with what belongs to it. @returns where to */
export function moveAside(path: string): string {
  const aside = `${path}.corrupt-${Date.now()}`;
  for (const suffix of ["", "-wal", "-shm"]) {
    if (existsSync(path + suffix)) renameSync(path + suffix, aside + suffix);
  }
  return aside;
}

function connect(path: string, readOnly = false): DatabaseSync {
  return new (sqlite().DatabaseSync)(path, { readOnly });
}

type Sqlite = typeof import("node:sqlite");
let loaded: Sqlite | undefined;

/** Node 22 warns that its SQLite is experimental as it loads it. That is no news to a user of this library. */
function sqlite(): Sqlite {
  if (loaded) return loaded;
  const { emitWarning } = process;
  process.emitWarning = () => {};
  try {
    loaded = process.getBuiltinModule("node:sqlite");
  } finally {
    process.emitWarning = emitWarning;
  }
  return loaded;
}

function opened(connection: DatabaseSync, readOnly: boolean): Database {
  try {
    connection.exec(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}`);
    // In one transaction: another process may be making the tables at this moment.
    if (!inTransaction(connection, () => hasSchema(connection), "BEGIN")) create(connection);
    if (!readOnly) setUp(connection);
    const entries = Object.entries(STATEMENTS).map(([name, text]) => [name, connection.prepare(text)]);
    const statements = Object.fromEntries(entries) as Statements;
    return {
      statements,
      readOnly,
      transaction: (work) => inTransaction(connection, () => work(statements)),
      clear: () => inTransaction(connection, () => connection.exec("DELETE FROM labels; DELETE FROM entries")),
      close: () => connection.close(),
    };
  } catch (error) {
    connection.close();
    throw error;
  }
}

/** With `synchronous = NORMAL` a power cut may take the last writes back, but breaks nothing; the end of a process takes none. */
function setUp(connection: DatabaseSync): void {
  connection.exec(`
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = NORMAL;
    PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES};
    PRAGMA journal_size_limit = ${LOG_LIMIT_BYTES};
  `);
}

/** `false` for a new file. @throws Error for a file of somebody else, or of a newer version of this library: it is left as it is */
function hasSchema(connection: DatabaseSync): boolean {
  const read = (sql: string): unknown => Object.values(connection.prepare(sql).get() ?? {})[0];
  const application = read("PRAGMA application_id");
  const version = read("PRAGMA user_version");
  if (application === APPLICATION_ID && version === SCHEMA_VERSION) return true;
  if (application === APPLICATION_ID) throw new Error(`the file has schema ${String(version)}, and this version of langchain-perf knows schema ${SCHEMA_VERSION}; it is left as it is`);
  if (application === 0 && version === 0 && read("SELECT count(*) FROM sqlite_schema") === 0) return false;
  throw new Error("the file is a database of another program; it is left as it is");
}

function create(connection: DatabaseSync): void {
  setUp(connection);
  inTransaction(connection, () => {
    // Another process may have been first.
    if (!hasSchema(connection)) connection.exec(SCHEMA);
  });
}

function inTransaction<T>(connection: DatabaseSync, work: () => T, begin = "BEGIN IMMEDIATE"): T {
  connection.exec(begin);
  try {
    const result = work();
    connection.exec("COMMIT");
    return result;
  } catch (error) {
    // A full disk has ended it already.
    if (connection.isTransaction) connection.exec("ROLLBACK");
    throw error;
  }
}

/** Tells a file from another that took its place. */
export function identityOf(path: string): string | undefined {
  const found = statSync(path, { throwIfNoEntry: false, bigint: true });
  return found && `${found.dev}:${found.ino}`;
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}
