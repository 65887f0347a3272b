import { digest } from "../core/key.ts";

/** What travels with a value in a store that knows keys and bytes alone. */
export interface LabelledHead {
  /** The entry's own key: names of items are hashed, cut and folded on their way. */
  readonly key: string;
  /** Milliseconds since the epoch. */
  readonly expiresAt: number;
  readonly labels: readonly string[];
  /** How each label stood when the entry was written; see `generations.ts`. */
  readonly stamps?: readonly string[];
}

export interface LabelledValue extends LabelledHead {
  readonly value: Uint8Array;
}

/** Names the format and its version: what begins otherwise is not ours. */
const MARK = Buffer.from("LPv1");
const HEAD_AT = MARK.length + 8;
const PLAIN = /^[a-z0-9_-]{1,100}$/;

/**
 * Layout: mark, length of the head and of the value (4 bytes each, big-endian), the head as JSON, the value.
 * The lengths are there because some backends cut what is too long for them.
 */
export function pack(head: LabelledHead, value: Uint8Array): Buffer {
  const { key, expiresAt, labels, stamps } = head;
  const text = Buffer.from(JSON.stringify({ key, expiresAt: expiresAt === Infinity ? null : expiresAt, labels, stamps }));
  const lengths = Buffer.alloc(8);
  lengths.writeUInt32BE(text.length, 0);
  lengths.writeUInt32BE(value.length, 4);
  return Buffer.concat([MARK, lengths, text, value]);
}

/** What `pack` was given; `undefined` for anything else, e.g. foreign, damaged or cut values. The value's bytes are a copy. */
export function unpack(packed: unknown): LabelledValue | undefined {
  if (!(packed instanceof Uint8Array) || packed.length < HEAD_AT) return undefined;
  const bytes = Buffer.from(packed.buffer, packed.byteOffset, packed.length);
  if (!bytes.subarray(0, MARK.length).equals(MARK)) return undefined;
  const valueAt = HEAD_AT + bytes.readUInt32BE(MARK.length);
  if (bytes.length !== valueAt + bytes.readUInt32BE(MARK.length + 4)) return undefined;
  try {
    const head = JSON.parse(bytes.toString("utf8", HEAD_AT, valueAt)) as Record<string, unknown>;
    const { key, expiresAt, labels, stamps } = head;
    if (typeof key !== "string" || !isStrings(labels) || !(stamps === undefined || isStrings(stamps))) return undefined;
    if (expiresAt !== null && typeof expiresAt !== "number") return undefined;
    return { key, expiresAt: expiresAt ?? Infinity, labels, ...(stamps ? { stamps } : {}), value: Uint8Array.from(bytes.subarray(valueAt)) };
  } catch {
    return undefined;
  }
}

export function isLive({ expiresAt }: LabelledHead): boolean {
  return expiresAt > Date.now();
}

/** Whether an entry with these labels carries at least one of each group. */
export function carries(labels: readonly string[], groups: readonly (readonly string[])[]): boolean {
  return groups.every((group) => group.some((label) => labels.includes(label)));
}

/** A text as a part of an item's name that any backend takes and keeps apart from others, even one that folds case. */
export function nameOf(text: string): string {
  return PLAIN.test(text) ? `k-${text}` : `h-${digest(text)}`;
}

function isStrings(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((item) => typeof item === "string");
}
