import { OptionError } from "../../core/errors.ts";
import { DerivedKeys, type EncryptionSecret } from "./encryption.ts";

/** The key to write with, or that and those before it, which are only read with. */
export type EncryptionKey = EncryptionSecret | { readonly current: EncryptionSecret; readonly previous?: readonly EncryptionSecret[] | undefined };

export interface SealOptions {
  /**
   * Encrypts everything that leaves the process, with AES-256-GCM. 32 random bytes or more, as bytes or as text (`openssl rand -base64 32`),
   * or a passphrase of at least 16 characters, which takes about 0.2 s at start. Entries that are not encrypted are no longer read.
   * To change the key, make it `current` and keep the one before among `previous` for as long as its entries may live: they stay
   * readable, and nothing more is written with it. Absent = no encryption.
   */
  readonly encryptionKey?: EncryptionKey | undefined;
  /** Answers of more bytes are compressed (zstd, level 1). Absent = none is. */
  readonly compressAboveBytes?: number | undefined;
}

const MIN_KEY_BYTES = 32;
const MIN_PASSPHRASE_CHARACTERS = 16;
const WANTED = `at least ${MIN_KEY_BYTES} bytes, or a text of at least ${MIN_PASSPHRASE_CHARACTERS} characters`;

/** The keys to read with, the one to write with first; none without encryption. Errors show no part of a key. */
export function readEncryptionKeys(path: string, raw: unknown): readonly DerivedKeys[] {
  if (raw === undefined) return [];
  if (typeof raw !== "object" || raw === null || raw instanceof Uint8Array) return [readKey(path, raw)];
  const { current, previous = [], ...unknown } = raw as { readonly current?: unknown; readonly previous?: unknown };
  for (const name of Object.keys(unknown)) throw new OptionError(`${path}.${name}`, "one of the known options (current, previous)", "a value that is not shown");
  if (!Array.isArray(previous)) throw new OptionError(`${path}.previous`, "an array of keys", shown(previous));
  const keys = [readKey(`${path}.current`, current), ...previous.map((secret, at) => readKey(`${path}.previous[${at}]`, secret))];
  return keys.filter((key, at) => keys.findIndex(({ id }) => id.equals(key.id)) === at);
}

function readKey(path: string, secret: unknown): DerivedKeys {
  const isKey = secret instanceof Uint8Array && secret.length >= MIN_KEY_BYTES;
  const isText = typeof secret === "string" && secret.trim().length >= MIN_PASSPHRASE_CHARACTERS;
  if (!isKey && !isText) throw new OptionError(path, WANTED, shown(secret));
  return new DerivedKeys(secret);
}

function shown(secret: unknown): unknown {
  if (typeof secret === "string") return `a text of ${secret.length} characters`;
  return secret instanceof Uint8Array ? `${secret.length} bytes` : secret;
}
