import { ignore, linkAbort, type LinkedAbort } from "../core/abort.ts";
import { DEFAULT_PRIORITY, type CallControl } from "../core/control.ts";
import { DeadlineError } from "../core/errors.ts";
import type { Call, Layer, Next } from "../core/layer.ts";
import { fromNext, orItself } from "../core/parts.ts";

/** One reader of a flight, and where it stands. */
interface Reader {
  readonly call: Call;
  readonly parts: readonly unknown[];
  readonly onAbort: () => void;
  at: number;
  /** Kept beside the signal: asking an AbortSignal takes as long as all else that is done for a part. */
  aborted: boolean;
  /** Set while the reader waits for a part. */
  waiting: { resolve(result: IteratorResult<unknown>): void; reject(error: unknown): void } | undefined;
}

/** Stands for a part that can be the leader's alone. */
const UNCOPIABLE = Symbol("uncopiable");

/** An upstream call that is under way, and everything that it gave so far. */
class Flight {
  readonly leader: Call;
  /** Snapshots of all parts, for those who join; the leader has the originals. */
  readonly kept: unknown[] = [];
  readonly #originals: unknown[] = [];
  readonly #abort: LinkedAbort = linkAbort();
  readonly #readers = new Set<Reader>();
  readonly #landed: () => void;
  #source: AsyncIterator<unknown> | undefined;
  #end: { error?: unknown } | undefined;
  #followed = false;
  /** Every reader has gone before the end. */
  #deserted = false;

  /** @param landed called when the flight can no longer be joined */
  constructor(leader: Call, landed: () => void) {
    this.leader = leader;
    this.#landed = landed;
  }

  /** Reads the upstream call to its end at its own pace; errors go to the readers. */
  fly(next: Next): void {
    const { kind, mode } = this.leader;
    // What a layer below found in a store, or heard from another process, are snapshots already.
    const packed = orItself(kind.packer(mode));
    const pack = (part: unknown): unknown => {
      if (this.leader.served || this.leader.facts.coalesced === "follower") return part;
      return kind.copiable?.(part) === false ? UNCOPIABLE : packed(part);
    };
    const failed = (error: unknown): void => this.#land({ error });
    const hear = (result: IteratorResult<unknown>): void => {
      if (result.done) return this.#land({});
      if (this.#deserted) return;
      // The one part of an `invoke` comes last: nobody can join after it, and for the leader alone no snapshot is needed.
      if (mode === "invoke") this.#landed();
      if (mode !== "invoke" || this.#followed) this.kept.push(pack(result.value));
      this.#originals.push(result.value);
      this.#feedAll();
      pull();
    };
    // A layer or a model may throw instead of giving a promise.
    const pull = (): void => {
      try {
        this.#source ??= next(this.leader.with({ signal: this.#abort.signal }))[Symbol.asyncIterator]();
        this.#source.next().then(hear, failed);
      } catch (error) {
        failed(error);
      }
    };
    pull();
  }

  #land(end: { error?: unknown }): void {
    this.#end = end;
    this.#landed();
    this.#feedAll();
  }

  /** Whether an invalidation may concern the answer, by any of the calls that share it. */
  isConcerned(by: (call: Call, hasUnknownTags?: boolean) => boolean): boolean {
    const isElsewheres = this.leader.facts.leaderId !== undefined;
    return by(this.leader, isElsewheres) || this.#readers.values().some(({ call }) => by(call));
  }

  /** The originals, for the call that pays. */
  lead(): AsyncIterable<unknown> {
    return this.#read(this.#originals, this.leader);
  }

  /** Snapshots of every part from the first on, for a call that shares. */
  follow(call: Call): AsyncIterable<unknown> {
    this.#followed = true;
    return this.#read(this.kept, call);
  }

  /** Each reader at its own pace; the last one to leave aborts the upstream call. */
  #read(parts: readonly unknown[], call: Call): AsyncIterable<unknown> {
    const { signal } = call;
    const onAbort = (): void => {
      reader.aborted = true;
      this.#feed(reader);
    };
    const reader: Reader = { call, parts, at: 0, aborted: signal?.aborted === true, waiting: undefined, onAbort };
    signal?.addEventListener("abort", reader.onAbort, { once: true });
    this.#readers.add(reader);
    return fromNext(
      () =>
        new Promise((resolve, reject) => {
          reader.waiting = { resolve, reject };
          this.#feed(reader);
        }),
      () => this.#leave(reader),
    );
  }

  /** Gives a waiting reader what there is for it: a part, the end, or its own abort. */
  #feed(reader: Reader): void {
    const { waiting, parts, aborted } = reader;
    if (!waiting) return;
    if (!aborted && reader.at < parts.length) {
      reader.waiting = undefined;
      const value = parts[reader.at];
      // Read once, and then the reader's alone: a stream's parts should not grow old together.
      if (parts === this.#originals) this.#originals[reader.at] = undefined;
      reader.at += 1;
      if (value !== UNCOPIABLE) return waiting.resolve({ done: false, value });
      this.#leave(reader);
      waiting.reject(UNCOPIABLE);
    } else if (aborted || this.#end) {
      reader.waiting = undefined;
      this.#leave(reader);
      if (aborted) waiting.reject(reader.call.signal?.reason);
      else if (this.#end && "error" in this.#end) waiting.reject(this.#end.error);
      else waiting.resolve({ done: true, value: undefined });
    }
  }

  #feedAll(): void {
    for (const reader of this.#readers) this.#feed(reader);
  }

  #leave(reader: Reader): void {
    const { call: { signal }, onAbort } = reader;
    if (!this.#readers.delete(reader)) return;
    signal?.removeEventListener("abort", onAbort);
    if (this.#readers.size > 0 || this.#end) return;
    this.#landed();
    this.#deserted = true;
    this.#abort.abort(signal?.aborted ? signal.reason : new DOMException("Every caller of this shared call has gone.", "AbortError"));
    // For an upstream that does not hear its signal.
    Promise.resolve(this.#source?.return?.()).catch(ignore);
  }
}

/** Lets equal calls that are under way at the same time share one upstream call, streams too. */
export class Coalesce implements Layer {
  readonly name = "coalesce";
  readonly #flights = new Map<string, Flight>();

  /** Upstream calls under way that can be joined. */
  get size(): number {
    return this.#flights.size;
  }

  /** Lets nobody join the calls under way that an invalidation may concern: what they bring is out of date. */
  retire(isConcerned: (call: Call, hasUnknownTags?: boolean) => boolean): void {
    for (const [key, flight] of this.#flights) if (flight.isConcerned(isConcerned)) this.#flights.delete(key);
  }

  handle(call: Call, next: Next): AsyncIterable<unknown> {
    const key = flightKey(call);
    if (key === undefined) return next(call);
    const flight = this.#flights.get(key);
    if (!flight || mustPass(call, flight.leader)) return this.#lead(call, key, next);
    const isBound = call.origin === flight.leader.origin && !call.kind.copiable && !mayWaitLonger(call, flight.leader);
    return isBound ? follow(call, flight) : followOrAsk(call, flight, next);
  }

  #lead(call: Call, key: string, next: Next): AsyncIterable<unknown> {
    const flight = new Flight(call, () => {
      if (this.#flights.get(key) === flight) this.#flights.delete(key);
    });
    this.#flights.set(key, flight);
    call.facts.coalesced = "leader";
    if (call.mode !== "invoke") call.snapshots = flight.kept;
    const parts = flight.lead();
    flight.fly(next);
    return parts;
  }
}

/** A refresh wants an answer from upstream, and who asks the cache only wants none from there: each shares with its like alone. */
function flightKey(call: Call): string | undefined {
  const { key, control } = call;
  if (key === undefined || call.held.includes(key)) return undefined;
  return control.cache === "use" ? key : `${key}:${control.cache}`;
}

function follow(call: Call, flight: Flight): AsyncIterable<unknown> {
  call.facts.coalesced = "follower";
  call.facts.leaderId = flight.leader.facts.id;
  call.leader = flight.leader;
  call.backend.elsewhere?.();
  const parts = flight.follow(call);
  return flight.leader.mode === call.mode ? parts : converted(call, flight, parts);
}

/** Whether a call must not wait for its leader's permit: it would get its own sooner, or the leader waits for the place of the request around the call. */
function mustPass(call: Call, leader: Call): boolean {
  return (call.isNested && !leader.isNested) || (leader.isWaiting && isMoreUrgent(call.control, leader.control));
}

/** Whether a call would wait for its permit shorter, or less long, than its leader does. */
function isMoreUrgent(call: CallControl, leader: CallControl): boolean {
  const { priority = DEFAULT_PRIORITY, deadlineAt = Infinity, hasSubstitute = false } = call;
  return priority < (leader.priority ?? DEFAULT_PRIORITY) || deadlineAt < (leader.deadlineAt ?? Infinity) || (hasSubstitute && !leader.hasSubstitute);
}

/** Whether a call may wait longer than its leader does: that one's own deadline is earlier, or it has a substitute. */
function mayWaitLonger({ control: call }: Call, { control: leader }: Call): boolean {
  return (leader.deadlineAt ?? Infinity) < (call.deadlineAt ?? Infinity) || (leader.hasSubstitute === true && !call.hasSubstitute);
}

/**
 * Another object of the same class may have another key, timeout or patience: its failure is not this call's, no more than that of a leader who was in a hurry.
 * And what cannot be copied everybody has to ask for.
 */
async function* followOrAsk(call: Call, flight: Flight, next: Next): AsyncGenerator<unknown> {
  let shared = false;
  try {
    for await (const part of follow(call, flight)) {
      shared = true;
      yield part;
    }
  } catch (error) {
    const isOwn = call.origin === flight.leader.origin && error !== UNCOPIABLE && !(DeadlineError.isInstance(error) && mayWaitLonger(call, flight.leader));
    if (shared || isOwn || call.signal?.aborted) throw error;
    call.facts.coalesced = undefined;
    call.facts.leaderId = undefined;
    call.leader = undefined;
    yield* next(call);
  }
}

async function* converted(call: Call, flight: Flight, parts: AsyncIterable<unknown>): AsyncGenerator<unknown> {
  const { mode } = flight.leader;
  yield* call.kind.convert({ mode, parts: await Array.fromAsync(parts) }, call.mode);
}
