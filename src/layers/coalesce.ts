import { linkAbort, type LinkedAbort } from "../core/abort.ts";
import type { Call, Layer, Next } from "../core/layer.ts";
import { END, fromNext, toResult } from "../core/parts.ts";

/** One reader of a flight: `wake` is set while it waits. */
interface Reader {
  wake?: () => void;
}

/** An upstream call that is under way, and everything that it gave so far. */
class Flight {
  readonly leader: Call;
  /** Snapshots of all parts, for those who join; the leader has the originals. */
  readonly #kept: unknown[] = [];
  readonly #originals: unknown[] = [];
  readonly #abort: LinkedAbort = linkAbort();
  readonly #readers = new Set<Reader>();
  readonly #landed: () => void;
  #end: { error?: unknown } | undefined;

  /** @param landed called when the flight can no longer be joined */
  constructor(leader: Call, landed: () => void) {
    this.leader = leader;
    this.#landed = landed;
  }

  /** Reads the upstream call to its end at its own pace; errors go to the readers. */
  async fly(next: Next): Promise<void> {
    let end: { error?: unknown } = {};
    const { kind, mode } = this.leader;
    const pack = kind.packer(mode);
    try {
      for await (const part of next(this.leader.withSignal(this.#abort.signal))) {
        this.#kept.push(pack(part));
        this.#originals.push(part);
        this.#wakeAll();
      }
    } catch (error) {
      end = { error };
    }
    this.#end = end;
    this.#landed();
    this.#wakeAll();
  }

  /** The originals, for the call that pays. */
  lead(signal: AbortSignal | undefined): AsyncIterable<unknown> {
    return this.#read(this.#originals, signal);
  }

  /** Snapshots of every part from the first on, for a call that shares. */
  follow(signal: AbortSignal | undefined): AsyncIterable<unknown> {
    return this.#read(this.#kept, signal);
  }

  /** Each reader at its own pace; the last one to leave aborts the upstream call. */
  #read(parts: readonly unknown[], signal: AbortSignal | undefined): AsyncIterable<unknown> {
    const reader: Reader = {};
    const onAbort = (): void => reader.wake?.();
    signal?.addEventListener("abort", onAbort, { once: true });
    this.#readers.add(reader);
    const leave = (): void => {
      signal?.removeEventListener("abort", onAbort);
      this.#leave(reader);
    };
    let at = 0;
    const next = (): Promise<IteratorResult<unknown>> => {
      if (signal?.aborted) return leave(), Promise.reject(signal.reason);
      if (at < parts.length) return Promise.resolve(toResult(parts[at++]));
      if (!this.#end) return new Promise<void>((resolve) => (reader.wake = resolve)).then(next);
      leave();
      return "error" in this.#end ? Promise.reject(this.#end.error) : END;
    };
    return fromNext(next, leave);
  }

  #leave(reader: Reader): void {
    if (!this.#readers.delete(reader) || this.#readers.size > 0 || this.#end) return;
    this.#landed();
    this.#abort.abort(new DOMException("Every caller of this shared call has gone.", "AbortError"));
  }

  #wakeAll(): void {
    for (const reader of this.#readers) reader.wake?.();
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

  handle(call: Call, next: Next): AsyncIterable<unknown> {
    const key = flightKey(call);
    if (key === undefined) return next(call);
    const flight = this.#flights.get(key);
    return flight ? follow(call, flight) : this.#lead(call, key, next);
  }

  #lead(call: Call, key: string, next: Next): AsyncIterable<unknown> {
    const flight = new Flight(call, () => {
      if (this.#flights.get(key) === flight) this.#flights.delete(key);
    });
    this.#flights.set(key, flight);
    call.facts.coalesced = "leader";
    const parts = flight.lead(call.signal);
    void flight.fly(next);
    return parts;
  }
}

/** A refresh wants an answer from upstream, so it shares with other refreshes alone. */
function flightKey(call: Call): string | undefined {
  const { key, control } = call;
  if (key === undefined || call.held.includes(key)) return undefined;
  return control.cache === "refresh" ? `${key}:refresh` : key;
}

function follow(call: Call, flight: Flight): AsyncIterable<unknown> {
  call.facts.coalesced = "follower";
  call.facts.leaderId = flight.leader.facts.id;
  const parts = flight.follow(call.signal);
  return flight.leader.mode === call.mode ? parts : converted(call, flight, parts);
}

async function* converted(call: Call, flight: Flight, parts: AsyncIterable<unknown>): AsyncGenerator<unknown> {
  const { mode } = flight.leader;
  yield* call.kind.convert({ mode, parts: await Array.fromAsync(parts) }, call.mode);
}
