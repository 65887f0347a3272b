import assert from "node:assert/strict";
import { holds, put, survivors, type Check } from "./check.ts";

const WRITERS = Array.from({ length: 200 }, (_, at) => at);

/** A value that shows when it was mixed with another's: one letter, over and over, in its own length. */
const valueOf = (writer: number): string => String.fromCodePoint(0x4e00 + writer).repeat(500 + writer);

/** Many at once do not disturb each other. */
export const concurrencyCases: Record<string, Check> = {
  "takes and gives 200 keys at once": async ({ store }) => {
    await Promise.all(WRITERS.map((writer) => put(store, `key ${writer}`, valueOf(writer), [`label ${writer}`])));
    await Promise.all(WRITERS.map((writer) => holds(store, `key ${writer}`, valueOf(writer))));
  },

  "keeps one of 200 values written to a key at once, whole and with its own labels": async ({ store }) => {
    const written = new Map(WRITERS.map((writer) => [valueOf(writer), writer]));
    const read = async (): Promise<number | undefined> => {
      const bytes = await store.get("key");
      if (bytes === undefined) return undefined;
      const writer = written.get(new TextDecoder().decode(bytes));
      assert.notEqual(writer, undefined, "the value is none of those that were written");
      return writer;
    };
    await Promise.all(WRITERS.flatMap((writer) => [put(store, "key", valueOf(writer), [`label ${writer}`]), read()]));
    const kept = await read();
    assert.notEqual(kept, undefined, "200 writes left nothing");
    await store.invalidate([WRITERS.filter((writer) => writer !== kept).map((writer) => `label ${writer}`)]);
    assert.equal(await read(), kept, "the entry carries the label of another write");
    await store.invalidate([[`label ${kept}`]]);
    assert.equal(await read(), undefined, "the entry does not carry its own label");
  },

  "lets the last of several writes win": async ({ store }) => {
    await Promise.all(WRITERS.map((writer) => put(store, "key", valueOf(writer))));
    await put(store, "key", "last");
    await holds(store, "key", "last");
  },

  "leaves nothing of an entry that is invalidated while others are written": async ({ store }) => {
    const keys = WRITERS.map((writer) => `key ${writer}`);
    await Promise.all(keys.map((key) => put(store, key, "doomed", ["doomed"])));
    await Promise.all([store.invalidate([["doomed"]]), ...keys.map((key) => put(store, `${key} kept`, "kept", ["kept"]))]);
    await survivors(store, keys, []);
    await survivors(store, keys.map((key) => `${key} kept`), keys.map((key) => `${key} kept`));
  },
};
