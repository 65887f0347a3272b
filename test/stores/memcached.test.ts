import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { storeContract } from "langchain-perf/testing";
import { memcachedStore } from "../../src/stores/memcached.ts";
import type { Store, StoredEntry } from "../../src/stores/store.ts";
import { eventually, faultProxy, freePort, startMemcached, type Server } from "../support/services.ts";
import { converse } from "../support/services/connection.ts";

const entryOf = (value: string | Uint8Array, labels: string[] = []): StoredEntry => ({ value: Buffer.from(value), expiresAt: Date.now() + 600_000, labels });
const textOf = async (store: Store, key: string): Promise<string | undefined> => {
  const bytes = await store.get(key);
  return bytes && Buffer.from(bytes).toString();
};

describe("memcachedStore", () => {
  let server: Server;
  beforeAll(async () => void (server = await startMemcached()));
  afterAll(() => server.stop());
  const open = (): Store => memcachedStore({ servers: server.url, timeoutMs: 5_000 });
  for (const { name, run } of storeContract(open, { reopen: open, lists: false, counts: false })) it(name, run);

  it("keeps values of several megabytes, in parts", async () => {
    const store = open();
    const value = new Uint8Array(3_500_000).map((_, at) => (at * 7919) >> 3);
    await store.set("large", entryOf(value, ["label"]));
    expect(Buffer.compare(Buffer.from((await store.get("large")) as Uint8Array), value)).toBe(0);
    await store.set("large", entryOf("small"));
    expect(await textOf(store, "large")).toBe("small");
    await store.close();
  });

  it("keeps stores of different prefixes apart", async () => {
    const [one, other] = [memcachedStore({ servers: server.url, keyPrefix: "one:" }), memcachedStore({ servers: [`memcached://${server.url}`], keyPrefix: "other:" })];
    await one.set("key", entryOf("one", ["label"]));
    await other.set("key", entryOf("other", ["label"]));
    await one.invalidate([["label"]]);
    await one.clear();
    expect(await textOf(other, "key")).toBe("other");
    expect(await textOf(one, "key")).toBeUndefined();
    await Promise.all([one.close(), other.close()]);
  });

  it("begins a ledger again that many invalidations by several groups have filled", async () => {
    const store = open();
    for (let at = 0; at < 40; at++) await store.invalidate([["crowded"], ["x".repeat(500), `other ${at}`]]);
    await store.set("key", entryOf("value", ["crowded", "other 7"]));
    for (let at = 0; at < 40; at++) {
      if (at !== 7) await store.invalidate([["crowded"], ["y".repeat(500), `other ${at}`]]);
    }
    expect(await textOf(store, "key")).toBe("value");
    await store.set("another", entryOf("value", ["crowded"]));
    expect(await textOf(store, "key")).toBeUndefined();
    expect(await textOf(store, "another")).toBe("value");
    await store.invalidate([["crowded"], ["crowded", "z".repeat(10_000)]]);
    expect(await textOf(store, "another")).toBeUndefined();
    await store.close();
  });

  it("rejects when no server answers, or when it is closed", async () => {
    const port = await freePort();
    const store = memcachedStore(`127.0.0.1:${port}`);
    await expect(store.get("key")).rejects.toThrow("ECONNREFUSED");
    await expect(store.invalidate([["a"], ["b"]])).rejects.toThrow("ECONNREFUSED");
    await store.close();
    await expect(store.get("key")).rejects.toThrow("closed");
  });

  it("lets a process end while its connection is open, and not while a command is under way", async () => {
    const file = fileURLToPath(new URL("../../src/stores/memcached.ts", import.meta.url));
    const program = `
      import { memcachedStore } from ${JSON.stringify(file)};
      const store = memcachedStore(${JSON.stringify(server.url)});
      await store.set("ends", { value: Buffer.from("x"), expiresAt: Date.now() + 60_000, labels: ["label"] });
      console.log(Buffer.from(await store.get("ends")).toString());`;
    const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", program], { timeout: 15_000 });
    expect(stdout.trim()).toBe("x");
  });

  it("refuses options that make no sense, and shows no password", () => {
    expect(() => memcachedStore({ servers: [] })).toThrow("one or more servers");
    expect(() => memcachedStore("http://localhost")).toThrow("host:port");
    expect(() => memcachedStore({ servers: "user:secret@host:port" })).toThrow(/^(?!.*secret)/s);
    expect(() => memcachedStore({ servers: "localhost", keyPrefix: "with space" })).toThrow("keyPrefix");
    expect(() => memcachedStore({ servers: "localhost", timeoutMs: 0 })).toThrow("timeoutMs");
    expect(() => memcachedStore({ servers: "localhost", retries: 1 } as never)).toThrow("known options");
  });
});

describe("memcachedStore in trouble", () => {
  let server: Server;
  let store: Store;
  beforeEach(async () => {
    server = await startMemcached({ memoryMb: 8, args: ["-o", "no_lru_crawler,slab_automove=0"] });
    store = memcachedStore({ servers: server.url, timeoutMs: 1_000 });
  });
  afterEach(async () => {
    await store.close();
    await server.stop();
  });

  it("serves nothing that was invalidated when memcached evicts entries and generations", { timeout: 60_000 }, async () => {
    const filler = Buffer.alloc(20_000, "f");
    const labels = Array.from({ length: 20 }, (_, at) => `label ${at}`);
    for (let round = 0; round < 6; round++) {
      const keys = labels.map((_, at) => `${round} ${at}`);
      for (const [at, key] of keys.entries()) await store.set(key, entryOf(`value ${key}`, [labels[at] as string, "both"]));
      const doomed = keys.filter((_, at) => at % 2 === round % 2);
      for (const key of doomed) await store.invalidate(round % 3 === 0 ? [[labels[keys.indexOf(key)] as string], ["both"]] : [[labels[keys.indexOf(key)] as string]]);
      for (let at = 0; at < 600; at += 50) {
        await Promise.all(Array.from({ length: 50 }, (_, more) => store.set(`filler ${round} ${at + more}`, entryOf(filler, [`filler ${at + more}`]))));
        expect((await Promise.all(doomed.map((key) => textOf(store, key)))).filter(Boolean)).toEqual([]);
      }
      for (const key of keys) expect([undefined, `value ${key}`]).toContain(await textOf(store, key));
    }
    expect(await textOf(store, "filler 0 0")).toBeUndefined();
  });

  it("misses an entry that is still there when the generations of its labels have been evicted", { timeout: 60_000 }, async () => {
    const held = async (name: string): Promise<boolean> => (await converse(server.port, `get langchain-perf:${name}\r\n`, (reply) => reply.includes("END\r\n"))).includes("VALUE");
    const large = Buffer.alloc(20_000, "l");
    // Takes all pages of memory but one for small items: so those alone are evicted by what follows.
    for (let at = 0; at < 500; at++) await store.set(`filler ${at}`, entryOf(large));
    await store.set("invalidated", entryOf(large, ["label-00001"]));
    await store.set("valid", entryOf(large, ["label-00002"]));
    await store.invalidate([["label-00001"]]);
    expect([await held("g.k-label-00001"), await held("g.k-label-00002")]).toEqual([true, true]);
    // No looking meanwhile: what is read stays. The names are as long as those above, so that they compete for the same page.
    for (let first = 10_000; first < 40_000; first += 100) await store.invalidate([Array.from({ length: 100 }, (_, at) => `flood-${first + at}`)]);
    expect([await held("g.k-label-00001"), await held("g.k-label-00002"), await held("e.k-invalidated"), await held("e.k-valid")]).toEqual([false, false, true, true]);
    expect(await store.get("invalidated")).toBeUndefined();
    expect(await store.get("valid")).toBeUndefined();
    await store.set("valid", entryOf("again", ["label-00002"]));
    expect(await textOf(store, "valid")).toBe("again");
  });

  it("starts empty after memcached was killed, and never trusts what is left of a generation", async () => {
    const before = memcachedStore({ servers: server.url, timeoutMs: 1_000 });
    await store.set("key", entryOf("value", ["label"]));
    await before.set("other", entryOf("value", ["label"]));
    await server.kill();
    await expect(store.get("key")).rejects.toThrow();
    await server.start();
    await eventually(async () => ((await store.get("key")), true));
    expect(await textOf(store, "key")).toBeUndefined();
    await store.set("key", entryOf("new", ["label"]));
    expect(await textOf(store, "key")).toBe("new");
    expect(await textOf(before, "key").catch(() => textOf(before, "key"))).toBe("new");
    await before.close();
  });

  it("fails at its deadline while memcached is frozen, and never mixes late answers with new ones", async () => {
    const hasty = memcachedStore({ servers: server.url, timeoutMs: 100 });
    const large = (letter: string): Buffer => Buffer.alloc(900_000, letter);
    await hasty.set("a", entryOf(large("a")));
    await hasty.set("b", entryOf(large("b")));
    for (let round = 0; round < 3; round++) {
      const pending = Promise.allSettled(["a", "b", "a", "b"].map((key) => hasty.get(key)));
      server.freeze();
      await pending;
      await expect(hasty.get("a")).rejects.toMatchObject({ code: "PERF_DEADLINE" });
      server.thaw();
      for (const key of ["a", "b", "b", "a"]) {
        const got = await eventually(() => hasty.get(key));
        expect(Buffer.compare(got as Uint8Array, large(key))).toBe(0);
      }
    }
    await hasty.close();
  });

  it("survives connections that are cut in the middle of an answer", async () => {
    const proxy = await faultProxy(server.port);
    const distant = memcachedStore({ servers: `127.0.0.1:${proxy.port}`, timeoutMs: 2_000 });
    const value = Buffer.alloc(900_000, "v");
    await distant.set("key", entryOf(value));
    for (let round = 0; round < 5; round++) {
      const pending = Promise.allSettled([distant.get("key"), distant.get("key")]);
      await new Promise((resolve) => setImmediate(resolve));
      proxy.cut();
      for (const outcome of await pending) if (outcome.status === "fulfilled") expect(Buffer.compare(Buffer.from(outcome.value as Uint8Array), value)).toBe(0);
      proxy.heal();
      const got = await eventually(() => distant.get("key"));
      expect(Buffer.compare(got as Uint8Array, value)).toBe(0);
    }
    await distant.close();
    await proxy[Symbol.asyncDispose]();
  });
});
