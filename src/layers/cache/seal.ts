import { constants, crc32, zstdCompressSync, zstdDecompressSync } from "node:zlib";
import { writeIdentity } from "../../core/key.ts";
import { resolveWith } from "../../core/options.ts";
import { ByteReader, textOf, varintBytes, writeVarint } from "../../core/wire/bytes.ts";
import { keyIdOf, type DerivedKeys } from "./encryption.ts";
import { readEncryptionKeys, type SealOptions } from "./encryption-options.ts";
import { decodeMeta, encodeMeta, type EntryMeta } from "./entry-meta.ts";
import { SealError } from "./seal-error.ts";

export type { EncryptionKey, SealOptions } from "./encryption-options.ts";
export type { EntryMeta } from "./entry-meta.ts";
export { SealError, type SealReason } from "./seal-error.ts";

/** Whose entry is looked for. */
export interface EntrySpace {
  readonly namespace: string;
  readonly tenant: string | undefined;
}

/** An entry that was opened. The payload may share memory with the bytes that it was read from. */
export interface OpenedEntry {
  readonly meta: EntryMeta;
  readonly payload: Uint8Array;
}

/** What an entry shows without a key. */
export interface EntryOutline {
  readonly version: number;
  readonly encrypted: boolean;
  /** Names the key; the same for all entries of one key. */
  readonly keyId?: string;
  readonly compressed: boolean;
}

/** Packs entries for the tiers outside this process. */
export interface Sealer {
  /** An entry, bound to its key and to its namespace and tenant. */
  seal(key: string, meta: EntryMeta, payload: Uint8Array): Uint8Array;
  /**
   * What `seal` packed under the same key for the same namespace and tenant; throws a `SealError` on anything else.
   * @param space `undefined` where only the key is known, e.g. for whoever looks through all entries
   */
  open(key: string, space: EntrySpace | undefined, bytes: Uint8Array): OpenedEntry;
  /** Throws a `SealError`. */
  peek(bytes: Uint8Array): EntryOutline;
  /** What a tag, tenant or namespace is called outside: itself, or with encryption a pseudonym by the current key and one by each previous key. */
  label(text: string): readonly string[];
}

/** The first byte. An entry of another version is a miss, so that processes of several versions can share a store. */
const VERSION = 1;
/** Flags, the second byte. */
const ENCRYPTED = 1;
const COMPRESSED = 2;
const HEAD_BYTES = 2;
const CHECKSUM_BYTES = 4;
/** A pseudonym of namespace and tenant. */
const PLACE_BYTES = 16;
/** Ends the decompression of a bomb; what is larger is not compressed. */
const MAX_UNCOMPRESSED_BYTES = 64 * 2 ** 20;
const ZSTD = { params: { [constants.ZSTD_c_compressionLevel]: 1 } };

/**
 * An entry is a byte for the version, one for flags, and a body, `meta` and payload, that is compressed and encrypted as configured.
 * An encrypted body stands between a pseudonym of its namespace and tenant, the key's id, a salt and an IV, and an
 * authentication tag; one in clear behind a CRC-32.
 */
export function createSealer(options: SealOptions = {}): Sealer {
  const { keys, compressAboveBytes } = resolveWith("cache", options, (reader) => ({
    keys: readEncryptionKeys(reader.pathOf("encryptionKey"), reader.raw("encryptionKey")),
    compressAboveBytes: reader.number("compressAboveBytes", { default: undefined, min: 0, integer: true }) ?? Infinity,
  }));
  return {
    seal(key, meta, payload) {
      const plain = joinBody(meta, payload);
      const compressed = payload.length > compressAboveBytes && plain.length <= MAX_UNCOMPRESSED_BYTES ? zstdCompressSync(plain, ZSTD) : plain;
      const body = compressed.length < plain.length ? compressed : plain;
      const head = Buffer.of(VERSION, (keys[0] ? ENCRYPTED : 0) | (body === plain ? 0 : COMPRESSED));
      const [current] = keys;
      if (!current) return Buffer.concat([head, checksum(contextOf(head, key), body), body]);
      const place = placeOf(current, meta);
      return Buffer.concat([head, place, ...current.encrypt(contextOf(head, key, place), body)]);
    },
    open(key, space, bytes) {
      const { encrypted, compressed } = outlineOf(bytes);
      if (encrypted !== keys.length > 0) throw new SealError("key", encrypted ? "it is encrypted" : "it is not encrypted");
      const head = bytes.subarray(0, HEAD_BYTES);
      const body = encrypted ? decrypt(keys, head, key, space, bytes.subarray(HEAD_BYTES)) : checked(contextOf(head, key), bytes.subarray(HEAD_BYTES));
      return splitBody(body, compressed, space);
    },
    peek: outlineOf,
    label: labels(keys),
  };
}

/** What an entry is bound to: its head, its key, and its place where that is not in clear in the body. */
function contextOf(head: Uint8Array, key: string, place: Uint8Array = Buffer.alloc(0)): Buffer {
  return Buffer.concat([head, Buffer.from(writeIdentity([["key", key]])), place]);
}

function placeOf(keys: DerivedKeys, { namespace, tenant }: { readonly namespace: string; readonly tenant?: string | undefined }): Buffer {
  const place = writeIdentity([["namespace", namespace], ...(tenant === undefined ? [] : [["tenant", tenant] as const])]);
  return Buffer.from(keys.label(place), "base64url");
}

function outlineOf(bytes: Uint8Array): EntryOutline {
  const [version, flags] = bytes;
  if (version === undefined || flags === undefined) throw new SealError("malformed", "it is too short");
  if (version !== VERSION) throw new SealError("version", `its format is ${version}, and this version reads ${VERSION}`);
  if (flags > (ENCRYPTED | COMPRESSED)) throw new SealError("malformed", "it has unknown flags");
  const encrypted = (flags & ENCRYPTED) !== 0;
  const outline = { version, encrypted, compressed: (flags & COMPRESSED) !== 0 };
  return encrypted ? { ...outline, keyId: Buffer.from(keyIn(bytes.subarray(HEAD_BYTES + PLACE_BYTES))).toString("hex") } : outline;
}

function keyIn(sealed: Uint8Array): Uint8Array {
  const id = keyIdOf(sealed);
  if (!id) throw new SealError("malformed", "it is too short");
  return id;
}

function decrypt(keys: readonly DerivedKeys[], head: Uint8Array, key: string, space: EntrySpace | undefined, bytes: Uint8Array): Uint8Array {
  const place = bytes.subarray(0, PLACE_BYTES);
  const sealed = bytes.subarray(PLACE_BYTES);
  const id = keyIn(sealed);
  const found = keys.find((candidate) => candidate.id.equals(id));
  if (!found) throw new SealError("key", "it is encrypted with another key");
  if (space && !placeOf(found, space).equals(place)) throw new SealError("tampered", "it belongs to another namespace or tenant");
  return found.decrypt(contextOf(head, key, place), sealed);
}

/** Against accidents; only encryption helps against intent. */
function checksum(context: Uint8Array, body: Uint8Array): Buffer {
  const bytes = Buffer.allocUnsafe(CHECKSUM_BYTES);
  bytes.writeUInt32BE(crc32(body, crc32(context)));
  return bytes;
}

function checked(context: Uint8Array, sealed: Uint8Array): Uint8Array {
  const body = sealed.subarray(CHECKSUM_BYTES);
  if (!checksum(context, body).equals(sealed.subarray(0, CHECKSUM_BYTES))) {
    throw new SealError("tampered", "it was changed, or stored under another key, namespace or tenant");
  }
  return body;
}

function joinBody(meta: EntryMeta, payload: Uint8Array): Buffer {
  const text = encodeMeta(meta);
  const length = Buffer.byteLength(text);
  const start = varintBytes(length);
  const body = Buffer.allocUnsafe(start + length + payload.length);
  writeVarint(body, 0, length);
  body.write(text, start);
  body.set(payload, start + length);
  return body;
}

function splitBody(body: Uint8Array, compressed: boolean, space: EntrySpace | undefined): OpenedEntry {
  let opened: OpenedEntry;
  try {
    const reader = new ByteReader(compressed ? zstdDecompressSync(body, { maxOutputLength: MAX_UNCOMPRESSED_BYTES }) : body);
    opened = { meta: decodeMeta(textOf(reader.take(reader.varint()))), payload: reader.rest() };
  } catch (error) {
    throw new SealError("malformed", "its body is none of ours", error);
  }
  // Encodings may give two texts the same bytes.
  if (space && (opened.meta.namespace !== space.namespace || opened.meta.tenant !== space.tenant)) throw new SealError("tampered", "it belongs to another namespace or tenant");
  return opened;
}

function labels(keys: readonly DerivedKeys[]): (text: string) => readonly string[] {
  return keys.length === 0 ? (text) => [text] : (text) => keys.map((key) => key.label(text));
}
