import { randomBytes } from "node:crypto";
import { LRUCache } from "lru-cache";
import { carries, isLive, nameOf, pack, unpack, type LabelledValue } from "./labelled-value.ts";
import type { Store, StoredEntry, StoredKey } from "./store.ts";

/** A backend that can neither list its items nor be trusted to keep any. */
export interface Items {
  readonly name: string;
  readonly shared: boolean;
  /** Begins the name of every item. */
  readonly prefix: string;
  read(names: readonly string[]): Promise<(Uint8Array | undefined)[]>;
  write(name: string, bytes: Uint8Array, expiresAt: number): Promise<void>;
  /** @returns whether there was one, as far as the backend can tell */
  remove(name: string): Promise<boolean>;
  /** Writes unless there is one, atomically. @returns whether it wrote; a backend that has no such command overwrites */
  add(name: string, bytes: Uint8Array): Promise<boolean>;
  /** Adds to the end of an item that is there, atomically. @returns whether it was */
  append?(name: string, bytes: Uint8Array): Promise<boolean>;
  close(): Promise<void>;
}

type Groups = readonly (readonly string[])[];

/** Of a generation, bytes; no two are ever the same. */
const TOKEN_LENGTH = 16;
/** A ledger that has grown beyond this begins again, bytes. */
const LEDGER_BYTES = 16_384;
const REMEMBERED_KEYS = 10_000;
const NOTHING = new Uint8Array(0);
const NO_KEYS: AsyncIterable<never> = { [Symbol.asyncIterator]: () => ({ next: async () => ({ done: true, value: undefined }) }) };

/**
 * A store over items that cannot be listed. Each label has a ledger: a random token, its generation, and then the conditions of
 * the invalidations by several groups that concerned it. An entry is stamped with the generation of each of its labels, and of the
 * store as a whole, and with how far it had read each ledger. It counts while every generation is still the same, and no condition
 * that came later fits it. So an invalidation by one group begins a new generation of its labels, one by several groups adds a
 * condition to the ledgers of the smallest group, and `clear` begins a new generation of the whole. A ledger that the backend has
 * dropped is a miss for all of its label's entries: never is an entry served that was invalidated.
 *
 * An invalidation may take more than it names when a condition is too long, or the backend cannot append: then all entries with
 * a label of the smallest group go. Neither can it count what it took, nor list keys.
 */
export class GenerationStore implements Store {
  readonly name: string;
  readonly shared: boolean;
  readonly #items: Items;
  // Which labels a key had last, so that their ledgers are asked for together with the entry.
  readonly #lastLabels = new LRUCache<string, readonly string[]>({ max: REMEMBERED_KEYS });

  constructor(items: Items) {
    this.name = items.name;
    this.shared = items.shared;
    this.#items = items;
  }

  async get(key: string): Promise<Uint8Array | undefined> {
    const guessed = this.#lastLabels.get(key) ?? [];
    const [bytes, ...guessedLedgers] = await this.#items.read([this.#nameFor(key), ...this.#ledgerNames(guessed)]);
    const entry = unpack(bytes);
    if (!entry || entry.key !== key || !isLive(entry)) return undefined;
    this.#lastLabels.set(key, entry.labels);
    const known = guessed.length === entry.labels.length && guessed.every((label, at) => label === entry.labels[at]);
    const ledgers = known ? guessedLedgers : await this.#items.read(this.#ledgerNames(entry.labels));
    return isCurrent(entry, ledgers) ? entry.value : undefined;
  }

  async set(key: string, { value, expiresAt, labels }: StoredEntry): Promise<void> {
    if (expiresAt <= Date.now()) return void (await this.#items.remove(this.#nameFor(key)));
    const own = [...new Set(labels)];
    // Copied at once: the bytes are the caller's, and the ledgers are still to be read.
    const held = Uint8Array.from(value);
    const stamps = (await openLedgers(this.#items, this.#ledgerNames(own))).map(stampOf);
    this.#lastLabels.set(key, own);
    await this.#items.write(this.#nameFor(key), pack({ key, expiresAt, labels: own, stamps }, held), expiresAt);
  }

  async delete(keys: readonly string[]): Promise<number> {
    const removed = await Promise.all([...new Set(keys)].map((key) => this.#items.remove(this.#nameFor(key))));
    return removed.filter(Boolean).length;
  }

  /** @returns 0: what goes is not known */
  async invalidate(groups: Groups): Promise<number> {
    await invalidate(this.#items, groups);
    return 0;
  }

  clear(): Promise<void> {
    return renew(this.#items, allName(this.#items));
  }

  keys(): AsyncIterable<StoredKey> {
    return NO_KEYS;
  }

  close(): Promise<void> {
    return this.#items.close();
  }

  #nameFor(key: string): string {
    return `${this.#items.prefix}e.${nameOf(key)}`;
  }

  #ledgerNames(labels: readonly string[]): string[] {
    return [allName(this.#items), ...labels.map((label) => ledgerName(this.#items, label))];
  }
}

/** Of the ledger that concerns every entry. */
function allName({ prefix }: Items): string {
  return `${prefix}all`;
}

function ledgerName({ prefix }: Items, label: string): string {
  return `${prefix}g.${nameOf(label)}`;
}

/** How far an entry has read a ledger: its generation, and its length in bytes. */
function stampOf(ledger: Uint8Array): string {
  return `${tokenOf(ledger)}:${ledger.length}`;
}

function tokenOf(ledger: Uint8Array): string {
  return Buffer.from(ledger.subarray(0, TOKEN_LENGTH)).toString("latin1");
}

function newLedger(): Buffer {
  return Buffer.from(randomBytes(TOKEN_LENGTH).toString("base64url").slice(0, TOKEN_LENGTH));
}

function isCurrent({ labels, stamps = [] }: LabelledValue, ledgers: readonly (Uint8Array | undefined)[]): boolean {
  return ledgers.length === stamps.length && ledgers.every((ledger = NOTHING, at) => {
    const [token, length] = (stamps[at] as string).split(":");
    if (ledger.length < TOKEN_LENGTH || tokenOf(ledger) !== token || ledger.length < Number(length)) return false;
    return !conditions(ledger.subarray(Number(length))).some((groups) => groups === undefined || carries(labels, groups));
  });
}

/** The conditions in a part of a ledger; `undefined` stands for one that cannot be read. */
function conditions(part: Uint8Array): (Groups | undefined)[] {
  return Buffer.from(part).toString("utf8").split("\n").filter((line) => line !== "").map((line) => {
    try {
      return JSON.parse(line) as Groups;
    } catch {
      return undefined;
    }
  });
}

/** The ledgers as they are, each begun if need be. @throws when the backend does not keep them even for a moment */
async function openLedgers(items: Items, names: readonly string[]): Promise<Uint8Array[]> {
  const found = await items.read(names);
  return Promise.all(names.map(async (name, at) => {
    let ledger = found[at];
    for (let attempt = 0; attempt < 3; attempt++) {
      if (ledger && ledger.length >= TOKEN_LENGTH && ledger.length <= LEDGER_BYTES) return ledger;
      const fresh = newLedger();
      if (ledger) await items.write(name, fresh, Infinity);
      if (ledger || (await items.add(name, fresh))) return fresh;
      [ledger] = await items.read([name]);
    }
    throw new Error(`${items.name} does not keep what is written to it.`);
  }));
}

async function renew(items: Items, name: string): Promise<void> {
  await items.write(name, newLedger(), Infinity);
}

async function invalidate(items: Items, groups: Groups): Promise<void> {
  if (groups.some((group) => group.length === 0)) return;
  if (groups.length === 0) return renew(items, allName(items));
  const smallest = groups.reduce((least, group) => (group.length < least.length ? group : least));
  const names = [...new Set(smallest)].map((label) => ledgerName(items, label));
  const condition = Buffer.from(`${JSON.stringify(groups)}\n`);
  const { append } = items;
  if (groups.length === 1 || !append || condition.length > LEDGER_BYTES / 4) {
    await Promise.all(names.map((name) => renew(items, name)));
    return;
  }
  // Where there is no ledger no entry counts. A ledger that is full begins again.
  await Promise.all(names.map((name) => append.call(items, name, condition).catch(() => renew(items, name))));
}
