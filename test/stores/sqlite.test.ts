import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, describe, expect, it } from "vitest";
import { OptionError } from "../../src/core/errors.ts";
import { sqliteStore, type SqliteStoreOptions } from "../../src/stores/sqlite.ts";
import { STATEMENTS } from "../../src/stores/sqlite/statements.ts";
import { storeContract } from "../../src/testing/store-contract.ts";
import { entryOf, textOf } from "./fixtures/entry.ts";

const folder = mkdtempSync(join(tmpdir(), "langchain-perf-sqlite-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("a store in a file", () => {
  const create = () => sqliteStore(join(folder, "contract.db"));
  for (const { name, run } of storeContract(create, { reopen: create })) it(name, run);

  it("keeps its entries when it is closed and opened again, in a folder that was not there", async () => {
    const path = join(folder, "new", "folder", "cache.db");
    const first = sqliteStore({ path });
    await first.set("key", entryOf("value"));
    await first.close();
    await expect(first.get("key")).rejects.toThrow("closed");
    const second = sqliteStore({ path });
    expect(textOf(await second.get("key"))).toBe("value");
    await second.close();
  });

  it("invalidates and purges thousands without holding up the event loop", async () => {
    const store = sqliteStore(join(folder, "thousands.db"));
    const keys = Array.from({ length: 3_000 }, (_, at) => `key ${at}`);
    await Promise.all(keys.map((key, at) => store.set(key, entryOf("value", ["all", `third ${at % 3}`], at % 2 ? 1 : undefined))));
    let ticks = 0;
    const ticking = setInterval(() => (ticks += 1), 0);
    expect(await store.invalidate([["all"], ["third 0", "third 1"]])).toBe(2_000);
    expect(ticks).toBeGreaterThan(3);
    clearInterval(ticking);
    expect(await store.purge?.(400)).toBe(400);
    expect(await store.purge?.(400)).toBe(100);
    expect((await store.stats?.())?.entries).toBe(500);
    await store.close();
  });
});

describe("a store in memory", () => {
  for (const { name, run } of storeContract(() => sqliteStore(":memory:"))) it(name, run);
});

describe("the options of a SQLite store", () => {
  it("are refused when they are wrong", () => {
    for (const wrong of ["", {}, { path: 7 }, { path: "a.db", file: "b.db" }, undefined]) {
      expect(() => sqliteStore(wrong as unknown as SqliteStoreOptions)).toThrow(OptionError);
    }
  });
});

describe("a file that is not ours", () => {
  const prepared = (name: string, sql: string): string => {
    const path = join(folder, name);
    const database = new DatabaseSync(path);
    database.exec(sql);
    database.close();
    return path;
  };

  it("is left as it is", async () => {
    const path = prepared("foreign.db", "CREATE TABLE entries (mine); INSERT INTO entries VALUES (1)");
    const before = readFileSync(path);
    const store = sqliteStore(path);
    await expect(store.get("key")).rejects.toThrow("another program");
    await expect(store.set("key", entryOf("value"))).rejects.toThrow("another program");
    await store.close();
    expect(readFileSync(path).equals(before)).toBe(true);
  });

  it("is left as it is when a newer version made it", async () => {
    const path = join(folder, "newer.db");
    const old = sqliteStore(path);
    await old.set("key", entryOf("value"));
    await old.close();
    prepared("newer.db", "PRAGMA user_version = 2");
    const before = readFileSync(path);
    const store = sqliteStore(path);
    await expect(store.get("key")).rejects.toThrow("schema 2");
    await store.close();
    expect(readFileSync(path).equals(before)).toBe(true);
  });
});

describe("the plans of the statements", () => {
  it("use an index, and sort nothing", async () => {
    const path = join(folder, "plans.db");
    const store = sqliteStore(path);
    const entry = (at: number) => entryOf("value", ["all", `tenant ${at % 5}`, `tag ${at}`], Date.now() + at * 1_000);
    await Promise.all(Array.from({ length: 3_000 }, (_, at) => store.set(`key ${at}`, entry(at))));
    await store.touch?.(new Map(Array.from({ length: 1_000 }, (_, at) => [`key ${at}`, at])));
    await store.close();
    const database = new DatabaseSync(path);
    database.exec("ANALYZE");
    // Counting and measuring look at everything by their nature.
    const { count: _count, size: _size, ...statements } = STATEMENTS;
    for (const [name, text] of Object.entries(statements)) {
      const parameters = Array.from(text.matchAll(/\?/g), () => 1);
      const plan = database.prepare(`EXPLAIN QUERY PLAN ${text}`).all(...parameters).map(({ detail }) => String(detail));
      for (const step of plan) expect(step, name).not.toMatch(/^SCAN (?!\(subquery)|TEMP B-TREE/);
      if (!text.startsWith("INSERT")) expect(plan.join("\n"), name).toMatch(/SEARCH \w+ USING (COVERING )?(INDEX|INTEGER PRIMARY KEY|PRIMARY KEY)/);
    }
    database.close();
  });
});
