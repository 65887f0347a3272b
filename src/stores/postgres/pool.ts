import { createHash } from "node:crypto";
import { loadPeer } from "../../core/peer.ts";
import { type PostgresStatements, TABLE_MARK } from "./statements.ts";

/** What is used of a pool of `pg`. */
export interface PgPool {
  query(query: PgQuery): Promise<PgResult>;
  on?(event: "error", listener: (error: Error) => void): unknown;
}

export interface PgQuery {
  name?: string;
  text: string;
  values?: unknown[];
  /** Milliseconds after which it fails, and its connection is given up. */
  query_timeout?: number;
}

export interface PgResult {
  readonly rows: unknown[];
  readonly rowCount: number | null;
}

interface OwnPool extends PgPool {
  end(): Promise<void>;
}

/** An outage is known by then. */
const CONNECT_TIMEOUT_MS = 2_000;
/** A server that does not answer any more does not keep a connection longer than this. */
const QUERY_TIMEOUT_MS = 10_000;

const UNDEFINED_TABLE = "42P01";
const DEADLOCK = "40P01";

/** Asks one table of one database. Connects at the first question, and again at the next one after a failure. */
export class Connection {
  readonly #given: PgPool | undefined;
  readonly #open: () => Promise<OwnPool>;
  readonly #table: PostgresStatements;
  readonly #names = new Map<string, string>();
  #own: Promise<OwnPool> | undefined;
  #ready: Promise<PgPool> | undefined;

  constructor(table: PostgresStatements, given: PgPool | undefined, url: string | undefined, maxConnections: number) {
    this.#table = table;
    this.#given = given;
    this.#open = () => openPool(url, maxConnections);
    given?.on?.("error", () => {});
  }

  async query<Row>(text: string, values: unknown[]): Promise<{ rows: Row[]; count: number }> {
    const query = { name: this.#nameOf(text), text, values, query_timeout: QUERY_TIMEOUT_MS };
    try {
      return resultOf(await (await this.#connected()).query(query));
    } catch (error) {
      const code = codeOf(error);
      // The database was made anew below us.
      if (code === UNDEFINED_TABLE) this.#ready = undefined;
      else if (code !== DEADLOCK) throw error;
      return resultOf(await (await this.#connected()).query(query));
    }
  }

  async close(): Promise<void> {
    const own = this.#own;
    this.#own = undefined;
    this.#ready = undefined;
    await (await own?.catch(() => undefined))?.end();
  }

  #connected(): Promise<PgPool> {
    this.#ready ??= this.#prepare().catch((error: unknown) => {
      this.#ready = undefined;
      throw error;
    });
    return this.#ready;
  }

  async #prepare(): Promise<PgPool> {
    const pool = this.#given ?? (await (this.#own ??= this.#open()));
    const about = async (): Promise<{ found: boolean; mark: string | null }> => {
      const { rows } = await pool.query({ text: this.#table.about, values: [this.#table.entries], query_timeout: QUERY_TIMEOUT_MS });
      return rows[0] as { found: boolean; mark: string | null };
    };
    if (!(await about()).found) await pool.query({ text: this.#table.create, query_timeout: QUERY_TIMEOUT_MS });
    const { mark } = await about();
    if (mark !== TABLE_MARK) throw new Error(`the table ${this.#table.entries} is none of "${TABLE_MARK}" (its comment: ${mark ?? "none"}); it is left as it is`);
    return pool;
  }

  /** Statements with a name are prepared once per connection; the name says which text it is, whoever else uses the pool. */
  #nameOf(text: string): string {
    let name = this.#names.get(text);
    if (name === undefined) this.#names.set(text, (name = `langchain_perf_${createHash("sha256").update(text).digest("hex").slice(0, 24)}`));
    return name;
  }
}

async function openPool(url: string | undefined, maxConnections: number): Promise<OwnPool> {
  const { default: pg } = await loadPeer("pg", () => import("pg"));
  const pool = new pg.Pool({
    ...(url === undefined ? {} : { connectionString: url }),
    max: maxConnections,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    keepAlive: true,
    allowExitOnIdle: true,
    application_name: "langchain-perf",
  });
  // The pool has dropped the connection by then; without a listener the process would end.
  pool.on("error", () => {});
  return pool;
}

export function codeOf(error: unknown): string {
  const { code } = (error ?? {}) as { code?: unknown };
  return typeof code === "string" ? code : "";
}

function resultOf<Row>({ rows, rowCount }: PgResult): { rows: Row[]; count: number } {
  return { rows: rows as Row[], count: rowCount ?? 0 };
}
