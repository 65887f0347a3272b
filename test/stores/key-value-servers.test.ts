import KeyvMongo from "@keyv/mongo";
import KeyvMysql from "@keyv/mysql";
import { Keyv } from "keyv";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { storeContract } from "langchain-perf/testing";
import { keyValueStore } from "../../src/stores/key-value.ts";
import type { Store } from "../../src/stores/store.ts";
import { sharedMariadb, startMariadb, type Server, type SharedServer } from "../support/services.ts";

const { MONGO_URL } = process.env;
if (!MONGO_URL) console.warn("MONGO_URL is not set: the store contract does not run on MongoDB, which Debian does not have.");

describe("keyValueStore over Keyv on MariaDB", () => {
  let server: SharedServer;
  const opened: Keyv[] = [];
  const open = (): Store => {
    // All adapters share one pool of connections.
    const client = new Keyv({ store: new KeyvMysql({ uri: server.url, table: "langchain_perf_contract" }) });
    opened.push(client);
    return keyValueStore(client);
  };
  beforeAll(async () => void (server = await sharedMariadb()), 60_000);
  afterAll(async () => {
    await (opened[0]?.store as KeyvMysql | undefined)?.query("DROP TABLE langchain_perf_contract");
    await opened[0]?.disconnect();
    await server.stop();
  });
  for (const { name, run } of storeContract(open, { reopen: open, largestBytes: 40_000 })) it(name, { timeout: 60_000 }, run);

  it("throws when a value is too long for the table, and keeps none of it", async () => {
    const store = open();
    await expect(store.set("long", { value: new Uint8Array(100_000), expiresAt: Date.now() + 60_000, labels: [] })).rejects.toThrow(/too long/i);
    expect(await store.get("long")).toBeUndefined();
  });
});

describe("keyValueStore over Keyv when MariaDB dies", () => {
  let server: Server;
  beforeAll(async () => void (server = await startMariadb()), 60_000);
  afterAll(() => server.stop());

  it("throws instead of losing writes and invalidations, and has the entries when the server is back", async () => {
    const client = new Keyv({ store: new KeyvMysql({ uri: server.url, table: "langchain_perf_outage" }) });
    const store = keyValueStore(client);
    const entry = { value: Buffer.from("value"), expiresAt: Date.now() + 600_000, labels: ["label"] };
    await store.set("key", entry);
    // Otherwise it would have what was written a second before it dies.
    await (client.store as KeyvMysql).query("SET GLOBAL innodb_flush_log_at_trx_commit = 1");
    await store.set("durable", entry);
    await server.kill();
    await expect(store.set("lost", entry)).rejects.toThrow();
    await expect(store.invalidate([["label"]])).rejects.toThrow();
    await expect(store.delete(["durable"])).rejects.toThrow();
    await server.start();
    expect(Buffer.from((await store.get("durable")) ?? []).toString()).toBe("value");
    expect(await store.invalidate([["label"]])).toBe(2);
    expect(await store.get("durable")).toBeUndefined();
    await client.disconnect();
  });
});

describe.runIf(MONGO_URL)("keyValueStore over Keyv on MongoDB", () => {
  const clients: Keyv[] = [];
  const open = (): Store => {
    const client = new Keyv({ store: new KeyvMongo(MONGO_URL, { collection: "langchain_perf_contract" }) });
    clients.push(client);
    return keyValueStore(client);
  };
  afterAll(async () => void (await Promise.all(clients.map((client) => client.disconnect()))));
  for (const { name, run } of storeContract(open, { reopen: open })) it(name, { timeout: 60_000 }, run);
});
