import assert from "node:assert/strict";
import type { Store } from "../../stores/store.ts";

/** What a case of the store contract works with. */
export interface Subject {
  /** Open and empty. */
  readonly store: Store;
  /** Opens another instance over the same backend. */
  readonly other: (() => Promise<Store>) | undefined;
  readonly lists: boolean;
  readonly exact: boolean;
  readonly largestBytes: number;
  /** Checks a number that the store gave, as far as it can count. */
  counted(got: number, wanted: number): void;
}

export type Check = (subject: Subject) => Promise<void>;

const HOUR_MS = 3_600_000;

export const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);

/** Writes a text under a key, to last for an hour unless `expiresAt` says otherwise. */
export function put(store: Store, key: string, text: string, labels: readonly string[] = [], expiresAt = Date.now() + HOUR_MS): Promise<void> {
  return store.set(key, { value: bytesOf(text), expiresAt, labels });
}

/** Asserts that the store answers with exactly this text, or with nothing. */
export async function holds(store: Store, key: string, text: string | undefined): Promise<void> {
  const got = await store.get(key);
  assert.equal(got && new TextDecoder().decode(got), text, `wrong answer for the key ${JSON.stringify(key)}`);
}

/** Asserts which of the keys the store has an answer for; every other must be missing. */
export async function survivors(store: Store, keys: readonly string[], wanted: readonly string[]): Promise<void> {
  const found = await Promise.all(keys.map(async (key) => (await store.get(key)) !== undefined));
  assert.deepEqual(keys.filter((_, at) => found[at]), wanted);
}

/** Asserts that these bytes are the wanted ones, without printing a megabyte when they are not. */
export function sameBytes(got: Uint8Array | undefined, wanted: Uint8Array): void {
  assert.ok(got instanceof Uint8Array, `wanted ${wanted.length} bytes, got ${String(got)}`);
  assert.equal(got.length, wanted.length, "wrong number of bytes");
  assert.ok(Buffer.compare(got, wanted) === 0, `the bytes differ at ${wanted.findIndex((byte, at) => got[at] !== byte)}`);
}

/** All keys that the store lists, sorted. */
export async function listed(store: Store): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of store.keys()) keys.push(key);
  return keys.sort();
}
