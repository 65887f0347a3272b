import { Circuit } from "../../core/circuit.ts";
import type { Clock } from "../../core/clock.ts";
import { withDeadline } from "../../core/deadline.ts";
import { DeadlineError } from "../../core/errors.ts";
import type { Store } from "../../stores/store.ts";

export interface FarReadsOptions {
  readonly store: Store;
  readonly clock: Clock;
  /** A read that takes longer is a miss, milliseconds from when it is sent. */
  readonly timeoutMs: number;
  /** Hears of every failure. */
  failed(error: unknown): void;
}

/** What a read came to; `value` is `undefined` also when the store fails or does not answer in time. */
export interface FarRead {
  readonly value: Uint8Array | undefined;
  readonly failed: boolean;
}

/** More than a store answers in one round; what comes on top would spend its time in the store's queue. */
const MAX_IN_FLIGHT = 256;
const OPENING_MS = 2_000;
const FAILED: FarRead = { value: undefined, failed: true };

/** The reads of a far tier: so many at a time, each with a deadline, and none while the store fails. */
export class FarReads {
  readonly #options: FarReadsOptions;
  readonly circuit: Circuit;
  readonly #openedAt: number;
  /** Until the first answer has come. */
  #opening = true;
  #inFlight = 0;
  /** Told whether they may go. */
  readonly #queue = new Set<(mayGo: boolean) => void>();

  constructor(options: FarReadsOptions) {
    this.#options = options;
    this.#openedAt = options.clock.elapsed();
    this.circuit = new Circuit({ clock: options.clock });
  }

  async get(key: string): Promise<FarRead> {
    const { store, timeoutMs } = this.#options;
    const isProbe = this.circuit.state !== "closed";
    if (isProbe ? !this.circuit.allows() : !(await this.#turn())) return FAILED;
    try {
      const value = await withDeadline(store.get(key), timeoutMs, `${store.name} did not answer within ${timeoutMs} ms`);
      this.circuit.succeeded();
      this.#opening = false;
      return { value, failed: false };
    } catch (error) {
      this.#failed(error);
      return FAILED;
    } finally {
      if (!isProbe) this.#next();
    }
  }

  #turn(): boolean | Promise<boolean> {
    if (this.#inFlight >= MAX_IN_FLIGHT) return new Promise((resolve) => this.#queue.add(resolve));
    this.#inFlight += 1;
    return true;
  }

  /** Whoever ends hands on his place. */
  #next(): void {
    for (const go of this.#queue) {
      this.#queue.delete(go);
      return go(true);
    }
    this.#inFlight -= 1;
  }

  #failed(error: unknown): void {
    // To load a client and to connect takes longer than a read may: that is no failure.
    const isOpening = this.#opening && this.#options.clock.elapsed() - this.#openedAt < OPENING_MS;
    if (error instanceof DeadlineError && isOpening) return;
    if (this.circuit.failed()) {
      for (const go of this.#queue) go(false);
      this.#queue.clear();
    }
    this.#options.failed(error);
  }
}
