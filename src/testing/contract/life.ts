import assert from "node:assert/strict";
import { holds, listed, put, survivors, type Check } from "./check.ts";

/** Listing, clearing, notes, counts of hits, and several instances. */
export const lifeCases: Record<string, Check> = {
  "says what it is": async ({ store }) => {
    assert.ok(typeof store.name === "string" && store.name !== "", "the store has no name");
    assert.equal(typeof store.shared, "boolean");
  },

  "lists the keys of live entries, and nothing else": async ({ store, lists }) => {
    for (const key of ["a", "b:c", "日本語", "deleted", "invalidated"]) await put(store, key, key, [key]);
    await put(store, "expired", "value", ["expired"], Date.now() - 1);
    await store.delete(["deleted"]);
    await store.invalidate([["invalidated"]]);
    await store.note?.write("name", "text");
    assert.deepEqual(await listed(store), lists ? ["a", "b:c", "日本語"].sort() : []);
  },

  "lists a thousand keys, each once, and can be left early": async ({ store, lists }) => {
    const keys = Array.from({ length: 1_000 }, (_, at) => `key-${at}`).sort();
    await Promise.all(keys.map((key) => put(store, key, key)));
    for await (const { sizeBytes = 1 } of store.keys()) {
      assert.ok(sizeBytes > 0, `an entry of ${sizeBytes} bytes`);
      break;
    }
    assert.deepEqual(await listed(store), lists ? keys : []);
  },

  "clears everything, and takes what is written afterwards": async ({ store }) => {
    const keys = ["1", "2", "3"];
    for (const key of keys) await put(store, key, key, ["label"]);
    await store.clear();
    await survivors(store, keys, []);
    assert.deepEqual(await listed(store), []);
    await put(store, "1", "new", ["other"]);
    await store.invalidate([["label"]]);
    await holds(store, "1", "new");
  },

  "tells which entries are asked for most": async ({ store }) => {
    if (!store.touch && !store.hottest) return;
    assert.ok(store.touch && store.hottest, "touch and hottest come together");
    for (const key of ["cold", "warm", "hot", "gone"]) await put(store, key, key);
    await store.touch(new Map([["warm", 5], ["hot", 4], ["gone", 100]]));
    await store.touch(new Map([["hot", 4]]));
    await store.touch(new Map());
    await store.delete(["gone"]);
    const hottest = await store.hottest(10);
    assert.deepEqual(hottest.filter((key) => key === "hot" || key === "warm"), ["hot", "warm"]);
    assert.ok(!hottest.includes("gone"), "a deleted entry is among the hottest");
    assert.deepEqual(await store.hottest(1), ["hot"]);
  },

  "counts its entries": async ({ store, lists }) => {
    if (!store.stats) return;
    assert.equal((await store.stats()).entries, 0);
    for (const key of ["1", "2", "3"]) await put(store, key, key);
    const { entries, sizeBytes = 3 } = await store.stats();
    if (lists) assert.equal(entries, 3);
    assert.ok(sizeBytes >= 3, `3 entries of one byte in ${sizeBytes} bytes`);
  },

  "keeps notes beside the entries, through a clear": async ({ store }) => {
    if (!store.note) return;
    const name = `note ${Date.now()}`;
    assert.equal(await store.note.read(name), undefined);
    await store.note.write(name, "first");
    await store.note.write(name, "zweiter ✓");
    await put(store, name, "an entry of the same name");
    await store.clear();
    assert.equal(await store.note.read(name), "zweiter ✓");
    await holds(store, name, undefined);
  },

  "shows every instance over one backend the same": async ({ store, other, lists, counted }) => {
    if (!other) return;
    const second = await other();
    for (const key of ["1", "2", "3", "4"]) await put(store, key, `first ${key}`, [`label ${key}`]);
    await holds(second, "1", "first 1");
    await put(second, "1", "second", ["label 1"]);
    await holds(store, "1", "second");
    await survivors(store, ["1", "2", "3", "4"], ["1", "2", "3", "4"]);
    counted(await second.invalidate([["label 2"]]), 1);
    counted(await second.delete(["3"]), 1);
    await survivors(store, ["1", "2", "3", "4"], ["1", "4"]);
    if (lists) assert.deepEqual(await listed(second), ["1", "4"]);
    counted(await store.invalidate([["label 1"]]), 1);
    await holds(second, "1", undefined);
    await holds(store, "4", "first 4");
    await second.clear();
    await holds(store, "4", undefined);
  },

  "closes, and closes again": async ({ store, other }) => {
    await put(store, "kept", "value");
    await store.close();
    await store.close();
    if (other && store.shared) await holds(await other(), "kept", "value");
  },
};
