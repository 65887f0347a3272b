import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { InMemoryStore } from "@langchain/core/stores";
import { LocalFileStore } from "@langchain/classic/storage/file_system";
import { Keyv } from "keyv";
import { afterAll, describe, expect, it } from "vitest";
import { storeContract } from "langchain-perf/testing";
import { keyValueStore, type KeyvLike } from "../../src/stores/key-value.ts";
import type { Store } from "../../src/stores/store.ts";

const later = (): number => Date.now() + 60_000;
const entryOf = (text: string, labels: string[] = []): { value: Uint8Array; expiresAt: number; labels: string[] } => ({ value: Buffer.from(text), expiresAt: later(), labels });
const textOf = async (store: Store, key: string): Promise<string | undefined> => {
  const bytes = await store.get(key);
  return bytes && Buffer.from(bytes).toString();
};

/** An adapter of which a part can be made to fail, and that can neither be listed nor iterated. */
class PlainAdapter {
  readonly items = new Map<string, unknown>();
  readonly opts = {};
  failing: "none" | "writes" | "deletes" = "none";
  on(): this {
    return this;
  }
  async get(key: string): Promise<unknown> {
    return this.items.get(key);
  }
  async set(key: string, value: unknown): Promise<void> {
    if (this.failing === "writes") throw new Error("disk full");
    this.items.set(key, value);
  }
  async delete(key: string): Promise<boolean> {
    if (this.failing === "deletes") throw new Error("read-only");
    return this.items.delete(key);
  }
  async clear(): Promise<void> {
    this.items.clear();
  }
}

describe("keyValueStore over LangChain's InMemoryStore", () => {
  let client: InMemoryStore<Uint8Array>;
  const reopen = (): Store => keyValueStore(client);
  for (const { name, run } of storeContract(() => keyValueStore((client = new InMemoryStore<Uint8Array>())), { reopen })) it(name, run);

  it("leaves what is not its own alone, and takes none of it for an entry", async () => {
    const shared = new InMemoryStore<Uint8Array>();
    const [mine, other] = [keyValueStore(shared, { keyPrefix: "a" }), keyValueStore(shared, { keyPrefix: "ab" })];
    await shared.mset([["ak-garbage", Buffer.from("LPv1 and then nothing of ours")], ["foreign", Buffer.from("theirs")], ["ak-text", "a string" as unknown as Uint8Array]]);
    await mine.set("b", entryOf("mine"));
    await other.set("", entryOf("other"));
    expect(await textOf(mine, "garbage")).toBeUndefined();
    expect(await textOf(mine, "text")).toBeUndefined();
    expect(await Array.fromAsync(mine.keys())).toEqual([{ key: "b", sizeBytes: 4 }]);
    await mine.clear();
    expect(await textOf(mine, "b")).toBeUndefined();
    expect(await textOf(other, "")).toBe("other");
    expect(await shared.mget(["foreign"])).toEqual([Buffer.from("theirs")]);
  });

  it("misses an entry that the backend has cut or changed", async () => {
    const shared = new InMemoryStore<Uint8Array>();
    const store = keyValueStore(shared);
    for (const damage of [(bytes: Buffer) => bytes.subarray(0, -1), (bytes: Buffer) => bytes.subarray(0, 9), (bytes: Buffer) => (bytes.write("x", 14), bytes), () => Buffer.alloc(0)]) {
      await store.set("key", entryOf("value"));
      const [packed] = await shared.mget(["langchain-perf.k-key"]);
      await shared.mset([["langchain-perf.k-key", damage(Buffer.from(packed as Uint8Array))]]);
      expect(await store.get("key")).toBeUndefined();
      expect(await store.invalidate([["label"]])).toBe(0);
    }
  });
});

describe("keyValueStore over LangChain's LocalFileStore", () => {
  const folder = mkdtempSync(join(tmpdir(), "langchain-perf-files-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const open = async (): Promise<Store> => keyValueStore(await LocalFileStore.fromPath(folder), { shared: false });
  for (const { name, run } of storeContract(open, { reopen: open })) it(name, run);
});

describe("keyValueStore over Keyv", () => {
  for (const [title, namespace] of [["without a namespace", undefined], ["with a namespace", "mine"], ["with a namespace that our names begin with", "langchain-perf.k-x"]] as const) {
    describe(title, () => {
      let client: Keyv;
      const reopen = (): Store => keyValueStore(client);
      const create = (): Store => keyValueStore((client = new Keyv({ store: new Map(), ...(namespace ? { namespace } : {}) })));
      for (const { name, run } of storeContract(create, { reopen })) it(name, run);
    });
  }

  it("clears its own entries only", async () => {
    const client = new Keyv();
    const store = keyValueStore(client);
    await client.set("theirs", "value");
    await client.set("number", 7);
    await store.set("key", entryOf("mine"));
    await store.clear();
    expect(await store.get("key")).toBeUndefined();
    expect(await client.get("theirs")).toBe("value");
    expect(await client.get("number")).toBe(7);
  });

  it("gives Keyv the time to live, so that its backend can forget by itself", async () => {
    const client = new Keyv();
    const expiresAt = Date.now() + 5_000;
    await keyValueStore(client).set("key", { value: Buffer.from("v"), expiresAt, labels: [] });
    const raw = await client.getRaw("langchain-perf.k-key");
    expect(Math.abs((raw?.expires ?? 0) - expiresAt)).toBeLessThan(1_000);
  });

  it("throws where Keyv swallows a failed write or deletion", async () => {
    const adapter = new PlainAdapter();
    const store = keyValueStore(new Keyv({ store: adapter }));
    await store.set("key", entryOf("value", ["label"]));
    adapter.failing = "writes";
    await expect(store.set("key", entryOf("other"))).rejects.toThrow("disk full");
    await expect(store.invalidate([["label"]])).rejects.toThrow("disk full");
    await expect(store.clear()).rejects.toThrow("disk full");
    adapter.failing = "deletes";
    await expect(store.delete(["key"])).rejects.toThrow("read-only");
    adapter.failing = "none";
    expect(await textOf(store, "key")).toBe("value");
  });

  it("survives an error event outside any operation", async () => {
    const client = new Keyv();
    const store = keyValueStore(client);
    client.emit("error", new Error("connection lost"));
    await store.set("key", entryOf("value"));
    expect(await textOf(store, "key")).toBe("value");
  });

  it("throws where an iterator ends with an error event, as that of Keyv 6 does", async () => {
    let hear: (error: unknown) => void = () => {};
    const client: KeyvLike = {
      get: async () => undefined, set: async () => true, delete: async () => true, clear: async () => {},
      on: (_event, listener) => (hear = listener),
      async *iterator() {
        yield ["foreign", 1];
        hear(new Error("cursor lost"));
      },
    };
    await expect(keyValueStore(client).invalidate([["label"]])).rejects.toThrow("cursor lost");
  });
});

describe("keyValueStore over a Keyv that cannot be iterated", () => {
  let adapter: PlainAdapter;
  const open = (): Store => keyValueStore(new Keyv({ store: adapter }));
  const create = (): Store => ((adapter = new PlainAdapter()), open());
  for (const { name, run } of storeContract(create, { reopen: open, lists: false, counts: false, exact: false })) it(name, run);

  it("misses entries whose generation the backend has lost", async () => {
    const store = create();
    await store.set("a", entryOf("value", ["label"]));
    await store.set("b", entryOf("value"));
    const lose = (part: string): void => [...adapter.items.keys()].filter((name) => name.includes(part)).forEach((name) => adapter.items.delete(name));
    lose("langchain-perf.g.");
    expect(await store.get("a")).toBeUndefined();
    expect(await textOf(store, "b")).toBe("value");
    await store.set("a", entryOf("again", ["label"]));
    expect(await textOf(store, "a")).toBe("again");
    lose("langchain-perf.all");
    expect(await store.get("a")).toBeUndefined();
    expect(await store.get("b")).toBeUndefined();
  });
});

describe("keyValueStore", () => {
  it("refuses what is neither a BaseStore nor a Keyv, and options that it does not know", () => {
    expect(() => keyValueStore({} as KeyvLike)).toThrow('"client"');
    expect(() => keyValueStore(new Map() as unknown as KeyvLike)).toThrow('"client"');
    expect(() => keyValueStore(undefined as unknown as KeyvLike)).toThrow('"client"');
    expect(() => keyValueStore(new InMemoryStore<Uint8Array>(), { keyPrefix: "a\nb" })).toThrow("line breaks");
    expect(() => keyValueStore(new InMemoryStore<Uint8Array>(), { prefix: "a" } as object)).toThrow("keyPrefix, shared");
  });

  it("does not take a store for shared unless it is told so", () => {
    const client = new InMemoryStore<Uint8Array>();
    expect([keyValueStore(client).shared, keyValueStore(new Keyv()).shared, keyValueStore(client, { shared: true }).shared]).toEqual([false, false, true]);
  });
});
