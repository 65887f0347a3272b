import { withDeadline } from "../../core/deadline.ts";
import type { Call } from "../../core/layer.ts";
import type { Addition, FrameSealer, Lease } from "../../stores/leases.ts";
import { joinParts, placeOf } from "./frames.ts";

/** As much of a call as says what may invalidate its answer; calls themselves are not kept longer than they last. */
export type Asked = Pick<Call, "key" | "control" | "tagsOf">;

/** A whole answer that newcomers can follow. */
export interface Resumable {
  readonly asked: Asked;
  /** By the monotonic clock, milliseconds. */
  readonly until: number;
  /** Lets no newcomer follow it any more. */
  withdraw(): Promise<unknown>;
}

export interface PublisherOptions {
  readonly call: Call;
  /** The lease's. */
  readonly key: string;
  readonly lease: Lease;
  readonly sealer: FrameSealer;
  /** A larger answer is not shared, bytes. */
  readonly maxBytes: number;
  /** Hears of failures of whatever carries the answer. */
  failed(error: unknown): void;
  /** Takes in work that should end before the process does. */
  waitUntil(work: Promise<unknown>): void;
}

const SEND_TIMEOUT_MS = 1_000;
const RENEWALS = 3;

/**
 * Gives the parts of an answer to other processes, beside the caller who has them already: nothing here waits for, delays or fails that one. What arises in one
 * turn of the event loop, or while something is on its way, goes together.
 */
export class Publisher {
  /** Settles when nothing is left to send. */
  readonly ended: Promise<Resumable | undefined>;
  readonly #options: PublisherOptions;
  readonly #encode: (part: unknown) => Uint8Array;
  readonly #renewal: NodeJS.Timeout;
  readonly #end: (resumable?: Resumable) => void;
  /** Snapshots of all parts. */
  #packed: unknown[] = [];
  #waiting: Uint8Array[] = [];
  #bytes = 0;
  #number = 0;
  /** Sent, and not known to have arrived. */
  #unsettled: Omit<Addition, "resumableMs"> | undefined;
  #state: Addition["state"] = "open";
  /** By the monotonic clock, however late Redis hears of it. */
  #resumableUntil = -Infinity;
  #retired = false;
  #closed = false;
  #sending = false;
  /** Something is to be sent. */
  #due = false;
  /** The last sending has failed: the next renewal tries again. */
  #paused = false;
  /** When the lease was surely ours for the last time, by the monotonic clock. */
  #heldAt = performance.now();

  constructor(options: PublisherOptions) {
    const { call, lease } = options;
    this.#options = options;
    const { promise, resolve } = Promise.withResolvers<Resumable | undefined>();
    this.ended = promise;
    this.#end = resolve;
    const pack = call.kind.packer(call.mode);
    const encode = call.kind.codec.encoder(call.mode);
    this.#encode = (part) => {
      const packed = pack(part);
      this.#packed.push(packed);
      return encode(packed);
    };
    this.#renewal = setInterval(() => this.#renew(), lease.durationMs / RENEWALS).unref();
  }

  add(part: unknown): void {
    if (this.#closed || this.#state !== "open") return;
    try {
      const bytes = this.#encode(part);
      this.#bytes += bytes.length;
      this.#waiting.push(bytes);
    } catch {
      this.#bytes = Infinity;
    }
    if (this.#bytes > this.#options.maxBytes) this.#finish("unshared");
    else this.#schedule();
  }

  /** The answer is whole. */
  done(resumableMs: number): void {
    if (this.#closed || this.#state !== "open") return;
    const { kind, mode, input } = this.#options.call;
    const completeness = resumableMs > 0 && kind.completeness({ mode, parts: this.#packed }, input);
    if (!this.#retired && completeness !== "partial" && completeness !== "filtered") this.#resumableUntil = performance.now() + resumableMs;
    this.#finish("done");
  }

  /** There will be no whole answer. Nothing happens after `done`. */
  readonly release = (): void => {
    if (this.#closed || this.#state !== "open") return;
    this.#close();
    const { lease, failed, waitUntil } = this.#options;
    waitUntil(withDeadline(lease.release(), SEND_TIMEOUT_MS, "a lease was not given up in time").catch(failed).then(() => this.#end()));
  };

  /** Lets nobody else follow if what the answer is made of has become invalid. */
  retire(isConcerned: (asked: Asked) => boolean): void {
    if (!isConcerned(this.#options.call)) return;
    this.#retired = true;
    this.#resumableUntil = -Infinity;
    if (!this.#closed && this.#state === "open") this.#schedule();
  }

  #finish(state: "done" | "unshared"): void {
    this.#state = state;
    this.#packed = [];
    if (state === "unshared") this.#waiting = [];
    this.#schedule();
  }

  #close(): void {
    this.#closed = true;
    this.#packed = [];
    this.#waiting = [];
    clearInterval(this.#renewal);
  }

  #schedule(): void {
    this.#due = true;
    if (this.#sending || this.#paused) return;
    this.#sending = true;
    this.#options.waitUntil(new Promise<void>((resolve) => setImmediate(resolve)).then(() => this.#send()));
  }

  async #send(): Promise<void> {
    const { failed } = this.#options;
    try {
      while (this.#due && !this.#closed) {
        this.#unsettled ??= this.#next();
        const { state } = this.#unsettled;
        const held = await withDeadline(this.#options.lease.add({ ...this.#unsettled, resumableMs: this.#resumableMs }), SEND_TIMEOUT_MS, "a part of a shared answer was not taken in time");
        this.#unsettled = undefined;
        this.#heard(held, state);
      }
    } catch (error) {
      // It is sent again when the lease is renewed: its number keeps it from counting twice.
      this.#paused = true;
      if (!this.#closed) failed(error);
    } finally {
      this.#sending = false;
      if (this.#closed) this.#end(this.#resumable());
    }
  }

  #next(): Omit<Addition, "resumableMs"> {
    this.#due = false;
    const parts = this.#waiting;
    this.#waiting = [];
    const frame = parts.length > 0 ? this.#seal(parts) : undefined;
    const state = this.#state === "open" && this.#retired ? "retired" : this.#state;
    // The end has a place of its own among the frames.
    if (frame || state === "done") this.#number += 1;
    return { number: this.#number, frame, state };
  }

  #seal(parts: readonly Uint8Array[]): Uint8Array | undefined {
    const { call, key, lease, sealer } = this.#options;
    try {
      return sealer.seal(call, placeOf(key, lease.token, this.#number + 1), joinParts(parts));
    } catch (error) {
      this.#finish("unshared");
      this.#options.failed(error);
      return undefined;
    }
  }

  get #resumableMs(): number {
    return Math.max(0, this.#resumableUntil - performance.now());
  }

  #resumable(): Resumable | undefined {
    const { lease, failed, call: { key, control, tagsOf } } = this.#options;
    const number = this.#number;
    const withdraw = (): Promise<unknown> => lease.add({ number, frame: undefined, state: "done", resumableMs: 0 });
    // Retired while its end was on its way.
    if (this.#retired && this.#state === "done") withdraw().catch(failed);
    return this.#resumableMs === 0 ? undefined : { asked: { key, control, tagsOf }, until: this.#resumableUntil, withdraw };
  }

  #heard(held: boolean, state: Addition["state"]): void {
    this.#heldAt = performance.now();
    if (!held || state === "done" || state === "unshared") this.#close();
  }

  #renew(): void {
    const { lease } = this.#options;
    if (this.#sending) return;
    // Nobody waits for it any more.
    if (performance.now() - this.#heldAt > lease.durationMs && this.#state !== "open") return this.#close(), this.#end();
    this.#paused = false;
    if (this.#due || this.#unsettled) return this.#schedule();
    withDeadline(lease.renew(), SEND_TIMEOUT_MS, "a lease was not renewed in time").then(
      (held) => this.#heard(held, "open"),
      (error: unknown) => this.#closed || this.#options.failed(error),
    );
  }
}
