import pg from "pg";
import { afterAll, describe, expect, it } from "vitest";
import { postgresStore } from "../../src/stores/postgres.ts";
import { eventually, startPostgres } from "../support/services.ts";
import { entryOf, textOf } from "./fixtures/entry.ts";
import { fourWriters } from "./fixtures/processes.ts";

const server = await startPostgres();
afterAll(() => server.stop());

describe("a Postgres store", () => {
  it("makes its table once when four processes start at the same time, and loses nothing of what they write", async () => {
    await fourWriters("postgres", server.url, 100);
    const store = postgresStore({ url: server.url, table: "processes" });
    expect((await store.stats?.())?.entries).toBe(401);
    for (let writer = 0; writer < 4; writer++) expect(await store.invalidate([["all"], [`writer ${writer}`]])).toBe(100);
    const last = textOf(await store.get("fought over"));
    expect(await store.invalidate([[`last ${last}`]])).toBe(1);
    await store.close();
  });

  it("throws while the server is away, idle connections or not, and recovers by itself", async () => {
    const own = postgresStore(server.url);
    const pool = new pg.Pool({ connectionString: server.url });
    const given = postgresStore({ pool, table: "given" });
    for (const store of [own, given]) await store.set("key", entryOf("value", ["label"]));
    await Promise.all(Array.from({ length: 20 }, (_, at) => own.purge?.(at + 1)));
    await server.kill();
    for (const store of [own, given]) {
      await expect(store.get("key")).rejects.toThrow();
      await expect(store.set("key", entryOf("lost"))).rejects.toThrow();
      await expect(store.invalidate([["label"]])).rejects.toThrow();
    }
    const fresh = postgresStore({ url: server.url, table: "fresh" });
    await expect(fresh.get("key")).rejects.toThrow();
    await server.start();
    for (const store of [own, given]) {
      expect(await eventually(async () => textOf(await store.get("key")))).toBe("value");
      expect(await store.invalidate([["label"]])).toBe(1);
    }
    await fresh.set("key", entryOf("value"));
    expect(textOf(await fresh.get("key"))).toBe("value");
    await Promise.all([own.close(), given.close(), fresh.close()]);
    await pool.end();
  });

  it("makes its table again when it was dropped", async () => {
    const store = postgresStore({ url: server.url, table: "dropped" });
    await store.set("key", entryOf("value"));
    const client = new pg.Client(server.url);
    await client.connect();
    await client.query("DROP TABLE dropped, dropped_notes");
    await client.end();
    expect(await store.get("key")).toBeUndefined();
    await store.set("key", entryOf("new"));
    expect(textOf(await store.get("key"))).toBe("new");
    await store.close();
  });
});
