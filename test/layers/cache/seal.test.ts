import { randomBytes } from "node:crypto";
import { crc32, zstdCompressSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { OptionError } from "../../../src/core/errors.ts";
import { writeIdentity } from "../../../src/core/key.ts";
import { createSealer, SealError, type EntryMeta, type SealReason } from "../../../src/layers/cache/seal.ts";

const SEED = 41;
const PASSPHRASE = "correct horse battery staple";
const meta: EntryMeta = {
  kind: "chat", storedAt: 1, freshUntil: 2, staleUntil: 3, usableUntil: Infinity, namespace: "default", tenant: "acme", tags: ["a", "b"],
  position: { epoch: "e", seq: 7 }, writer: "w", model: "m",
};
const space = { namespace: "default", tenant: "acme" };
const payload = Buffer.from("the answer");
const times = fc.oneof(fc.nat(), fc.constant(Infinity));
const word = fc.string({ unit: "binary", maxLength: 6 });
const metas: fc.Arbitrary<EntryMeta> = fc.record(
  {
    kind: word, storedAt: times, freshUntil: times, staleUntil: times, usableUntil: times, namespace: word, tenant: word, tags: fc.array(word, { maxLength: 3 }),
    position: fc.record({ epoch: word, seq: fc.nat() }, { noNullPrototype: true }), writer: word, model: word,
  },
  { requiredKeys: ["kind", "storedAt", "freshUntil", "staleUntil", "usableUntil", "namespace"] },
);

const current = Buffer.alloc(32, 3);
const previous = Buffer.alloc(32, 4);
const sealers = {
  plain: createSealer(),
  encrypted: createSealer({ encryptionKey: current }),
  compressed: createSealer({ compressAboveBytes: 0 }),
  both: createSealer({ encryptionKey: current, compressAboveBytes: 0 }),
};

function reasonOf(act: () => unknown): SealReason | undefined {
  try {
    act();
  } catch (error) {
    if (error instanceof SealError) return error.reason;
    throw error;
  }
  return undefined;
}

function changed(bytes: Uint8Array, at: number, by: number): Uint8Array {
  const copy = Uint8Array.from(bytes);
  copy[at] = (copy[at] as number) ^ by;
  return copy;
}

describe.each(Object.entries(sealers))("a sealer, %s", (_name, sealer) => {
  it("opens what it sealed", () => {
    fc.assert(fc.property(word, metas, fc.oneof(fc.uint8Array({ maxLength: 50 }), fc.constant(Buffer.alloc(5_000, "abc"))), (key, given, body) => {
      const opened = sealer.open(key, { namespace: given.namespace, tenant: given.tenant }, sealer.seal(key, given, body));
      expect(opened.meta).toStrictEqual({ ...given });
      expect(Buffer.from(opened.payload).equals(body)).toBe(true);
    }), { seed: SEED, numRuns: 200 });
  });

  it("refuses an entry of which any byte was changed", () => {
    const entry = sealer.seal("key", meta, Buffer.concat([payload, Buffer.alloc(300)]));
    for (let at = 0; at < entry.length; at++) {
      for (const by of [1, 0x80, 0xff]) expect(reasonOf(() => sealer.open("key", space, changed(entry, at, by))), `byte ${at}`).toBeDefined();
    }
  });

  it("refuses an entry that was cut or lengthened", () => {
    const entry = sealer.seal("key", meta, payload);
    for (let length = 0; length < entry.length; length++) expect(reasonOf(() => sealer.open("key", space, entry.subarray(0, length)))).toBeDefined();
    expect(reasonOf(() => sealer.open("key", space, Buffer.concat([entry, Buffer.of(0)])))).toBe("tampered");
  });

  it("refuses an entry under another key, namespace or tenant", () => {
    const entry = sealer.seal("key", meta, payload);
    const nobodys = sealer.seal("key", { ...meta, tenant: undefined as never }, payload);
    expect(reasonOf(() => sealer.open("kez", space, entry))).toBe("tampered");
    expect(reasonOf(() => sealer.open("key", { ...space, namespace: "other" }, entry))).toBe("tampered");
    expect(reasonOf(() => sealer.open("key", { ...space, tenant: "acmf" }, entry))).toBe("tampered");
    expect(reasonOf(() => sealer.open("key", { ...space, tenant: undefined }, entry))).toBe("tampered");
    expect(reasonOf(() => sealer.open("key", { ...space, tenant: "" }, nobodys))).toBe("tampered");
    const half = sealer.seal("key", { ...meta, tenant: "\ud800" }, payload);
    expect(reasonOf(() => sealer.open("key", { ...space, tenant: "\udfff" }, half))).toBe("tampered");
  });

  it("refuses other versions", () => {
    const entry = sealer.seal("key", meta, payload);
    for (const version of [0, 2, 255]) {
      const other = changed(entry, 0, (entry[0] as number) ^ version);
      expect(reasonOf(() => sealer.open("key", space, other))).toBe("version");
      expect(reasonOf(() => sealer.peek(other))).toBe("version");
    }
  });

  it("refuses random bytes", () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 120 }), fc.nat(3), (bytes, flags) => {
      expect(reasonOf(() => sealer.open("key", space, bytes))).toBeDefined();
      expect(reasonOf(() => sealer.open("key", space, Buffer.concat([Buffer.of(1, flags), bytes])))).toBeDefined();
    }), { seed: SEED, numRuns: 500 });
  });

  it("refuses to seal a time that is none", () => {
    for (const freshUntil of [Number.NaN, -Infinity]) expect(() => sealer.seal("key", { ...meta, freshUntil }, payload)).toThrow();
  });
});

describe("encryption", () => {
  const before = createSealer({ encryptionKey: previous });
  const rotated = createSealer({ encryptionKey: { current, previous: [previous] } });

  it("shows nothing of an entry, and never the same bytes twice", () => {
    const entry = Buffer.from(sealers.encrypted.seal("key", meta, payload));
    for (const text of ["the answer", "acme", "default", "chat"]) expect(entry.includes(text)).toBe(false);
    expect(entry.equals(sealers.encrypted.seal("key", meta, payload))).toBe(false);
    expect(Buffer.from(sealers.plain.seal("key", meta, payload)).includes("the answer")).toBe(true);
  });

  it("reads entries of previous keys and writes with the current one", () => {
    expect(rotated.open("key", space, before.seal("key", meta, payload)).meta).toStrictEqual(meta);
    const entry = rotated.seal("key", meta, payload);
    expect(sealers.encrypted.open("key", space, entry).meta).toStrictEqual(meta);
    expect(reasonOf(() => before.open("key", space, entry))).toBe("key");
  });

  it("refuses an entry in clear, and without a key an encrypted one", () => {
    expect(reasonOf(() => sealers.encrypted.open("key", space, sealers.plain.seal("key", meta, payload)))).toBe("key");
    expect(reasonOf(() => sealers.plain.open("key", space, sealers.encrypted.seal("key", meta, payload)))).toBe("key");
  });

  it("opens what another sealer with the same key sealed, whatever form the key has", () => {
    const secrets = [Buffer.alloc(32, 1), Buffer.alloc(32, 1).toString("base64"), Buffer.alloc(32, 1).toString("hex"), PASSPHRASE];
    const entries = secrets.map((encryptionKey) => createSealer({ encryptionKey }).seal("key", meta, payload));
    for (const [at, encryptionKey] of secrets.entries()) {
      const sealer = createSealer({ encryptionKey });
      expect(entries.map((entry) => reasonOf(() => sealer.open("key", space, entry)))).toEqual(secrets.map((_, other) => (other === at ? undefined : "key")));
    }
  });

  it("does not keep the caller's own bytes", () => {
    const secret = Buffer.alloc(32, 9);
    const sealer = createSealer({ encryptionKey: secret });
    secret.fill(0);
    expect(createSealer({ encryptionKey: Buffer.alloc(32, 9) }).open("key", space, sealer.seal("key", meta, payload)).meta).toStrictEqual(meta);
  });

  it("gives labels pseudonyms, the current key's first", () => {
    const [pseudonym, ...others] = sealers.encrypted.label("tenant:acme");
    expect(others).toEqual([]);
    expect(pseudonym).toMatch(/^[\w-]{22}$/);
    expect(createSealer({ encryptionKey: current }).label("tenant:acme")).toEqual([pseudonym]);
    expect(rotated.label("tenant:acme")).toEqual([pseudonym, ...before.label("tenant:acme")]);
    expect(new Set(["a", "b", "", "\ud800", "\udfff", "\ufffd"].flatMap((text) => sealers.encrypted.label(text))).size).toBe(6);
    expect(sealers.plain.label("tenant:acme")).toEqual(["tenant:acme"]);
  });

  it("stay the same, however many there were in between", () => {
    const first = rotated.label("0");
    for (let at = 1; at <= 10_000; at++) rotated.label(String(at));
    expect(rotated.label("0")).toEqual(first);
  });
});

describe("peek", () => {
  it("shows what needs no key", () => {
    const long = Buffer.alloc(1_000);
    expect(sealers.plain.peek(sealers.plain.seal("key", meta, long))).toEqual({ version: 1, encrypted: false, compressed: false });
    expect(sealers.plain.peek(sealers.compressed.seal("key", meta, long))).toEqual({ version: 1, encrypted: false, compressed: true });
    const outline = sealers.plain.peek(sealers.both.seal("key", meta, long));
    expect(outline).toEqual({ version: 1, encrypted: true, compressed: true, keyId: expect.stringMatching(/^[0-9a-f]{16}$/) as string });
    expect(sealers.plain.peek(sealers.encrypted.seal("other", meta, payload)).keyId).toBe(outline.keyId);
    expect(reasonOf(() => sealers.plain.peek(Buffer.of(1)))).toBe("malformed");
    expect(reasonOf(() => sealers.plain.peek(Buffer.of(1, 1, 0)))).toBe("malformed");
    expect(reasonOf(() => sealers.plain.peek(Buffer.of(1, 4, 0)))).toBe("malformed");
  });
});

describe("open without a place", () => {
  it("serves whoever knows the key alone, and still refuses another key", () => {
    for (const sealer of [sealers.plain, sealers.encrypted]) {
      const entry = sealer.seal("key", meta, payload);
      expect(sealer.open("key", undefined, entry).meta).toStrictEqual(meta);
      expect(reasonOf(() => sealer.open("kez", undefined, entry))).toBe("tampered");
    }
  });
});

describe("compression", () => {
  it("acts on answers above the size alone, and where it helps", () => {
    const sealer = createSealer({ compressAboveBytes: 500 });
    expect(sealer.peek(sealer.seal("key", meta, Buffer.alloc(500))).compressed).toBe(false);
    const entry = sealer.seal("key", meta, Buffer.alloc(501));
    expect(sealer.peek(entry).compressed).toBe(true);
    expect(entry.length).toBeLessThan(300);
    expect(sealers.plain.open("key", space, entry).payload).toHaveLength(501);
    expect(sealer.peek(sealer.seal("key", meta, randomBytes(501))).compressed).toBe(false);
  });

  it("refuses a bomb", () => {
    // Whoever can encrypt or count a checksum can send one.
    const large = createSealer({ compressAboveBytes: 0 });
    const inside = large.seal("key", meta, Buffer.alloc(63 * 2 ** 20));
    expect(large.open("key", space, inside).payload).toHaveLength(63 * 2 ** 20);
    expect(large.peek(large.seal("key", meta, Buffer.alloc(65 * 2 ** 20))).compressed).toBe(false);
    const bomb = resealed(zstdCompressSync(sealers.plain.seal("key", meta, Buffer.alloc(65 * 2 ** 20)).subarray(6)));
    expect(bomb.length).toBeLessThan(100_000);
    expect(reasonOf(() => sealers.plain.open("key", space, bomb))).toBe("malformed");
    expect(reasonOf(() => sealers.plain.open("key", space, resealed(Buffer.from("no zstd"))))).toBe("malformed");
  });
});

describe("options", () => {
  it("name the option, and never show a key", () => {
    const refused: [unknown, string][] = [
      [{ encryptionKey: "" }, "cache.encryptionKey"], [{ encryptionKey: "secret word" }, "cache.encryptionKey"], [{ encryptionKey: " ".repeat(20) }, "cache.encryptionKey"],
      [{ encryptionKey: Buffer.from("secret word") }, "cache.encryptionKey"], [{ encryptionKey: 5 }, "cache.encryptionKey"], [{ encryptionKey: null }, "cache.encryptionKey"],
      [{ encryptionKey: {} }, "cache.encryptionKey.current"], [{ encryptionKey: { current: "secret word" } }, "cache.encryptionKey.current"],
      [{ encryptionKey: { current, previous: ["secret word"] } }, "cache.encryptionKey.previous[0]"], [{ encryptionKey: { current, previous: "secret word" } }, "cache.encryptionKey.previous"],
      [{ encryptionKey: { current, old: "secret word" } }, "cache.encryptionKey.old"], [{ compressAboveBytes: -1 }, "cache.compressAboveBytes"], [{ compressAboveBytes: "1" }, "cache.compressAboveBytes"],
    ];
    for (const [options, option] of refused) {
      let error: unknown;
      try {
        createSealer(options as never);
      } catch (thrown) {
        error = thrown;
      }
      expect(error, option).toBeInstanceOf(OptionError);
      expect(error).toMatchObject({ option });
      expect(String(error)).not.toContain("secret word");
    }
  });
});

/** An entry in clear with a right checksum around any compressed body. */
function resealed(body: Uint8Array): Uint8Array {
  const head = Buffer.of(1, 2);
  const sum = Buffer.alloc(4);
  sum.writeUInt32BE(crc32(body, crc32(Buffer.concat([head, Buffer.from(writeIdentity([["key", "key"]]))]))));
  return Buffer.concat([head, sum, body]);
}
