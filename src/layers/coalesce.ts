import { linkAbort, type LinkedAbort } from "../core/abort.ts";
import type { Call, Layer, Next } from "../core/layer.ts";

const AbortByAll = (): DOMException => new DOMException("Every caller of this shared call has gone.", "AbortError");

/** One reader of a flight: `wake` is set while it waits. */
interface Reader {
  wake?: () => void;
}

/** An upstream call that is under way, and everything that it gave so far. */
class Flight {
  readonly parts: unknown[] = [];
  readonly leader: Call;
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
    try {
      for await (const part of next(this.leader.withSignal(this.#abort.signal))) {
        this.parts.push(part);
        this.#wakeAll();
      }
    } catch (error) {
      end = { error };
    }
    this.#end = end;
    this.#landed();
    this.#wakeAll();
  }

  /** Every part from the first on, at the reader's pace; the last reader to leave aborts the upstream call. */
  async *read(signal: AbortSignal | undefined): AsyncGenerator<unknown> {
    const reader: Reader = {};
    const onAbort = (): void => reader.wake?.();
    signal?.addEventListener("abort", onAbort, { once: true });
    this.#readers.add(reader);
    try {
      for (let at = 0; ; ) {
        signal?.throwIfAborted();
        while (at < this.parts.length) yield this.parts[at++];
        if (this.#end) break;
        await new Promise<void>((resolve) => (reader.wake = resolve));
      }
      if ("error" in this.#end) throw this.#end.error;
    } finally {
      signal?.removeEventListener("abort", onAbort);
      this.#leave(reader);
    }
  }

  #leave(reader: Reader): void {
    this.#readers.delete(reader);
    if (this.#readers.size > 0 || this.#end) return;
    this.#landed();
    this.#abort.abort(AbortByAll());
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

  async *#lead(call: Call, key: string, next: Next): AsyncGenerator<unknown> {
    // Between `handle` and the first part another call may have taken off under this key.
    const earlier = this.#flights.get(key);
    if (earlier) return yield* follow(call, earlier);
    const flight = new Flight(call, () => {
      if (this.#flights.get(key) === flight) this.#flights.delete(key);
    });
    this.#flights.set(key, flight);
    call.kept = true;
    call.facts.coalesced = "leader";
    const reading = flight.read(call.signal);
    void flight.fly(next);
    yield* reading;
  }
}

/** A refresh wants an answer from upstream, so it shares with other refreshes alone. */
function flightKey(call: Call): string | undefined {
  const { key, control } = call;
  if (key === undefined || call.held.includes(key)) return undefined;
  return control.cache === "refresh" ? `${key}:refresh` : key;
}

async function* follow(call: Call, flight: Flight): AsyncGenerator<unknown> {
  call.facts.coalesced = "follower";
  call.facts.leaderId = flight.leader.facts.id;
  const parts = flight.read(call.signal);
  const { mode } = flight.leader;
  if (mode === call.mode) return yield* parts;
  yield* call.kind.convert({ mode, parts: await Array.fromAsync(parts) }, call.mode);
}
