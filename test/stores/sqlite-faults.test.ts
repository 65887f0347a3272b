import { mkdirSync, mkdtempSync, openSync, closeSync, writeSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, describe, expect, it } from "vitest";
import type { Store } from "../../src/stores/store.ts";
import { sqliteStore } from "../../src/stores/sqlite.ts";
import { entryOf, textOf } from "./fixtures/entry.ts";
import { fourWriters, run } from "./fixtures/processes.ts";

const root = mkdtempSync(join(tmpdir(), "langchain-perf-sqlite-faults-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

function folderOf(name: string): string {
  const folder = join(root, name);
  mkdirSync(folder);
  return folder;
}

const KEYS = Array.from({ length: 2_000 }, (_, at) => `key ${at}`);

/** A file with some megabytes of entries, all of them in the file itself. */
async function filled(path: string): Promise<void> {
  const store = sqliteStore(path);
  await Promise.all(KEYS.map((key) => store.set(key, entryOf(key.repeat(300), ["all"]))));
  await store.close();
}

const failures = async (store: Store): Promise<string[]> => {
  const settled = await Promise.allSettled(KEYS.map((key) => store.get(key)));
  return settled.flatMap((each) => (each.status === "rejected" ? [(each.reason as Error).message] : []));
};

async function worksAgain(store: Store, folder: string): Promise<void> {
  expect(await failures(store)).toEqual([]);
  await store.set("new", entryOf("value", ["label"]));
  expect(textOf(await store.get("new"))).toBe("value");
  expect(await store.invalidate([["label"]])).toBe(1);
  await store.close();
  expect(readdirSync(folder).filter((name) => /\.corrupt-\d+$/.test(name))).toHaveLength(1);
}

describe("a broken SQLite file", () => {
  it("is moved aside once when it is garbage", async () => {
    const folder = folderOf("garbage");
    const garbage = Buffer.alloc(100_000, "This is no database. ");
    writeFileSync(join(folder, "cache.db"), garbage);
    const store = sqliteStore(join(folder, "cache.db"));
    await expect(store.get("key")).rejects.toThrow(/broken; it was moved to .*cache\.db\.corrupt-\d+/);
    await worksAgain(store, folder);
    const aside = readdirSync(folder).find((name) => name.includes("corrupt")) ?? "";
    expect(readFileSync(join(folder, aside)).equals(garbage)).toBe(true);
  });

  it("is moved aside when its end is cut off while it is open", async () => {
    const folder = folderOf("truncated");
    const path = join(folder, "cache.db");
    await filled(path);
    const store = sqliteStore(path);
    expect(textOf(await store.get("key 0"))).toContain("key 0");
    truncateSync(path, Math.floor(statSync(path).size / 8192) * 4096);
    expect(await failures(store)).toEqual([expect.stringContaining("broken")]);
    await worksAgain(store, folder);
  });

  it("is moved aside when a page in its middle is overwritten while it is open", async () => {
    const folder = folderOf("overwritten");
    const path = join(folder, "cache.db");
    await filled(path);
    const store = sqliteStore(path);
    await store.get("key 0");
    const file = openSync(path, "r+");
    for (let page = 40; page < 1_200; page++) writeSync(file, Buffer.alloc(4_096, 0xff), 0, 4_096, page * 4_096);
    closeSync(file);
    expect(await failures(store)).toEqual([expect.stringContaining("broken")]);
    await worksAgain(store, folder);
  });

  it("is moved aside by one of the stores that share it, and left alone by the others", async () => {
    const folder = folderOf("shared");
    const path = join(folder, "cache.db");
    await filled(path);
    const [one, other] = [sqliteStore(path), sqliteStore(path)];
    await Promise.all([one.get("key 0"), other.get("key 0")]);
    truncateSync(path, Math.floor(statSync(path).size / 8192) * 4096);
    expect(await failures(one)).toHaveLength(1);
    await one.set("new", entryOf("value"));
    expect(await failures(other)).toEqual([]);
    expect(textOf(await other.get("new"))).toBe("value");
    await other.close();
    await worksAgain(one, folder);
  });
});

describe("a SQLite file that another process is writing to", () => {
  it("is waited for, with the event loop free, and the writes keep their order", async () => {
    const path = join(folderOf("busy"), "cache.db");
    const store = sqliteStore(path);
    await store.set("key", entryOf("old"));
    const other = new DatabaseSync(path);
    other.exec("BEGIN IMMEDIATE");
    const writes = Promise.all(Array.from({ length: 20 }, (_, at) => store.set("key", entryOf(`new ${at}`))));
    for (let tick = 0; tick < 20; tick++) {
      expect(textOf(await store.get("key"))).toBe("old");
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    other.exec("COMMIT");
    other.close();
    await writes;
    expect(textOf(await store.get("key"))).toBe("new 19");
    await store.close();
  });

  it("loses nothing of what four processes write at once", async () => {
    const path = join(folderOf("processes"), "cache.db");
    await fourWriters("sqlite", path, 250);
    const store = sqliteStore(path);
    expect((await store.stats?.())?.entries).toBe(1_001);
    for (let writer = 0; writer < 4; writer++) {
      for (let at = 0; at < 250; at++) expect(textOf(await store.get(`${writer}-${at}`))).toBe(`${writer}-${at}`);
      expect(await store.invalidate([["all"], [`writer ${writer}`]])).toBe(250);
    }
    const last = textOf(await store.get("fought over"));
    expect(await store.invalidate([[`last ${last}`]])).toBe(1);
    await store.close();
  });
});

describe("a disk", () => {
  /** In a mount namespace of its own, so that the disk is gone with the process, and no root is needed where user namespaces are allowed. */
  const onDisk = async (scenario: string): Promise<Record<string, unknown>> => {
    const folder = folderOf(scenario);
    const wrapper = ["unshare", "--map-root-user", "--mount", "sh", "-c", 'mount -t tmpfs -o size=2m tmpfs "$0" && exec "$@"', folder];
    return JSON.parse(await run("disk-process.ts", [scenario, folder], wrapper).output);
  };

  it("that is full refuses writes, still answers reads, and takes writes when there is room again", async () => {
    const full = expect.stringMatching(/full|disk I\/O error/);
    expect(await onDisk("full")).toEqual({ onFull: [full, full], read: "kept", after: "done", large: 500_000, keys: 2 });
  });

  it("that is read-only answers reads, refuses writes, and takes them when it is writable again", async () => {
    const refused = expect.stringContaining("readonly");
    const unopened = expect.stringContaining("unable to open");
    expect(await onDisk("read-only")).toEqual({ read: "kept", writes: [refused, refused, refused], fresh: unopened, again: "kept", after: "done", written: "x" });
  });
});
