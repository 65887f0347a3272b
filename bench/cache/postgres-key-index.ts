import { createHash } from "node:crypto";
import pg from "pg";
import { startPostgres } from "../../test/support/services.ts";
import type { Measure } from "../harness/bench.ts";
import { measured, times } from "../harness/measured.ts";
import { paired, type PairedResult, type Side } from "../harness/paired.ts";

const ROWS = 100_000;
const VALUE_BYTES = 200;
/** Keys in one read: what the store was asked for in one tick. */
const KEYS = 16;
const READS = 10;
const WRITES = 10;

/** The store's reads by key with the B-tree index of the key's constraint alone, and with a hash index beside it; and what that costs a write. */
export const measure: Measure = async () => {
  const server = await startPostgres();
  const client = new pg.Client({ connectionString: server.url });
  try {
    await client.connect();
    await fill(client);
    const reads = await paired({ bare: reading(client, "btree"), wrapped: reading(client, "hash"), calls: READS, rounds: 101, warmUpRounds: 20 });
    const writes = await paired({ bare: writing(client, "btree"), wrapped: writing(client, "hash"), calls: WRITES, rounds: 101, warmUpRounds: 20 });
    return { postgres_hash_vs_btree: measured(reads.ratio, note(reads, writes)) };
  } finally {
    await client.end();
    await server.stop();
  }
};

function note(reads: PairedResult, writes: PairedResult): string {
  return `reads: ${times(reads, "B-tree", "hash")}; writes: ${times(writes, "B-tree", "B-tree and hash")}`;
}

type Table = "btree" | "hash";

const keyOf = (at: number): string => createHash("sha256").update(String(at)).digest("hex");

async function fill(client: pg.Client): Promise<void> {
  for (const table of ["btree", "hash"]) {
    // Filled before it is indexed, which is the faster way.
    await client.query(`CREATE TABLE ${table} (key text COLLATE "C" NOT NULL, expires_at bigint NOT NULL, value bytea NOT NULL)`);
    await client.query(`INSERT INTO ${table} SELECT encode(sha256(at::text::bytea), 'hex'), 9000000000000, decode(repeat('ab', ${VALUE_BYTES}), 'hex') FROM generate_series(0, ${ROWS - 1}) AS at`);
    // Also beside the hash index, which cannot be unique.
    await client.query(`ALTER TABLE ${table} ADD PRIMARY KEY (key)`);
  }
  await client.query("CREATE INDEX ON hash USING hash (key)");
  await client.query("VACUUM ANALYZE");
  for (const [table, index] of [["btree", "btree_pkey"], ["hash", "hash_key_idx"]] as const) {
    const { rows } = await client.query(`EXPLAIN ${textOf(table)}`.replace("$1", `'{${keyOf(1)},${keyOf(2)}}'`).replace("$2", "0"));
    if (!JSON.stringify(rows).includes(index)) throw new Error(`The read of ${table} does not use ${index}.`);
  }
}

function textOf(table: Table): string {
  return `SELECT key, value FROM ${table} WHERE key = ANY($1::text[]) AND expires_at > $2::bigint`;
}

function reading(client: pg.Client, table: Table): Side {
  let at = 0;
  return {
    async run(calls) {
      for (let call = 0; call < calls; call++) {
        const keys = Array.from({ length: KEYS }, () => keyOf((at += 7919) % ROWS));
        const { rows } = await client.query({ name: `read ${table}`, text: textOf(table), values: [keys, Date.now()] });
        if (rows.length !== KEYS) throw new Error("A key was not found.");
      }
    },
  };
}

function writing(client: pg.Client, table: Table): Side {
  const value = Buffer.alloc(VALUE_BYTES);
  const text = `INSERT INTO ${table} VALUES ($1, $2, $3) ON CONFLICT (key) DO UPDATE SET expires_at = excluded.expires_at, value = excluded.value`;
  let at = ROWS;
  return {
    async run(calls) {
      for (let call = 0; call < calls; call++) await client.query({ name: `write ${table}`, text, values: [keyOf(at++), 9e12, value] });
    },
  };
}
