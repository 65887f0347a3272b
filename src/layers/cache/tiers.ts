import type { Clock } from "../../core/clock.ts";
import { withDeadline } from "../../core/deadline.ts";
import type { CacheEntry } from "../../core/entry.ts";
import { callCount, nextCallId, type TierName } from "../../core/facts.ts";
import type { Call, Kind } from "../../core/layer.ts";
import { decodeAnswer, encodeAnswer } from "../../core/wire/answer.ts";
import type { Bus, Invalidation, Position } from "../../stores/bus.ts";
import type { MemoryStore } from "../../stores/memory.ts";
import type { StoredEntry } from "../../stores/store.ts";
import type { PendingWrite } from "./backlog.ts";
import type { FarTier } from "./far-tier.ts";
import { Invalidations } from "./invalidations.ts";
import { labelsOf, matcherOf } from "./labels.ts";
import { meantBy, written } from "./meant.ts";
import { SealError, type EntryMeta, type EntrySpace, type Sealer } from "./seal.ts";
import { SentWrites } from "./sent.ts";

export interface TiersOptions {
  readonly memory: MemoryStore | undefined;
  /** The nearest first. */
  readonly far: readonly FarTier[];
  readonly bus: Bus | undefined;
  readonly sealer: Sealer;
  readonly clock: Clock;
  readonly namespace: string;
  /** A larger entry stays in this process, bytes. */
  readonly maxEntryBytes: number;
  kindOf(name: string): Kind | undefined;
  /** Hears of each invalidation, of this process and of others. */
  forgotten(invalidation: Invalidation): void;
}

/** An invalidation waits so long for its place in the order of all; after that it is on its way. */
const PUBLISH_TIMEOUT_MS = 1_000;
/** Whoever invalidates waits so long for the stores' counts. */
const ERASE_WAIT_MS = 2_000;
const MAX_OWN = 10_000;

/** An entry and where it was found. */
export interface Found {
  readonly entry: CacheEntry;
  readonly tier: TierName;
}

/** Where the cache keeps its entries: in this process, and behind it in stores that outlive it. */
export class Tiers {
  readonly memory: MemoryStore | undefined;
  readonly far: readonly FarTier[];
  readonly invalidations = new Invalidations();
  readonly #options: TiersOptions;
  /** Invalidations of this process that it has not heard of itself yet. */
  readonly #own = new Set<string>();
  readonly #sent = new SentWrites((invalidation, write) => {
    for (const tier of this.far) if (tier.store.shared) void tier.erase(invalidation, write ? written(write, this.#options.sealer) : meantBy(invalidation, this.#options.sealer));
  });

  constructor(options: TiersOptions) {
    this.#options = options;
    this.memory = options.memory;
    this.far = options.far;
  }

  /** What memory has under a key, if anybody could still want it. */
  near(key: string): CacheEntry | undefined {
    const entry = this.memory?.get(key);
    // One that is past its time keeps its place: the answer that is fetched now will replace it.
    return entry && entry.usableUntil > this.#options.clock.now() ? entry : undefined;
  }

  /**
   * The first entry behind memory that may be given at once; else one for when the model fails, in memory or behind. What is found is
   * copied to the tiers before it.
   */
  async find(call: Call, key: string): Promise<{ found: Found | undefined; failed: TierName[] }> {
    const near = this.memory?.peek(key);
    let found: Found | undefined = near && near.usableUntil > this.#options.clock.now() ? { entry: near, tier: "memory" } : undefined;
    const failed: TierName[] = [];
    if (call.local) return { found, failed };
    const space = { namespace: this.#options.namespace, tenant: call.control.tenant };
    for (const [at, tier] of this.far.entries()) {
      const read = await this.read(tier, key, space, call.number);
      if (read.failed) failed.push(tier.name);
      if (!read.entry) continue;
      if (!found || read.entry.usableUntil > found.entry.usableUntil) found = { entry: read.entry, tier: tier.name };
      if (read.entry.staleUntil <= this.#options.clock.now()) continue;
      this.#copyBefore(at, key, read.entry);
      break;
    }
    return { found, failed };
  }

  /** The entry under a key in the nearest tier that has it. */
  async locate(key: string): Promise<Found | undefined> {
    const near = this.memory?.peek(key);
    if (near && near.usableUntil > this.#options.clock.now()) return { entry: near, tier: "memory" };
    for (const tier of this.far) {
      const { entry } = await this.read(tier, key, undefined);
      if (entry) return { entry, tier: tier.name };
    }
    return undefined;
  }

  /** One tier's entry; whatever is wrong with it makes it a miss. @param space where the key belongs, if that is known */
  async read(tier: FarTier, key: string, space: EntrySpace | undefined, reader = readerNumber()): Promise<{ entry: CacheEntry | undefined; failed: boolean }> {
    const { value, failed, waiting } = await tier.get(key);
    if (!value) return { entry: undefined, failed };
    try {
      const { meta, payload } = this.#options.sealer.open(key, space, value);
      if (meta.usableUntil <= this.#options.clock.now() || this.#isInvalid(waiting ? undefined : tier, key, meta, reader)) return { entry: undefined, failed };
      if (this.#cameLate(key, meta)) {
        // This process remembers for a while what it is invalid by; others, and this one later, would take it for good.
        void tier.erase({ groups: [], key });
        return { entry: undefined, failed };
      }
      return { entry: this.#revive(key, meta, payload, reader), failed };
    } catch (error) {
      // Another format is no fault: processes of two versions share a store while one replaces the other.
      if (!(error instanceof SealError && error.reason === "version")) tier.report("decode", error);
      return { entry: undefined, failed };
    }
  }

  /** Keeps an answer in every tier that can have it, unless it has become invalid since it was asked for. @returns whether it was kept */
  keep(key: string, entry: CacheEntry, local: boolean): boolean {
    if (this.invalidations.concern(entry.asked, key, () => this.#labels(entry))) return false;
    this.memory?.set(key, entry);
    if (!local) for (const tier of this.far) tier.write(key, this.#pending(tier, key, entry));
    return true;
  }

  /** Copies an entry to memory, unless it has become invalid since it was read. */
  copyToMemory(key: string, entry: CacheEntry): void {
    if (!this.invalidations.concern(entry.asked, key, () => this.#labels(entry))) this.memory?.set(key, entry);
  }

  /** Begins to hear of what other processes invalidate. @param since how far a store of this machine alone has heard of it */
  listen(since?: Position): void {
    this.#options.bus?.start(
      {
        invalidated: (invalidation, position, ageMs) => {
          if (this.#own.delete(invalidation.id ?? "")) return this.invalidations.placed(invalidation, position);
          const lastCall = this.invalidations.add(invalidation, position, ageMs);
          this.#drop(invalidation, ({ asked, known }) => (known?.epoch === position.epoch ? known.seq < position.seq : asked <= lastCall));
          for (const tier of this.far) if (!tier.store.shared) void tier.erase(invalidation, meantBy(invalidation, this.#options.sealer));
          this.#sent.heard(invalidation, position, ageMs);
        },
        // The server refuses what carries the invalidations.
        failed: (error) => this.far.find(({ name }) => name === "redis")?.report("invalidate", error),
        lost: (position) => {
          this.invalidations.lost(position);
          this.memory?.clear();
          this.invalidations.onAdd?.();
          for (const tier of this.far) if (!tier.store.shared) void tier.erase({ all: true });
        },
      },
      since,
    );
  }

  /** How far this process has heard of invalidations. */
  get position(): Position | undefined {
    return this.#options.bus?.position;
  }

  /** Forgets what an invalidation concerns, in every tier and every process. @returns entries in the tier that had most of them */
  async invalidate(what: Invalidation): Promise<number> {
    const invalidation: Invalidation = { ...what, id: nextCallId() };
    this.invalidations.add(invalidation);
    return this.#erase(invalidation);
  }

  /** Forgets entries of which only the keys are known; answers that are under way are another matter. */
  forget(keys: readonly string[]): void {
    for (const key of keys) void this.#erase({ groups: [], key, id: nextCallId() });
  }

  async #erase(invalidation: Invalidation): Promise<number> {
    const near = this.#drop(invalidation);
    const far = this.far.map((tier) => tier.erase(invalidation, meantBy(invalidation, this.#options.sealer)));
    const { bus } = this.#options;
    if (bus) {
      this.#own.add(invalidation.id as string);
      if (this.#own.size > MAX_OWN) for (const oldest of this.#own.values().take(1)) this.#own.delete(oldest);
      await bus.publish(invalidation, PUBLISH_TIMEOUT_MS);
    }
    const counts = await withDeadline(Promise.all(far), ERASE_WAIT_MS, "it goes on by itself").catch(() => []);
    return Math.max(near, ...counts);
  }

  /** Out of memory. */
  #drop(invalidation: Invalidation, isOlder: (entry: CacheEntry) => boolean = () => true): number {
    const { memory } = this;
    this.#options.forgotten(invalidation);
    if (!memory) return 0;
    const only = "all" in invalidation ? undefined : invalidation.key;
    const named = only === undefined ? undefined : memory.peek(only);
    const candidates = only === undefined ? memory.entries() : named ? [[only, named] as const] : [];
    const matches = matcherOf(invalidation, this.#options.sealer);
    const doomed: string[] = [];
    for (const [key, entry] of candidates) if (matches(entry) && isOlder(entry)) doomed.push(key);
    for (const key of doomed) memory.delete(key);
    return doomed.length;
  }

  async flush(): Promise<void> {
    this.#sent.eraseNow();
    await Promise.all(this.far.map((tier) => tier.flush()));
  }

  /** Gives up what was not delivered. */
  async close(): Promise<void> {
    await Promise.all([this.#options.bus?.close(), ...this.far.map((tier) => tier.close())]);
    this.memory?.clear();
  }

  #copyBefore(at: number, key: string, entry: CacheEntry): void {
    // Meanwhile a refresh may have brought a newer one.
    const near = this.memory?.peek(key);
    if (near && near.storedAt > entry.storedAt) return;
    this.copyToMemory(key, entry);
    for (const tier of this.far.slice(0, at)) tier.write(key, this.#pending(tier, key, entry));
  }

  /** @param tier where it was read; `undefined` = it waits to be written, after all erasures that wait */
  #isInvalid(tier: FarTier | undefined, key: string, meta: EntryMeta, reader: number): boolean {
    const labels = (): readonly string[] => this.#labels(meta);
    if (this.invalidations.concern(reader, key, labels, meta.position) || tier?.isErased(key, labels())) return true;
    const now = this.#options.bus?.position;
    if (!now) return false;
    // Its writer had heard of no place yet: nobody knows what else it had not heard of.
    if (!meta.position) return this.invalidations.concern(0, key, labels);
    // Redis has lost its log of invalidations and still has the entry: nobody knows what became invalid in between.
    return meta.position.epoch !== now.epoch && tier?.name === "redis";
  }

  /** Whether it was written by one who had not heard yet of an invalidation that concerns it. */
  #cameLate(key: string, meta: EntryMeta): boolean {
    const now = this.#options.bus?.position;
    return meta.position !== undefined && meta.position.epoch === now?.epoch && this.invalidations.concernWritten(meta.position, meta.storedAt, key, () => this.#labels(meta));
  }

  #revive(key: string, meta: EntryMeta, payload: Uint8Array, reader: number): CacheEntry | undefined {
    const kind = this.#options.kindOf(meta.kind);
    if (!kind) return undefined;
    const answer = decodeAnswer(kind.codec, payload);
    const { model, storedAt, freshUntil, staleUntil, usableUntil, namespace, tenant, tags, writer = "" } = meta;
    const sizeBytes = kind.sizeOf(answer) + key.length;
    return { answer, kind: kind.name, model, storedAt, freshUntil, staleUntil, usableUntil, sizeBytes, writer, asked: reader, known: meta.position, namespace, tenant, tags };
  }

  #pending(tier: FarTier, key: string, entry: CacheEntry): PendingWrite {
    let sealed: StoredEntry | undefined;
    let epoch: string | undefined;
    const labels = this.#labels(entry);
    return {
      labels,
      since: this.#options.clock.now(),
      sizeBytes: entry.sizeBytes,
      isInvalid: () => this.invalidations.concern(entry.asked, key, () => this.#labels(entry)),
      seal: () => {
        const { position } = this;
        // Sealed in an earlier life of the order of invalidations, it would be a hit for nobody.
        if (sealed && epoch === position?.epoch) return sealed;
        epoch = position?.epoch;
        sealed = this.#seal(key, entry);
        if (sealed && this.#options.bus && tier.store.shared) this.#sent.add(key, { labels, position, writer: entry.writer, storedAt: entry.storedAt, sentAt: performance.now() });
        return sealed;
      },
    };
  }

  #seal(key: string, entry: CacheEntry): StoredEntry | undefined {
    const kind = this.#options.kindOf(entry.kind) as Kind;
    const { answer, sizeBytes: _size, asked: _asked, known: _known, model, tenant, tags, ...meta } = entry;
    const position = this.#options.bus?.position;
    const value = this.#options.sealer.seal(
      key,
      { ...meta, ...(model === undefined ? {} : { model }), ...(tenant === undefined ? {} : { tenant }), ...(tags ? { tags } : {}), ...(position ? { position } : {}) },
      encodeAnswer(kind.codec, answer),
    );
    if (value.byteLength > this.#options.maxEntryBytes) return undefined;
    return { value, expiresAt: entry.usableUntil, labels: this.#labels(entry) };
  }

  #labels(entry: { namespace: string; tenant?: string | undefined; tags?: readonly string[] | undefined }): readonly string[] {
    return labelsOf(entry, this.#options.sealer);
  }
}

/** A place among the calls for a read that is none of them: what became invalid before is no concern of it, what becomes so meanwhile is. */
function readerNumber(): number {
  nextCallId();
  return callCount();
}
