import type { Clock } from "../../core/clock.ts";
import { CacheMissError } from "../../core/errors.ts";
import type { CacheFacts, KindName } from "../../core/facts.ts";
import type { Answer, Call, Layer, Next } from "../../core/layer.ts";
import { collect } from "../../core/parts.ts";
import type { MemoryEntry, MemoryStore } from "../../stores/memory.ts";
import type { QuestionLog } from "./questions.ts";

export interface MemoryCacheOptions {
  readonly store: MemoryStore;
  readonly clock: Clock;
  readonly namespace: string;
  /** How long an answer of this kind is fresh, milliseconds. */
  ttlOf(kind: KindName): number;
  /** Asked before an answer is read or written. */
  wanted(call: Call): boolean;
  readonly questions: QuestionLog;
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
    }
    if (control.cache === "only") throw new CacheMissError(key);
    return undefined;
  }

  handle(call: Call, next: Next): AsyncIterable<unknown> {
    const { status, key } = call.facts.cache as CacheFacts;
    if (status !== "miss" || key === undefined) return next(call);
    let pack: ((part: unknown) => unknown) | undefined;
    return collect(
      next(call),
      (part) => {
        // A follower's parts are snapshots already.
        pack ??= call.facts.coalesced === "follower" ? (packed) => packed : call.kind.packer(call.mode);
        return pack(part);
      },
      (parts) => this.#keep(call, key, { mode: call.mode, parts }),
    );
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
    const { store, clock, namespace, questions, ttlOf } = this.#options;
    const writer = facts.leaderId ?? facts.id;
    // Of all who shared one upstream answer the first to end keeps it.
    if (facts.coalesced === "follower" && store.get(key)?.writer === writer) return;
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
      namespace,
      ...(control.tenant === undefined ? {} : { tenant: control.tenant }),
      ...(control.tags === undefined ? {} : { tags: control.tags }),
    };
    if (ttlMs > 0 && store.set(key, entry)) questions.remember(key, call.identity as string);
  }
}
