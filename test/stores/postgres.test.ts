import pg from "pg";
import { afterAll, describe, expect, it } from "vitest";
import { OptionError } from "../../src/core/errors.ts";
import { postgresStore, type PostgresStoreOptions } from "../../src/stores/postgres.ts";
import { statementsFor } from "../../src/stores/postgres/statements.ts";
import { storeContract } from "../../src/testing/store-contract.ts";
import { sharedPostgres } from "../support/services.ts";
import { entryOf, textOf } from "./fixtures/entry.ts";

const { url } = await sharedPostgres();
const pool = new pg.Pool({ connectionString: url, max: 3 });
const TABLES = ["contract", "given_pool", "batches", "plans", "foreign_table", "bad_items"];
const drop = (): Promise<unknown> => pool.query(TABLES.map((table) => `DROP TABLE IF EXISTS ${table}, ${table}_notes`).join(";"));
await drop();
afterAll(async () => {
  await drop();
  await pool.end();
});

/** A pool that writes down what it is asked. */
function listening(): { pool: Pick<pg.Pool, "query">; asked: string[] } {
  const asked: string[] = [];
  const query = (config: pg.QueryConfig) => (asked.push(config.text), pool.query(config));
  return { pool: { query } as Pick<pg.Pool, "query">, asked };
}

describe("a store in Postgres", () => {
  const create = () => postgresStore({ url, table: "contract" });
  for (const { name, run } of storeContract(create, { reopen: create })) it(name, run);
});

describe("a Postgres store with the user's pool", () => {
  it("works through it, in a schema, and leaves it open", async () => {
    const store = postgresStore({ pool, table: "public.given_pool" });
    await store.set("key", entryOf("value"));
    expect(textOf(await store.get("key"))).toBe("value");
    await store.close();
    await expect(store.get("key")).rejects.toThrow("closed");
    expect((await pool.query("SELECT key FROM given_pool")).rows).toEqual([{ key: "key" }]);
  });

  it("asks once for what is asked for in one tick", async () => {
    const { pool: heard, asked } = listening();
    const store = postgresStore({ pool: heard, table: "batches" });
    await store.set("0", entryOf("0"));
    asked.length = 0;
    await Promise.all(["1", "2", "3", "3"].map(async (key) => store.set(key, entryOf(key))));
    const got = await Promise.all(["1", "2", "3", "3", "none"].map(async (key) => store.get(key)));
    const { put, get } = statementsFor("batches");
    expect(asked).toEqual([put, get]);
    expect(got.map(textOf)).toEqual(["1", "2", "3", "3", undefined]);
    await store.close();
  });

  it("counts writes in the order in which they are made, awaited or not", async () => {
    const store = postgresStore({ pool, table: "batches" });
    await Promise.all([store.set("a", entryOf("old", ["red"])), store.invalidate([["red"]]), store.set("b", entryOf("new", ["red"]))]);
    expect([await store.get("a"), textOf(await store.get("b"))]).toEqual([undefined, "new"]);
    await Promise.all([store.set("a", entryOf("old")), store.clear(), store.set("b", entryOf("newer"))]);
    expect([await store.get("a"), textOf(await store.get("b"))]).toEqual([undefined, "newer"]);
    await store.close();
  });

  it("lets one entry that Postgres refuses fail alone", async () => {
    const store = postgresStore({ pool, table: "bad_items" });
    const tooLong = Array.from({ length: 5_000 }, (_, at) => String.fromCodePoint(0x4e00 + ((at * 7_919) % 20_000))).join("");
    const settled = await Promise.allSettled(["a", tooLong, "b", "with\0nul"].map((key) => store.set(key, entryOf("value"))));
    expect(settled.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled", "fulfilled"]);
    expect((await Array.fromAsync(store.keys())).map(({ key }) => key).sort()).toEqual(["a", "b", "with\0nul"]);
    await store.close();
  });

  it("does not touch a table that it did not make", async () => {
    await pool.query("CREATE TABLE foreign_table (key text, mine text)");
    const store = postgresStore({ pool, table: "foreign_table" });
    await expect(store.get("key")).rejects.toThrow("left as it is");
    await store.close();
  });
});

describe("the options of a Postgres store", () => {
  it("are refused when they are wrong", () => {
    for (const wrong of ["", { url, pool }, { pool: {} }, { url, table: "a; DROP TABLE b" }, { url, maxConnections: 0 }, { uri: url }]) {
      expect(() => postgresStore(wrong as unknown as PostgresStoreOptions)).toThrow(OptionError);
    }
  });
});

describe("the plans of the statements", () => {
  it("use an index, and scan nothing in whole", async () => {
    const store = postgresStore({ pool, table: "plans" });
    await store.get("none");
    const statements = statementsFor("plans");
    await pool.query(`INSERT INTO plans (key, expires_at, hits, labels, value)
      SELECT md5(at::text), at, CASE WHEN at % 10 = 0 THEN at ELSE 0 END, ARRAY['tenant ' || at % 100, 'tag ' || at], '\\xab' FROM generate_series(1, 20000) AS at`);
    await pool.query("VACUUM ANALYZE plans");
    const keys = `'{a,b,c}'`;
    const plans: [text: string, values: string[], index: string][] = [
      [statements.get, [keys, "1"], "plans_by_key"],
      [statements.remove, [keys], "plans_by_key"],
      [statements.invalidate(1), ["'{tag 1,tag 2}'"], "plans_by_label"],
      [statements.invalidate(2), ["'{tag 1,tag 2}'", "'{tenant 1}'"], "plans_by_label"],
      [statements.purge, ["100", "10"], "plans_by_expiry"],
      [statements.hottest, ["1", "10"], "plans_by_hits"],
      [statements.list, ["'b'", "1", "10"], "plans_pkey"],
      [statements.touch, [keys, "'{1,2,3}'"], "plans_by_key"],
    ];
    for (const [text, values, index] of plans) {
      const { rows } = await pool.query<{ "QUERY PLAN": string }>(`EXPLAIN ${text.replaceAll(/\$(\d)/g, (_, number: string) => values[Number(number) - 1] ?? "")}`);
      const plan = rows.map((row) => row["QUERY PLAN"]).join("\n");
      expect(plan).toContain(index);
      expect(plan).not.toContain("Seq Scan");
    }
    await store.close();
  });
});
