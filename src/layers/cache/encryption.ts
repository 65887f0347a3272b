import { createCipheriv, createDecipheriv, createHmac, createSecretKey, hkdfSync, randomBytes, scryptSync, type KeyObject } from "node:crypto";
import { SealError } from "./seal-error.ts";

/** A key as the user gives it: random bytes, the same written as hex or base64, or a passphrase. */
export type EncryptionSecret = string | Uint8Array;

const ALGORITHM = "aes-256-gcm";
const ID_BYTES = 8;
const SALT_BYTES = 16;
/** Longer or shorter ones would be hashed first (NIST SP 800-38D, 8.2). */
const IV_BYTES = 12;
const AUTH_TAG_BYTES = 16;
const HEAD_BYTES = ID_BYTES + SALT_BYTES + IV_BYTES;
/**
 * Entries under one salt. NIST SP 800-38D, 8.3, allows 2^32 random IVs a key; a salt makes a key of its own, so that the bound holds
 * for as many processes and years as there may be.
 */
const ENTRIES_PER_SALT = 2 ** 24;
/** Derived keys of other processes' salts that are kept. */
const MAX_SALTS = 1_000;
const MAX_LABELS = 10_000;

/** Separates our keys from those that anybody else derives of the same secret. */
const CONTEXT = "langchain-perf/seal@1";
/** What 32 random bytes look like at least as base64 or hex. */
const LOOKS_RANDOM = /^[\w+/-]{43,}={0,2}$/;
/** Of the parameters that OWASP's Password Storage Cheat Sheet holds equal, those that take 32 MiB; about 0.2 s. RFC 7914. */
const SCRYPT = { N: 2 ** 15, r: 8, p: 3, maxmem: 2 ** 26 } as const;

/** The keys that are derived of one secret. */
export class DerivedKeys {
  /** Names the secret in an entry's head, and says nothing of it. */
  readonly id: Buffer;
  readonly #root: Uint8Array;
  readonly #labels: Uint8Array;
  /** By salt. */
  readonly #entries = new Map<string, KeyObject>();
  #salt = randomBytes(SALT_BYTES);
  #sealed = 0;
  readonly #known = new Map<string, string>();

  constructor(secret: EncryptionSecret) {
    this.#root = rootOf(secret);
    this.id = this.#derive("id", CONTEXT).subarray(0, ID_BYTES);
    this.#labels = this.#derive("label", CONTEXT);
  }

  /** `plain` behind a head; `context` is what the entry is bound to. */
  encrypt(context: Uint8Array, plain: Uint8Array): Uint8Array[] {
    if (this.#sealed++ === ENTRIES_PER_SALT) {
      this.#salt = randomBytes(SALT_BYTES);
      this.#sealed = 1;
    }
    const iv = randomBytes(IV_BYTES);
    const cipher = createCipheriv(ALGORITHM, this.#entryKey(this.#salt), iv, { authTagLength: AUTH_TAG_BYTES });
    cipher.setAAD(context);
    const body = cipher.update(plain);
    cipher.final();
    return [this.id, this.#salt, iv, body, cipher.getAuthTag()];
  }

  /** What `encrypt` wrote; throws a `SealError`. */
  decrypt(context: Uint8Array, sealed: Uint8Array): Uint8Array {
    const salt = sealed.subarray(ID_BYTES, ID_BYTES + SALT_BYTES);
    const decipher = createDecipheriv(ALGORITHM, this.#entryKey(salt), sealed.subarray(ID_BYTES + SALT_BYTES, HEAD_BYTES), { authTagLength: AUTH_TAG_BYTES });
    decipher.setAAD(context);
    decipher.setAuthTag(sealed.subarray(-AUTH_TAG_BYTES));
    const plain = decipher.update(sealed.subarray(HEAD_BYTES, -AUTH_TAG_BYTES));
    try {
      decipher.final();
    } catch (error) {
      throw new SealError("tampered", "it was changed, or stored under another key, namespace or tenant", error);
    }
    return plain;
  }

  /** HMAC-SHA-256, cut to 128 bits. Remembered: tenants and tags come again with each call. */
  label(text: string): string {
    let label = this.#known.get(text);
    if (label !== undefined) return label;
    label = this.#hmac(text);
    if (this.#known.size === MAX_LABELS) this.#known.clear();
    this.#known.set(text, label);
    return label;
  }

  #hmac(text: string): string {
    // UTF-8 writes every half of a cut emoji as the same replacement character.
    const bytes = Buffer.from(text, text.isWellFormed() ? "utf8" : "utf16le");
    return createHmac("sha256", this.#labels).update(bytes).digest().subarray(0, 16).toString("base64url");
  }

  #entryKey(salt: Uint8Array): KeyObject {
    const name = Buffer.from(salt.buffer, salt.byteOffset, SALT_BYTES).toString("latin1");
    let key = this.#entries.get(name);
    if (key) return key;
    key = createSecretKey(this.#derive("entry", salt));
    if (this.#entries.size === MAX_SALTS) this.#entries.delete(this.#entries.keys().next().value as string);
    this.#entries.set(name, key);
    return key;
  }

  /** HKDF-SHA-256, RFC 5869. */
  #derive(purpose: string, salt: string | Uint8Array): Buffer {
    return Buffer.from(hkdfSync("sha256", this.#root, salt, purpose, 32));
  }
}

/** The id of the key that sealed an entry; `undefined` when that is too short for one. */
export function keyIdOf(sealed: Uint8Array): Uint8Array | undefined {
  return sealed.length < HEAD_BYTES + AUTH_TAG_BYTES ? undefined : sealed.subarray(0, ID_BYTES);
}

/** Random bytes go into HKDF as they are; a passphrase is made expensive to guess first. Its salt is fixed, since all processes must arrive at the same key. */
function rootOf(secret: EncryptionSecret): Uint8Array {
  if (typeof secret !== "string") return Uint8Array.from(secret);
  return LOOKS_RANDOM.test(secret) ? Buffer.from(secret) : scryptSync(secret.normalize("NFC"), CONTEXT, 32, SCRYPT);
}
