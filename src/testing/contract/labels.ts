import { holds, put, survivors, type Check } from "./check.ts";

/** Labels that a careless backend splits, folds, cuts, or takes for a pattern. */
const ODD_LABELS = [
  "a", "A", "ab", "a,b", "b", "a b", "a:b", "a|b", "a;b", "a/b", "a\nb", "a\tb", "a\u0000b", "a\u0001b", "a*", "*", "a%", "a_", "[a]", "{a}", "a'b", 'a"b', "a\\b", '["a"]',
  " a", "a ", "tag:a", "tag:a:b", "tag:a\\:b", "äöü", "a\u0308", "ä", "日本語", "🦜", "🔗", "__proto__", "NaN", "null", "",
  "l".repeat(500), `${"l".repeat(499)}m`, "ü".repeat(500),
];

/** Invalidation reaches every entry that it names, and no other. */
export const labelCases: Record<string, Check> = {
  "invalidates by one label": async ({ store, counted }) => {
    await put(store, "1", "one", ["red"]);
    await put(store, "2", "two", ["red", "round"]);
    await put(store, "3", "three", ["blue"]);
    await put(store, "4", "four");
    counted(await store.invalidate([["red"]]), 2);
    await survivors(store, ["1", "2", "3", "4"], ["3", "4"]);
    counted(await store.invalidate([["red"]]), 0);
    counted(await store.invalidate([["unknown"]]), 0);
    await survivors(store, ["1", "2", "3", "4"], ["3", "4"]);
  },

  "invalidates by any label of a group": async ({ store, counted }) => {
    await put(store, "1", "one", ["red"]);
    await put(store, "2", "two", ["blue", "red"]);
    await put(store, "3", "three", ["blue"]);
    await put(store, "4", "four", ["green"]);
    counted(await store.invalidate([["red", "blue", "unknown"]]), 3);
    await survivors(store, ["1", "2", "3", "4"], ["4"]);
  },

  "invalidates by a label of every group": async ({ store, exact, counted }) => {
    const keys = ["both", "other", "colour", "shape", "none"];
    await put(store, "both", "1", ["red", "round"]);
    await put(store, "other", "2", ["square", "blue", "large"]);
    await put(store, "colour", "3", ["red", "blue"]);
    await put(store, "shape", "4", ["round", "large"]);
    await put(store, "none", "5", ["large"]);
    const taken = await store.invalidate([["red", "blue"], ["round", "square"]]);
    await survivors(store, exact ? keys : ["both", "other", "none"], exact ? ["colour", "shape", "none"] : ["none"]);
    counted(taken, 2);
  },

  "invalidates nothing by a group of no labels": async ({ store, counted }) => {
    await put(store, "1", "one", ["red"]);
    await put(store, "2", "two");
    counted(await store.invalidate([[]]), 0);
    counted(await store.invalidate([["red"], []]), 0);
    await survivors(store, ["1", "2"], ["1", "2"]);
  },

  "takes what is written after an invalidation": async ({ store, counted }) => {
    await put(store, "1", "old", ["red", "round"]);
    await store.invalidate([["red"]]);
    await put(store, "1", "new", ["red", "round"]);
    await holds(store, "1", "new");
    await store.invalidate([["red"], ["round"]]);
    await holds(store, "1", undefined);
    await put(store, "1", "newer", ["red", "round"]);
    await holds(store, "1", "newer");
    counted(await store.invalidate([["round"]]), 1);
    await holds(store, "1", undefined);
  },

  "does not find an entry under labels that were replaced": async ({ store, counted }) => {
    await put(store, "1", "old", ["red", "round"]);
    await put(store, "1", "new", ["blue", "round"]);
    counted(await store.invalidate([["red"]]), 0);
    await holds(store, "1", "new");
    counted(await store.invalidate([["blue"]]), 1);
    await holds(store, "1", undefined);
  },

  "does not find an entry under the labels of one that was deleted": async ({ store, counted }) => {
    await put(store, "1", "old", ["red"]);
    await store.delete(["1"]);
    await put(store, "1", "new");
    counted(await store.invalidate([["red"]]), 0);
    await holds(store, "1", "new");
  },

  "tells labels apart that look alike": async ({ store, counted }) => {
    const keyOf = (label: string): string => `with ${ODD_LABELS.indexOf(label)}`;
    const keys = ODD_LABELS.map(keyOf);
    for (const label of ODD_LABELS) await put(store, keyOf(label), label, [label]);
    for (const [at, label] of ODD_LABELS.entries()) {
      counted(await store.invalidate([[label]]), 1);
      await survivors(store, keys, keys.slice(at + 1));
    }
  },

  "keeps fifty labels of one entry, given twice or not": async ({ store, counted }) => {
    const labels = Array.from({ length: 50 }, (_, at) => `label ${at}`);
    for (const label of ["label 0", "label 49"]) {
      await put(store, "many", "value", [...labels, ...labels]);
      await holds(store, "many", "value");
      counted(await store.invalidate([[label, label]]), 1);
      await holds(store, "many", undefined);
    }
  },
};
