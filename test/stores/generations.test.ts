import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { storeContract } from "langchain-perf/testing";
import { GenerationStore, type Items } from "../../src/stores/generations.ts";
import { carries, nameOf, pack, unpack } from "../../src/stores/labelled-value.ts";

const SEED = 20_261_121;

/** Items that a test may lose. */
function memoryItems(kept: Map<string, Uint8Array>): Items {
  return {
    name: "items", shared: true, prefix: "p.",
    read: async (names) => names.map((name) => kept.get(name)),
    write: async (name, bytes) => void kept.set(name, bytes),
    remove: async (name) => kept.delete(name),
    add: async (name, bytes) => !kept.has(name) && !!kept.set(name, bytes),
    append: async (name, bytes) => kept.has(name) && !!kept.set(name, Buffer.concat([kept.get(name) as Uint8Array, bytes])),
    close: async () => {},
  };
}

const label = fc.constantFrom("a", "b", "c", "d");
const key = fc.constantFrom("1", "2", "3");
const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("set" as const), key, labels: fc.uniqueArray(label) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("invalidate" as const), groups: fc.array(fc.array(label, { maxLength: 3 }), { minLength: 1, maxLength: 3 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("clear" as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("lose" as const), which: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("restart" as const) }) },
);

describe("GenerationStore", () => {
  const kept = new Map<string, Uint8Array>();
  const open = (): GenerationStore => new GenerationStore(memoryItems(kept));
  for (const { name, run } of storeContract(open, { reopen: open, lists: false, counts: false })) it(name, run);

  it("serves exactly what is valid, and after a loss nothing that is not", async () => {
    await fc.assert(fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      const items = new Map<string, Uint8Array>();
      let store = new GenerationStore(memoryItems(items));
      let valid = new Map<string, { text: string; labels: string[] }>();
      let hasLost = false;
      for (const [at, one] of steps.entries()) {
        if (one.kind === "set") {
          valid.set(one.key, { text: `${at}`, labels: one.labels });
          await store.set(one.key, { value: Buffer.from(`${at}`), expiresAt: Infinity, labels: one.labels });
        } else if (one.kind === "invalidate") {
          valid = new Map([...valid].filter(([, entry]) => !carries(entry.labels, one.groups)));
          await store.invalidate(one.groups);
        } else if (one.kind === "clear") {
          valid.clear();
          await store.clear();
        } else if (one.kind === "lose") {
          const name = [...items.keys()][one.which % Math.max(1, items.size)];
          if (name !== undefined) hasLost = items.delete(name) || hasLost;
        } else store = new GenerationStore(memoryItems(items));
        for (const each of ["1", "2", "3"]) {
          const got = await store.get(each);
          const wanted = valid.get(each)?.text;
          if (got || !hasLost) expect(got && Buffer.from(got).toString()).toBe(wanted);
        }
      }
    }), { seed: SEED, numRuns: 400 });
  });

  it("gives up when the backend keeps nothing", async () => {
    const store = new GenerationStore({ ...memoryItems(new Map()), add: async () => false });
    await expect(store.set("key", { value: Buffer.from("x"), expiresAt: Infinity, labels: [] })).rejects.toThrow("does not keep");
  });

  it("takes a ledger that it cannot read for an invalidation", async () => {
    const items = new Map<string, Uint8Array>();
    const store = new GenerationStore(memoryItems(items));
    await store.set("key", { value: Buffer.from("x"), expiresAt: Infinity, labels: ["label"] });
    items.set("p.g.k-label", Buffer.concat([items.get("p.g.k-label") as Uint8Array, Buffer.from("[[")]));
    expect(await store.get("key")).toBeUndefined();
  });
});

describe("a labelled value", () => {
  const head = fc.record({ key: fc.string({ unit: "binary" }), expiresAt: fc.oneof(fc.constant(Infinity), fc.double({ noNaN: true, min: 0, max: 1e15 })), labels: fc.array(fc.string({ unit: "binary" })) });

  it("comes back as it was packed", () => {
    fc.assert(fc.property(head, fc.uint8Array(), (before, value) => {
      expect(unpack(pack(before, value))).toEqual({ ...before, value });
    }), { seed: SEED });
  });

  it("is nothing when it is cut, and never an error when it is changed", () => {
    fc.assert(fc.property(head, fc.uint8Array(), fc.nat(), fc.nat(255), (before, value, place, byte) => {
      const packed = pack(before, value);
      expect(unpack(packed.subarray(0, place % packed.length))).toBeUndefined();
      packed[place % packed.length] = byte;
      unpack(packed);
    }), { seed: SEED });
    for (const foreign of [undefined, null, "LPv1", 7, {}, new Uint8Array(100)]) expect(unpack(foreign)).toBeUndefined();
  });

  it("has a name that tells apart what differs, even where case is folded", () => {
    fc.assert(fc.property(fc.string({ unit: "binary" }), fc.string({ unit: "binary" }), (one, other) => {
      expect(nameOf(one)).toMatch(/^[\w-]{2,102}$/);
      if (one !== other) expect(nameOf(one).toLowerCase()).not.toBe(nameOf(other).toLowerCase());
    }), { seed: SEED });
    expect(nameOf("A")).not.toBe(nameOf("a"));
    expect(nameOf(nameOf("A").slice(2))).not.toBe(nameOf("A"));
  });
});
