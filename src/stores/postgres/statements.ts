/** What the comment on our table says. A table with another comment is not touched. */
export const TABLE_MARK = "langchain-perf store, schema 1";

export type PostgresStatements = ReturnType<typeof statementsFor>;

/**
 * The texts of everything that the store asks of Postgres, for one table. Times are parameters: the clock is this process's, not the server's.
 *
 * Labels stand in the row, under a GIN index: a set with three labels takes 0.2 ms (in batches of 32: 50 µs an entry), where a table of labels takes
 * 0.45 to 0.6 ms (110 to 140 µs). An invalidation takes 1.2 ms instead of 0.3, and is rare beside a set. Values are not compressed by Postgres: the cache
 * has done so where it is worth it. Beside the B-tree index of its constraint, which `ON CONFLICT` needs, the key has a hash index: it makes the reads
 * a tenth faster, and writes, of which there are fewer, some 4% slower (`bench/cache/postgres-key-index.ts`).
 */
export function statementsFor(table: string) {
  const { entries, notes } = tablesOf(table);
  return {
    entries,
    create: schemaOf(table),
    about: "SELECT to_regclass($1) IS NOT NULL AS found, obj_description(to_regclass($1), 'pg_class') AS mark",
    get: `SELECT key, value FROM ${entries} WHERE key = ANY($1::text[]) AND expires_at > $2::bigint`,
    put: `INSERT INTO ${entries} (key, expires_at, labels, value)
      SELECT key, expires_at, labels::text[], value FROM unnest($1::text[], $2::bigint[], $3::text[], $4::bytea[]) AS given (key, expires_at, labels, value)
      ON CONFLICT (key) DO UPDATE SET expires_at = excluded.expires_at, labels = excluded.labels, value = excluded.value`,
    remove: `DELETE FROM ${entries} WHERE key = ANY($1::text[])`,
    invalidate: (groups: number): string =>
      `DELETE FROM ${entries} WHERE ${Array.from({ length: groups }, (_, at) => `labels && $${at + 1}::text[]`).join(" AND ")}`,
    clear: `TRUNCATE ${entries}`,
    purge: `DELETE FROM ${entries} WHERE key = ANY(ARRAY(
      SELECT key FROM ${entries} WHERE expires_at <= $1::bigint ORDER BY expires_at LIMIT $2::int FOR UPDATE SKIP LOCKED))`,
    touch: `UPDATE ${entries} AS entry SET hits = entry.hits + given.hits
      FROM unnest($1::text[], $2::bigint[]) AS given (key, hits) WHERE entry.key = given.key`,
    hottest: `SELECT key FROM ${entries} WHERE hits > 0 AND expires_at > $1::bigint ORDER BY hits DESC LIMIT $2::int`,
    /** Live entries, in pages. */
    list: `SELECT key, octet_length(value) AS size FROM ${entries} WHERE key > $1 AND expires_at > $2::bigint ORDER BY key LIMIT $3::int`,
    stats: `SELECT count(*)::float8 AS entries, pg_total_relation_size('${entries}')::float8 AS size FROM ${entries}`,
    readNote: `SELECT text FROM ${notes} WHERE name = $1`,
    writeNote: `INSERT INTO ${notes} (name, text) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET text = excluded.text`,
  };
}

/** In one implicit transaction. `CREATE ... IF NOT EXISTS` alone fails when processes start at once; the lock makes them take turns. */
function schemaOf(table: string): string {
  const { entries, notes, index } = tablesOf(table);
  return `SELECT pg_advisory_xact_lock(hashtext('langchain-perf store'));
    CREATE TABLE IF NOT EXISTS ${entries} (
      key text COLLATE "C" PRIMARY KEY,
      expires_at bigint NOT NULL,
      hits bigint NOT NULL DEFAULT 0,
      labels text[] NOT NULL,
      value bytea NOT NULL
    );
    ALTER TABLE ${entries} ALTER COLUMN value SET STORAGE EXTERNAL;
    CREATE INDEX IF NOT EXISTS ${index("by_key")} ON ${entries} USING hash (key);
    CREATE INDEX IF NOT EXISTS ${index("by_expiry")} ON ${entries} (expires_at);
    CREATE INDEX IF NOT EXISTS ${index("by_hits")} ON ${entries} (hits) WHERE hits > 0;
    CREATE INDEX IF NOT EXISTS ${index("by_label")} ON ${entries} USING gin (labels);
    CREATE TABLE IF NOT EXISTS ${notes} (name text PRIMARY KEY, text text NOT NULL);
    COMMENT ON TABLE ${entries} IS '${TABLE_MARK}'`;
}

/** Quoted names, after a schema where one is given. */
function tablesOf(table: string) {
  const parts = table.split(".");
  const last = parts.at(-1);
  const schema = parts.slice(0, -1).map((part) => `"${part}".`).join("");
  return { entries: `${schema}"${last}"`, notes: `${schema}"${last}_notes"`, index: (suffix: string) => `"${last}_${suffix}"` };
}
