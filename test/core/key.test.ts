import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { canonical, digest, instanceId, readIdentity, writeIdentity } from "../../src/core/key.ts";

/** Short texts full of the characters that the format itself is made of. */
const trickyText = fc.string({ unit: fc.constantFrom("a", "b", "1", "2", "0", ":", ";", '"', "{", "}", "[", "]", "u", "z", "#", "@", "-", "é", "😀", "\ud800"), maxLength: 8 });

const plain = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    trickyText, fc.integer({ min: -3, max: 30 }), fc.double({ noNaN: true }), fc.boolean(), fc.constant(null), fc.bigInt({ min: -3n, max: 30n }),
    fc.array(tie("value"), { maxLength: 3 }),
    fc.dictionary(trickyText, tie("value"), { maxKeys: 3 }),
  ),
})).value;

/** Reads what `canonical` writes of plain data: that this is possible is what "without loss" means. */
function decode(text: string): unknown {
  let at = 0;
  const until = (mark: string): string => {
    const end = text.indexOf(mark, at);
    const part = text.slice(at, end);
    at = end + 1;
    return part;
  };
  const counted = (): string => {
    const length = Number(until(":"));
    at += length;
    return text.slice(at - length, at);
  };
  const value = (): unknown => {
    const mark = text[at] as string;
    if (mark === '"') return (at += 1), counted();
    if (mark === "[") {
      at += 1;
      const items: unknown[] = [];
      while (text[at] !== "]") items.push(value());
      return (at += 1), items;
    }
    if (mark === "{") {
      at += 1;
      const fields: [string, unknown][] = [];
      while (text[at] !== "}") fields.push([counted(), value()]);
      return (at += 1), Object.fromEntries(fields);
    }
    const word = until(";");
    if (word === "z") return null;
    if (word === "true" || word === "false") return word === "true";
    return word.endsWith("n") ? BigInt(word.slice(0, -1)) : Number(word);
  };
  return value();
}

function shuffled(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(shuffled);
  if (typeof value !== "object" || value === null) return value;
  const fields = Object.entries(value).reverse().map(([key, field]) => [key, shuffled(field)] as const);
  return Object.fromEntries([["absent", undefined], ...fields, ...("absent" in value ? [["absent", shuffled(value.absent)] as const] : [])]);
}

const SEED = 20_261_121;

describe("canonical", () => {
  it("writes plain data without loss", () => {
    fc.assert(
      fc.property(plain, (value) => {
        const read = decode(canonical(value));
        // Minus zero is sent as 0, and an own "__proto__" is no field of a literal.
        expect(canonical(read)).toBe(canonical(value));
        expect(JSON.stringify(read, replacer)).toBe(JSON.stringify(sorted(value), replacer));
      }),
      { seed: SEED, numRuns: 2_000 },
    );
  });

  it("depends on neither key order nor undefined fields", () => {
    fc.assert(
      fc.property(plain, (value) => {
        expect(canonical(shuffled(value))).toBe(canonical(value));
      }),
      { seed: SEED, numRuns: 1_000 },
    );
  });

  it("is different for different values", () => {
    fc.assert(
      fc.property(plain, plain, (a, b) => {
        fc.pre(JSON.stringify(sorted(a), replacer) !== JSON.stringify(sorted(b), replacer));
        expect(canonical(a)).not.toBe(canonical(b));
      }),
      { seed: SEED, numRuns: 3_000 },
    );
  });

  it.each<[string, unknown, unknown]>([
    ["a number and its text", 1, "1"],
    ["null and undefined", null, undefined],
    ["null and its text", null, "null"],
    ["true and its text", true, "true"],
    ["an integer and a bigint", 1, 1n],
    ["an empty array and an empty object", [], {}],
    ["nested arrays", [[1], [2]], [[1, 2]]],
    ["an array with a hole", Object.assign([], { 1: 1 }), [1]],
    ["an array that ends in undefined", [1, undefined], [1]],
    ["text that looks like two items", ["a", "b"], ['a"1:b']],
    ["bytes that differ", new Uint8Array([1, 2]), new Uint8Array([1, 3])],
    ["bytes of another element type", new Uint8Array([1, 0]), new Uint16Array([1])],
    ["a view into the same buffer", new Uint8Array([1, 2, 3]).subarray(0, 2), new Uint8Array([1, 2, 3]).subarray(1)],
    ["buffers", new Uint8Array([1, 2]).buffer, new Uint8Array([1, 3]).buffer],
    ["dates", new Date(1), new Date(2)],
    ["a date and its text", new Date(0), new Date(0).toISOString()],
    ["maps", new Map([["a", 1]]), new Map([["a", 2]])],
    ["sets", new Set([1]), new Set([2])],
    ["a set and an array", new Set([1]), [1]],
    ["functions", () => 1, () => 1],
    ["instances of a class without toJSON", new (class A {})(), new (class A {})()],
    ["URLs", new URL("http://a/"), new URL("http://b/")],
    ["headers", new Headers({ a: "1" }), new Headers({ a: "2" })],
  ])("tells apart %s", (_name, a, b) => {
    expect(canonical(a)).not.toBe(canonical(b));
  });

  it.each<[string, unknown, unknown]>([
    ["equal bytes in other buffers", new Uint8Array([9, 1, 2]).subarray(1), new Uint8Array([1, 2])],
    ["maps in another order", new Map([["a", 1], ["b", 2]]), new Map([["b", 2], ["a", 1]])],
    ["sets in another order", new Set(["a", "b"]), new Set(["b", "a"])],
    ["equal URLs", new URL("http://a/"), new URL("http://a/")],
    ["a prototype-less object", Object.assign(Object.create(null), { a: 1 }), { a: 1 }],
    ["equal headers", new Headers({ a: "1", b: "2" }), new Headers({ B: "2", A: "1" })],
  ])("is equal for %s", (_name, a, b) => {
    expect(canonical(a)).toBe(canonical(b));
  });

  it("counts functions and exotic objects by identity", () => {
    const fn = (): void => {};
    expect(canonical({ fn })).toBe(canonical({ fn }));
    expect(instanceId(fn)).toBe(instanceId(fn));
    expect(instanceId({})).not.toBe(instanceId({}));
  });

  it("renames the strings that the caller names, under their key alone, and no deeper", () => {
    const rename = (key: string, value: string): string | undefined => (key === "id" && value !== "y" ? "#0;" : undefined);
    expect(canonical({ id: "x" }, rename)).toBe(canonical({ id: "z" }, rename));
    expect(canonical([{ id: "x" }], rename)).toBe(canonical([{ id: "z" }], rename));
    expect(canonical({ id: "x" }, rename)).not.toBe(canonical({ id: "y" }, rename));
    expect(canonical({ text: "x" }, rename)).toBe(canonical({ text: "x" }));
    expect(canonical({ args: { id: "x" } }, rename)).not.toBe(canonical({ args: { id: "z" } }, rename));
  });
});

describe("identity", () => {
  it("gives back the fields that it was made of", () => {
    const fields = fc.array(fc.tuple(trickyText, trickyText), { maxLength: 6 });
    fc.assert(
      fc.property(fields, (written) => {
        expect(readIdentity(writeIdentity(written))).toEqual(written);
      }),
      { seed: SEED, numRuns: 1_000 },
    );
  });

  it("tells texts apart that were cut in the middle of an emoji", () => {
    expect(digest("\ud83d")).not.toBe(digest("\ud83e"));
    expect(digest("\ud83d")).not.toBe(digest("\ufffd"));
  });

  it("digests to text of a fixed length that shows nothing of the question", () => {
    const key = digest("a question with a secret");
    expect(key).toMatch(/^[\w-]{43}$/);
    expect(digest("a question with a secret")).toBe(key);
    expect(digest("a question with a secret!")).not.toBe(key);
  });
});

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.keys(value).sort().map((key) => [key, sorted((value as Record<string, unknown>)[key])]));
}

function replacer(_key: string, value: unknown): unknown {
  return typeof value === "bigint" ? `${value}n (bigint)` : value;
}
