import type { Clock } from "../../core/clock.ts";
import { CacheMissError } from "../../core/errors.ts";
import type { CacheFacts, KindName } from "../../core/facts.ts";
import type { Answer, Call, Layer } from "../../core/layer.ts";
import type { MemoryEntry, MemoryStore } from "../../stores/memory.ts";
import type { Invalidations } from "./invalidations.ts";
import type { QuestionLog } from "./questions.ts";

export interface MemoryCacheOptions {
  readonly store: MemoryStore;
  readonly clock: Clock;
  readonly namespace: string;
  /** How long an answer of this kind is fresh, milliseconds. */
  ttlOf(kind: KindName): number;
  /** Whether calls like this are cached at all. */
  covers(call: Call): boolean;
  /** Asked before an answer is read or written. */
  wanted(call: Call): boolean;
  readonly questions: QuestionLog;
  readonly invalidations: Invalidations;
}

/** The cache's first tier. A hit is answered at once; every complete answer that passes is kept. */
export class MemoryCache implements Layer {
  readonly name = "cache.memory";
  readonly #options: MemoryCacheOptions;

  constructor(options: MemoryCacheOptions) {
    this.#options = options;
  }

  immediate(call: Call): Answer | undefined {
    const { facts, control } = call;
    const key = this.#options.wanted(call) ? call.key : undefined;
    if (key === undefined) {
      facts.cache = { status: "bypass" };
    } else {
      const entry = control.cache === "refresh" ? undefined : this.#fresh(key);
      if (entry) {
        facts.cache = { status: "hit", tier: "memory", ageMs: this.#options.clock.now() - entry.storedAt, key };
        return entry.answer;
      }
      facts.cache = { status: "miss", key };
      this.#options.questions.remember(key, call.identity as string);
    }
    // What is not cached at all, such as a retriever below the cached model, is not what "only" is about.
    if (control.cache === "only" && this.#options.covers(call)) throw new CacheMissError(key);
    return undefined;
  }

  answered(call: Call, answer: Answer): void {
    const { status, key } = call.facts.cache as CacheFacts;
    if (status === "miss" && key !== undefined) this.#keep(call, key, answer);
  }

  #fresh(key: string): MemoryEntry | undefined {
    const { store, clock } = this.#options;
    const entry = store.get(key);
    if (!entry || entry.expiresAt > clock.now()) return entry;
    store.delete(key);
    return undefined;
  }

  #keep(call: Call, key: string, answer: Answer): void {
    const { facts, control, kind } = call;
    const { store, clock, namespace, ttlOf, invalidations } = this.#options;
    const writer = facts.leaderId ?? facts.id;
    const before = store.get(key);
    // Of all who shared one upstream answer the first to end keeps it, under the tags of them all.
    if (facts.coalesced === "follower" && before?.writer === writer) return addTags(before, control.tags);
    // An answer that was asked for later, e.g. by a refresh, is the newer one.
    if (before && before.asked > call.number && before.expiresAt > clock.now()) return;
    const completeness = kind.completeness(answer, call.input);
    if (completeness === "partial" || completeness === "filtered") return;
    const storedAt = clock.now();
    const ttlMs = control.ttlMs ?? ttlOf(kind.name);
    const entry: MemoryEntry = {
      answer,
      kind: kind.name,
      storedAt,
      expiresAt: storedAt + ttlMs,
      sizeBytes: kind.sizeOf(answer) + key.length,
      writer,
      asked: call.number,
      namespace,
      tenant: control.tenant,
      tags: control.tags,
    };
    if (ttlMs > 0 && !invalidations.concern(call.number, key, entry)) store.set(key, entry);
  }
}

function addTags(entry: MemoryEntry, tags: readonly string[] | undefined): void {
  if (tags) entry.tags = [...new Set([...(entry.tags ?? []), ...tags])];
}
