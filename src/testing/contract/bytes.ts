import assert from "node:assert/strict";
import { hashText, seededRandom } from "../random.ts";
import { bytesOf, holds, put, sameBytes, survivors, type Check } from "./check.ts";

const LATER_MS = 3_600_000;

/** Keys that a careless backend mixes up or refuses. */
const ODD_KEYS = [
  "a", "A", "a ", " a", "a*", "a?", "[a]", "a%", "a_", "a:b", "a/b", "a/../b", "a\\b", "a'b", 'a"b', "a\nb", "a,b", "{a}", "a|b", "a=b;c",
  "äöü", "a\u0308", "ä", "日本語", "🦜🔗", "__proto__", "constructor", "k".repeat(500), `${"k".repeat(499)}j`,
];

/** Values go in and come out as they are. */
export const byteCases: Record<string, Check> = {
  "answers a key that was never written with nothing": async ({ store }) => {
    await holds(store, "absent", undefined);
  },

  "gives back exactly the bytes it was given": async ({ store, largestBytes }) => {
    const every = Uint8Array.from({ length: 256 }, (_, byte) => byte);
    const random = seededRandom(hashText("bytes"));
    const large = Uint8Array.from({ length: largestBytes }, () => Math.floor(random() * 256));
    for (const [key, value] of Object.entries({ empty: new Uint8Array(0), zero: new Uint8Array(1), every, notText: Uint8Array.of(0xc3, 0x28, 0xff, 0xfe), large })) {
      await store.set(key, { value, expiresAt: Date.now() + LATER_MS, labels: [] });
      sameBytes(await store.get(key), value);
    }
  },

  "takes a view into a larger buffer for the bytes in view only": async ({ store }) => {
    const value = bytesOf("before|value|after").subarray(7, 12);
    await store.set("view", { value, expiresAt: Date.now() + LATER_MS, labels: [] });
    await holds(store, "view", "value");
  },

  "keeps its own bytes, whatever becomes of those it took or gave": async ({ store }) => {
    const value = bytesOf("original");
    await store.set("key", { value, expiresAt: Date.now() + LATER_MS, labels: [] });
    value.fill(0);
    const got = await store.get("key");
    sameBytes(got, bytesOf("original"));
    got?.fill(0);
    await holds(store, "key", "original");
  },

  "replaces a value": async ({ store }) => {
    await put(store, "key", "a first value, the longer one");
    await put(store, "key", "second");
    await holds(store, "key", "second");
  },

  "tells keys apart that look alike": async ({ store, counted }) => {
    for (const key of ODD_KEYS) await put(store, key, `under ${key}`);
    for (const key of ODD_KEYS) await holds(store, key, `under ${key}`);
    const [gone, ...rest] = ODD_KEYS as [string, ...string[]];
    counted(await store.delete([gone]), 1);
    await survivors(store, ODD_KEYS, rest);
  },

  "deletes the given keys alone, and says how many there were": async ({ store, counted }) => {
    const keys = ["a", "b", "c", "d"];
    for (const key of keys) await put(store, key, key);
    counted(await store.delete(["a", "c", "absent"]), 2);
    await survivors(store, keys, ["b", "d"]);
    counted(await store.delete(["a"]), 0);
    assert.equal(await store.delete([]), 0);
    await survivors(store, keys, ["b", "d"]);
  },

  "deletes a thousand keys at once": async ({ store, counted }) => {
    const keys = Array.from({ length: 1_000 }, (_, at) => `key-${at}`);
    await Promise.all(keys.slice(0, 100).map((key) => put(store, key, key)));
    counted(await store.delete(keys), 100);
    await survivors(store, keys.slice(0, 100), []);
  },
};
