import { isDeepStrictEqual } from "node:util";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { PartCodec } from "../../src/core/layer.ts";
import { decodeAnswer, encodeAnswer } from "../../src/core/wire/answer.ts";
import { MalformedError, UnencodableError } from "../../src/core/wire/errors.ts";
import { decodeValue, encodeValue, type ValueExtension } from "../../src/core/wire/value.ts";

const SEED = 31;
/** Texts and keys that the format itself is made of. */
const trickyText = fc.oneof(
  fc.string({ unit: fc.constantFrom("$", '"', "\\", "u", "0", "é", "😀", "\ud800", "\u0000", "a"), maxLength: 6 }),
  fc.constantFrom("$", "object", "undefined", "Map", "constructor", "toJSON", "prototype", "hasOwnProperty", "length"),
);
const bytes = fc.uint8Array({ maxLength: 20 });

const values = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 5, depthSize: "small" },
    trickyText, fc.double(), fc.constantFrom(-0, Number.NaN, Infinity, -Infinity, null, true, false), fc.bigInt(), fc.date({ noInvalidDate: false }),
    fc.webUrl().map((url) => new URL(url)), bytes, bytes.map((view) => Buffer.from(view)), bytes.map((view) => new Uint8Array(view).buffer),
    fc.float32Array({ maxLength: 5 }), fc.float64Array({ maxLength: 5 }), fc.int16Array({ maxLength: 5 }), fc.bigInt64Array({ maxLength: 3 }),
    fc.array(fc.oneof(tie("value"), fc.constant(undefined)), { maxLength: 4 }),
    fc.dictionary(trickyText, tie("value"), { maxKeys: 4, noNullPrototype: true }),
    fc.array(fc.tuple(tie("value"), tie("value")), { maxLength: 3 }).map((entries) => new Map(entries)),
    fc.array(tie("value"), { maxLength: 3 }).map((items) => new Set(items)),
  ),
})).value;

class Point {
  readonly at: unknown;

  constructor(at: unknown) {
    this.at = at;
  }
}

const points: ValueExtension = {
  encode: (value) => (value instanceof Point ? ["Point", value.at] : undefined),
  decode(tag, fields) {
    if (tag !== "Point") throw new MalformedError(tag);
    return new Point(fields);
  },
};

const nested = (depth: number): unknown => {
  let value: unknown = 1;
  for (let level = 0; level < depth; level++) value = [value];
  return value;
};

describe("encodeValue", () => {
  it("tells any value without loss", () => {
    fc.assert(fc.property(values, (value) => isDeepStrictEqual(decodeValue(encodeValue(value)), value)), { seed: SEED, numRuns: 2_000 });
  });

  it("writes plain data as plain JSON", () => {
    fc.assert(fc.property(fc.jsonValue(), (value) => {
      const text = encodeValue(JSON.parse(JSON.stringify(value).replaceAll("__proto__", "proto")));
      if (!text.includes('"$"')) expect(text).toBe(JSON.stringify(JSON.parse(text)));
    }), { seed: SEED });
    expect(encodeValue({ a: [1, "b", null, { c: true }] })).toBe('{"a":[1,"b",null,{"c":true}]}');
  });

  it("leaves out properties that are undefined, and keeps items that are", () => {
    expect(decodeValue(encodeValue({ a: undefined, b: [undefined, 1], $: undefined }))).toStrictEqual({ b: [undefined, 1] });
    expect(decodeValue(encodeValue(undefined))).toBeUndefined();
    expect(decodeValue(encodeValue(Array.from({ length: 2 })))).toStrictEqual([undefined, undefined]);
  });

  it("does not take data for one of its tags", () => {
    for (const value of [{ $: ["Date", 1] }, { $: { $: ["undefined", null] } }, { $: 1, a: -0 }, new Map([["$", { $: [] }]])]) {
      expect(decodeValue(encodeValue(value))).toStrictEqual(value);
    }
  });

  it("does not change what it tells", () => {
    const value = { $: 1, when: new Date(5), list: [-0, { deep: 5n }] };
    const before = structuredClone(value);
    encodeValue(value);
    expect(value).toStrictEqual(before);
  });

  it("tells the same object twice where it stands twice", () => {
    const shared = { a: new Date(1) };
    expect(decodeValue(encodeValue([shared, { shared }]))).toStrictEqual([shared, { shared }]);
  });

  it("refuses what it cannot tell", () => {
    const cycle: Record<string, unknown> = {};
    cycle.self = { cycle };
    const mapCycle = new Map<string, unknown>();
    mapCycle.set("a", [mapCycle]);
    const refused: unknown[] = [
      () => 1, Symbol("s"), new Point(1), new Error("e"), /a/, new WeakMap(), Promise.resolve(), new (class extends Date {})(), new (class extends Array {})(), new (class extends Map {})(),
      new SharedArrayBuffer(1), Object(1), (function* () {})(), new ReadableStream(), cycle, mapCycle, { toJSON: () => 1 }, JSON.parse('{"__proto__":{}}'), nested(201),
    ];
    for (const value of refused) expect(() => encodeValue({ in: [value] }), String(Object.prototype.toString.call(value))).toThrow(UnencodableError);
  });

  it("bounds the depth alike on both sides", () => {
    expect(decodeValue(encodeValue(nested(200)))).toStrictEqual(nested(200));
    const tall = "[".repeat(201) + "]".repeat(201);
    expect(() => decodeValue(tall)).toThrow(MalformedError);
    expect(() => decodeValue("[".repeat(1_000_000) + "]".repeat(1_000_000))).toThrow(MalformedError);
    expect(() => decodeValue(`${'{"$":["Set",['.repeat(5_000)}1${"]]}".repeat(5_000)}`)).toThrow(MalformedError);
  });

  it("leaves unknown classes to the extension, at any depth", () => {
    const value = [new Point(new Map([[1, new Point([undefined])]])), { $: new Point(-0) }];
    expect(decodeValue(encodeValue(value, points), points)).toStrictEqual(value);
    expect(() => decodeValue(encodeValue(value, points))).toThrow(MalformedError);
  });

  it("gives bytes of their own", () => {
    const [first, second] = decodeValue(encodeValue([new Uint8Array([1]), new Uint8Array([2])])) as [Uint8Array, Uint8Array];
    expect(first.buffer).not.toBe(second.buffer);
    expect(first.buffer.byteLength).toBe(1);
  });
});

describe("decodeValue", () => {
  it("refuses whatever encodeValue does not write", () => {
    const texts = [
      "", "{", "nul", '{"$":1}', '{"$":[]}', '{"$":["Date"]}', '{"$":["Date",1],"a":1}', '{"$":["Date","x"]}', '{"$":["Date",1e99]}', '{"$":["number","1"]}', '{"$":["number",null]}',
      '{"$":["bigint","0x1"]}', '{"$":["bigint",""]}', '{"$":["Map",[[1]]]}', '{"$":["Map",{}]}', '{"$":["Set",1]}', '{"$":["URL","no"]}', '{"$":["Buffer","a"]}', '{"$":["Buffer","YR=="]}',
      '{"$":["Float64Array","AAAA"]}', '{"$":["undefined",1]}', '{"$":["object",{"a":1}]}', '{"$":["object",1]}', '{"$":["Function","return 1"]}', '{"$":["constructor",[]]}',
      '{"$":["__proto__",{}]}', '{"$":["Error","e"]}', '{"\\u0024":["RegExp","a"]}', '[{"a":{"__proto__":{"polluted":1}}}]', '{"\\u005f_proto__":{}}', '{"$":["object",{"$":1,"__proto__":{}}]}',
    ];
    for (const text of texts) expect(() => decodeValue(text), text).toThrow(MalformedError);
  });

  it("keeps a key named constructor as data", () => {
    const value = decodeValue('{"constructor":{"prototype":{"polluted":1}}}') as object;
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
    expect(Object.hasOwn(value, "constructor")).toBe(true);
    expect({}).not.toHaveProperty("polluted");
  });

  it("gives a plain value or an error for every changed text, and pollutes nothing", () => {
    const before = Reflect.ownKeys(Object.prototype);
    fc.assert(fc.property(values, fc.nat(), fc.constantFrom("$", '"', "[", "]", "{", "}", "0", ",", "__proto__", "\\u0024", ""), fc.nat(3), (value, at, junk, cut) => {
      const text = encodeValue(value);
      const place = at % (text.length + 1);
      try {
        decodeValue(text.slice(0, place) + junk + text.slice(place + cut));
      } catch (error) {
        expect(error).toBeInstanceOf(MalformedError);
      }
      expect(Reflect.ownKeys(Object.prototype)).toEqual(before);
    }), { seed: SEED, numRuns: 3_000 });
  });
});

const bytesCodec: PartCodec<string> = {
  encoder: () => (part) => Buffer.from(part, "utf16le"),
  decoder: () => (part) => Buffer.from(part).toString("utf16le"),
};
const answers = fc.oneof(
  fc.record({ mode: fc.constant("invoke" as const), parts: fc.array(trickyText, { minLength: 1, maxLength: 1 }) }),
  fc.record({ mode: fc.constantFrom("stream" as const, "events" as const), parts: fc.array(fc.oneof(trickyText, fc.constantFrom("x".repeat(70), "y".repeat(9_000))), { maxLength: 200 }) }),
);

describe("encodeAnswer", () => {
  it("keeps the mode and every part", () => {
    fc.assert(fc.property(answers, (answer) => void expect(decodeAnswer(bytesCodec, encodeAnswer(bytesCodec, answer))).toEqual(answer)), { seed: SEED });
  });

  it("gives each answer an encoder and a decoder of its own, and its parts in order", () => {
    const counting: PartCodec<number> = {
      encoder: (mode) => {
        let last = mode === "stream" ? 0 : 100;
        return (part) => Buffer.of(part - last, (last = part));
      },
      decoder: (mode) => {
        let last = mode === "stream" ? 0 : 100;
        return ([difference]) => (last += difference as number);
      },
    };
    const answer = { mode: "stream" as const, parts: [1, 5, 7] };
    expect(decodeAnswer(counting, encodeAnswer(counting, answer))).toEqual(answer);
    expect(decodeAnswer(counting, encodeAnswer(counting, answer))).toEqual(answer);
  });

  it("refuses every truncated and every lengthened answer", () => {
    const encoded = encodeAnswer(bytesCodec, { mode: "stream", parts: ["a", "", "y".repeat(200)] });
    for (let length = 0; length < encoded.length; length++) expect(() => decodeAnswer(bytesCodec, encoded.subarray(0, length))).toThrow(MalformedError);
    expect(() => decodeAnswer(bytesCodec, Buffer.concat([encoded, Buffer.of(0)]))).toThrow(MalformedError);
  });

  it("refuses unknown modes, wrong counts and lengths beyond the bytes at once", () => {
    const huge = [0xff, 0xff, 0xff, 0xff, 0x0f];
    const refused = [[], [3, 0], [255], [0, 0], [0, 2, 0, 0], [1, ...huge], [1, 1, ...huge, 1], [1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], [1, 2, 1, 65]];
    for (const list of refused) expect(() => decodeAnswer(bytesCodec, Uint8Array.from(list)), list.join()).toThrow(MalformedError);
  });

  it("gives an answer or an error for random bytes", () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 60 }), (random) => {
      try {
        expect(decodeAnswer(bytesCodec, random).parts.length).toBeLessThanOrEqual(random.length);
      } catch (error) {
        expect(error).toBeInstanceOf(MalformedError);
      }
    }), { seed: SEED, numRuns: 3_000 });
  });
});
