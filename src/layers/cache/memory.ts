import type { Clock } from "../../core/clock.ts";
import type { CacheEntry } from "../../core/entry.ts";
import { CacheMissError } from "../../core/errors.ts";
import type { CallFacts } from "../../core/facts.ts";
import type { Answer, Call, Layer } from "../../core/layer.ts";
import type { HotKeys } from "./hot-keys.ts";
import type { Lifetimes } from "./lifetimes.ts";
import type { QuestionLog } from "./questions.ts";
import type { Refresher } from "./refresher.ts";
import type { Tiers } from "./tiers.ts";

export interface MemoryCacheOptions {
  readonly tiers: Tiers;
  readonly clock: Clock;
  readonly namespace: string;
  readonly lifetimes: Lifetimes;
  readonly hotKeys: HotKeys;
  /** Whether a key's misses make it hot, too: somebody wants to know what is asked for, though it is not in memory. */
  readonly countsMisses: boolean;
  readonly refresher: Refresher;
  /** A hit past this share of the time to live refreshes the entry; 1 = none does. */
  readonly eagerRefresh: number;
  /** Hits from which on a key is hot, and refreshed before it expires; Infinity = never. */
  readonly hotFrom: number;
  /** Whether there is another tier to look in. */
  readonly last: boolean;
  /** Whether calls like this are cached at all. */
  covers(call: Call): boolean;
  /** Asked before an answer is read or written. */
  wanted(call: Call): boolean;
  /** The tags that an answer gets by itself. */
  tagsOf(call: Call, answer: Answer): readonly string[] | undefined;
  readonly questions: QuestionLog;
}

/** A hot key is refreshed in the last tenth of its time. */
const HOT_SHARE = 0.9;

/** The cache's first tier. A hit is answered at once; every complete answer that passes is kept, here and in the tiers behind. */
export class MemoryCache implements Layer {
  readonly name = "cache.memory";
  readonly #options: MemoryCacheOptions;
  /** By the call that led: the tags under which its answer is kept. */
  readonly #tagsKept = new WeakMap<CallFacts, readonly string[]>();

  constructor(options: MemoryCacheOptions) {
    this.#options = options;
  }

  immediate(call: Call): Answer | undefined {
    if (call.hasItems) return undefined;
    const { facts, control } = call;
    const { last, questions, covers } = this.#options;
    const key = this.#options.wanted(call) ? call.key : undefined;
    if (key === undefined) {
      facts.cache = { status: "bypass" };
    } else {
      const answer = control.cache === "refresh" ? undefined : this.#answer(call, key);
      if (answer) return answer;
      facts.cache = { status: "miss", key };
      questions.remember(key, call.identity as string, control.tenant);
    }
    // What is not cached at all, such as a retriever below the cached model, is not what "only" is about.
    if (control.cache === "only" && (last || key === undefined) && covers(call)) throw new CacheMissError(key);
    return undefined;
  }

  answered(call: Call, answer: Answer): void {
    const { cache } = call.facts;
    if (cache?.status === "miss" && cache.key !== undefined) this.#keep(call, cache.key, answer);
  }

  #answer(call: Call, key: string): Answer | undefined {
    const { tiers, clock, hotKeys, countsMisses } = this.#options;
    const entry = tiers.near(key);
    if (entry || countsMisses) hotKeys.hit(key);
    if (!entry) return undefined;
    const now = clock.now();
    const fresh = now < entry.freshUntil;
    if (!fresh && now >= entry.staleUntil) return undefined;
    call.facts.cache = { status: fresh ? "hit" : "stale", tier: "memory", ageMs: now - entry.storedAt, key };
    if (!fresh || now >= this.#refreshFrom(key, entry)) this.#options.refresher.refresh(call, key, entry, now);
    return entry.answer;
  }

  /** When a hit refreshes the entry, though it is fresh. */
  #refreshFrom(key: string, { storedAt, freshUntil }: CacheEntry): number {
    const { eagerRefresh, hotFrom, hotKeys } = this.#options;
    const lifeMs = freshUntil - storedAt;
    const share = hotFrom !== Infinity && eagerRefresh > HOT_SHARE && hotKeys.count(key) >= hotFrom ? HOT_SHARE : eagerRefresh;
    return share < 1 ? storedAt + share * lifeMs : Infinity;
  }

  #keep(call: Call, key: string, answer: Answer): void {
    const { facts, control, kind } = call;
    const { tiers, clock, namespace, lifetimes } = this.#options;
    // Who leads here may follow another process.
    const flight = (call.leader ?? call).facts;
    const writer = flight.leaderId ?? flight.id;
    const now = clock.now();
    const before = tiers.memory?.peek(key);
    // Of all who shared one upstream answer the first to end keeps it, under the tags of them all.
    if (facts.coalesced === "follower" && before?.writer === writer) return this.#addTags(key, before, call);
    // An answer that was asked for later, e.g. by a refresh, is the newer one; not so an old one that was found behind memory.
    if (before && before.asked > call.number && before.storedAt >= facts.startedAt && before.freshUntil > now) return;
    const completeness = kind.completeness(answer, call.input);
    if (completeness === "partial" || completeness === "filtered") return;
    const { freshMs, staleMs, staleIfErrorMs } = lifetimes.of(kind.name, key, control);
    // Another process's answer may have been whole before it was asked for here.
    const storedAt = Math.min(now, flight.startedAt - (flight.cache?.ageMs ?? -Infinity));
    const freshUntil = storedAt + freshMs;
    if (freshUntil <= now) return;
    const isFollower = facts.coalesced === "follower";
    const known = isFollower ? this.#tagsKept.get(flight) : undefined;
    const tags = joined(known, joined(control.tags, this.#options.tagsOf(call, answer)));
    // Memory has not got it, the tiers behind have, under all of these tags.
    if (isFollower && known && known.length === (tags?.length ?? 0)) return;
    tiers.keep(key, {
      answer,
      kind: kind.name,
      model: facts.model,
      storedAt,
      freshUntil,
      staleUntil: freshUntil + staleMs,
      usableUntil: freshUntil + staleMs + staleIfErrorMs,
      sizeBytes: kind.sizeOf(answer) + key.length,
      writer,
      asked: call.number,
      namespace,
      tenant: control.tenant,
      tags,
    }, call.local);
    if (facts.coalesced && !tiers.memory?.peek(key)) this.#tagsKept.set(flight, tags ?? []);
  }

  #addTags(key: string, entry: CacheEntry, call: Call): void {
    const tags = joined(entry.tags, call.control.tags);
    if (tags?.length === entry.tags?.length) return;
    entry.tags = tags;
    // What was invalidated by the new tags since must not stay under the old ones.
    if (!this.#options.tiers.keep(key, entry, call.local)) this.#options.tiers.forget([key]);
  }
}

function joined(a: readonly string[] | undefined, b: readonly string[] | undefined): readonly string[] | undefined {
  return a && b ? [...new Set([...a, ...b])] : (a ?? b);
}
