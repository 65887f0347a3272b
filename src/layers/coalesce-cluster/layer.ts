import { ignore, raceAbort } from "../../core/abort.ts";
import { Circuit } from "../../core/circuit.ts";
import type { Clock } from "../../core/clock.ts";
import { withDeadline } from "../../core/deadline.ts";
import { StreamInterruptedError } from "../../core/errors.ts";
import type { Call, Layer, Mode, Next } from "../../core/layer.ts";
import type { FrameSealer, Joined, Lease, Leases, LiveAnswer } from "../../stores/leases.ts";
import { follow, type Ending } from "./follow.ts";
import { Publisher, type Asked, type Resumable } from "./publisher.ts";

export interface ClusterCoalesceOptions {
  readonly leases: Leases;
  readonly sealer: FrameSealer;
  readonly clock: Clock;
  /** Whoever learns nothing in this time asks upstream by himself, milliseconds. */
  readonly timeoutMs: number;
  /** How long a whole answer of this call is surely fresh, milliseconds: for that time, and at most half a minute, newcomers may have it. */
  freshMs(call: Call): number;
  /** Takes in work that should end before the process does. */
  waitUntil(work: Promise<unknown>): void;
  /** Hears of every failure of the leases. */
  failed(error: unknown): void;
}

type IsConcerned = (asked: Asked, hasUnknownTags?: boolean) => boolean;

/** A larger answer is not shared with other processes. */
const MAX_BYTES = 8 * 2 ** 20;
/** Whom so many leaders have left asks by himself: they fail one after another, and he has waited for each. */
const MAX_LEADERS = 3;
/** So many can be withdrawn when something is invalidated. Processes that hear of it themselves need no such help. */
const MAX_RESUMABLE = 1_000;
const RESUMABLE_MS = 30_000;
/** So many invalidations are told apart; the one before them is taken to concern every call. */
const MAX_RETIRED = 1_000;
const CLOSE_TIMEOUT_MS = 1_000;

/**
 * Lets equal calls of several processes share one upstream call: one process leads, by a lease, and the others follow its answer part by part. A leader that dies
 * is followed by another, and where there are no leases to be had everybody asks by himself. Innermost, so that only the leader of each process comes here.
 */
export class ClusterCoalesce implements Layer {
  readonly name = "coalesce.cluster";
  readonly #options: ClusterCoalesceOptions;
  readonly #circuit: Circuit;
  readonly #publishers = new Set<Publisher>();
  /** Whole answers that newcomers may still come upon, the oldest first. */
  readonly #resumable = new Map<Lease, Resumable>();
  /** What was invalidated of late and when, by the monotonic clock; the oldest first. */
  readonly #retired: { readonly isConcerned: IsConcerned; readonly at: number }[] = [];
  #forgottenAt = -Infinity;

  constructor(options: ClusterCoalesceOptions) {
    this.#options = options;
    this.#circuit = new Circuit({ clock: options.clock });
  }

  /** Answers under way that others may follow. */
  get size(): number {
    return this.#publishers.size;
  }

  /** Something was invalidated: what was asked for before, and may be concerned, answers nobody who asks from now on. */
  retire(isConcerned: IsConcerned): void {
    this.#retired.push({ isConcerned, at: this.#options.clock.elapsed() });
    if (this.#retired.length > MAX_RETIRED) this.#forgottenAt = this.#retired.shift()?.at ?? this.#forgottenAt;
    for (const publisher of this.#publishers) publisher.retire(isConcerned);
    for (const [lease, { asked, withdraw }] of this.#resumable) {
      if (!isConcerned(asked)) continue;
      this.#resumable.delete(lease);
      withdraw().catch(this.#options.failed);
    }
  }

  /** When something was last invalidated that may concern what others answer to a call. */
  #retiredAt(asked: Asked): number {
    return this.#retired.findLast(({ isConcerned }) => isConcerned(asked, true))?.at ?? this.#forgottenAt;
  }

  /** Gives up what is under way, so that other processes need not wait, and delivers what is whole. */
  async close(): Promise<void> {
    const open = [...this.#publishers];
    for (const publisher of open) publisher.release();
    await withDeadline(Promise.all(open.map(({ ended }) => ended)), CLOSE_TIMEOUT_MS, "shared answers were not delivered in time").catch(this.#options.failed);
  }

  handle(call: Call, next: Next): AsyncIterable<unknown> {
    const key = leaseKey(call);
    // Redis has just failed this very call; or another process's leader may wait for a place that the request around this call holds.
    if (key === undefined || call.isNested || call.facts.cache?.failedTiers?.includes("redis")) return next(call);
    return this.#share(call, key, next);
  }

  async *#share(call: Call, key: string, next: Next): AsyncGenerator<unknown> {
    const { facts } = call;
    const before = facts.coalesced;
    for (let leaders = 0; leaders < MAX_LEADERS; leaders += 1) {
      const joined = await this.#join(call, key);
      if (joined.role === "alone") break;
      if (joined.role === "leader") return yield* this.#lead(call, key, joined.lease, next);
      let given = 0;
      const following = this.#follow(call, key, joined.live);
      let ending: Ending;
      try {
        let step = await following.next();
        for (; !step.done; step = await following.next()) {
          given += 1;
          yield step.value;
        }
        ending = step.value;
      } finally {
        await following.return("lost");
      }
      if (ending === "done") return;
      if (given > 0) throw new StreamInterruptedError(given, "What this stream came from, another process or the way to it,");
      facts.coalesced = before;
      facts.leaderId = undefined;
      if (facts.cache) delete facts.cache.ageMs;
      if (ending !== "gone") break;
    }
    yield* next(call);
  }

  async *#lead(call: Call, key: string, lease: Lease, next: Next): AsyncGenerator<unknown> {
    const { sealer, failed, waitUntil, freshMs } = this.#options;
    const publisher = new Publisher({ call, key, lease, sealer, failed, waitUntil, maxBytes: MAX_BYTES });
    this.#publishers.add(publisher);
    void publisher.ended.then((resumable) => {
      this.#publishers.delete(publisher);
      if (resumable) this.#remember(lease, resumable);
    });
    call.facts.coalesced ??= "leader";
    // Whoever leaves a stalled stream is heard of at once: its `return` waits for the part that does not come.
    call.signal?.addEventListener("abort", publisher.release, { once: true });
    try {
      for await (const part of next(call)) {
        publisher.add(part);
        yield part;
      }
      publisher.done(Math.min(RESUMABLE_MS, freshMs(call)));
    } finally {
      call.signal?.removeEventListener("abort", publisher.release);
      publisher.release();
    }
  }

  #remember(lease: Lease, resumable: Resumable): void {
    const now = performance.now();
    for (const [oldest, { until }] of this.#resumable) {
      if (until > now && this.#resumable.size < MAX_RESUMABLE) break;
      this.#resumable.delete(oldest);
    }
    this.#resumable.set(lease, resumable);
  }

  /** Snapshots of another process's parts, in this call's own mode. */
  async *#follow(call: Call, key: string, live: LiveAnswer): AsyncGenerator<unknown, Ending> {
    call.facts.coalesced = "follower";
    call.facts.leaderId = live.leaderId;
    if (live.ageMs > 0 && call.facts.cache) call.facts.cache.ageMs = live.ageMs;
    call.backend.elsewhere?.();
    const { sealer, failed } = this.#options;
    const parts = follow({ call, key, live, sealer, failed });
    if (live.mode === call.mode && call.mode !== "invoke") return yield* parts;
    const collected: unknown[] = [];
    let step = await parts.next();
    for (; !step.done; step = await parts.next()) collected.push(step.value);
    if (step.value === "done") yield* call.kind.convert({ mode: live.mode as Mode, parts: collected }, call.mode);
    return step.value;
  }

  /** Never rejects, but with the call's own abort. */
  async #join(call: Call, key: string): Promise<Joined> {
    const { leases, timeoutMs, failed, clock } = this.#options;
    if (!this.#circuit.allows()) return ALONE;
    const retiredAt = this.#retiredAt(call);
    const joining = leases.join(key, { id: call.facts.id, mode: call.mode, maxAgeMs: clock.elapsed() - retiredAt });
    let wanted = true;
    // What comes too late is given back: nobody would answer for it.
    void joining.then((joined) => void (!wanted && joined.role === "leader" && joined.lease.release().catch(failed)), ignore);
    try {
      const joined = await raceAbort(withDeadline(joining, timeoutMs, `no lease within ${timeoutMs} ms`), call.signal);
      this.#circuit.succeeded();
      // Whom one was about to follow may have become out of date meanwhile.
      return joined.role === "follower" && this.#retiredAt(call) !== retiredAt ? ALONE : joined;
    } catch (error) {
      wanted = false;
      if (call.signal?.aborted) throw error;
      this.#circuit.failed();
      failed(error);
      return ALONE;
    }
  }
}

const ALONE: Joined = { role: "alone" };

/** A refresh wants an answer from upstream, so it shares with other refreshes alone. */
function leaseKey({ key, local, held, control }: Call): string | undefined {
  if (key === undefined || local || held.includes(key) || control.cache === "only") return undefined;
  return control.cache === "refresh" ? `${key}:refresh` : key;
}
