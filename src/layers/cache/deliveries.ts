import { Circuit } from "../../core/circuit.ts";
import type { Clock } from "../../core/clock.ts";
import { withDeadline } from "../../core/deadline.ts";
import { PerfError } from "../../core/errors.ts";
import { pause } from "../../core/pause.ts";
import type { Store } from "../../stores/store.ts";
import { Backlog, type Erasure, type PendingWrite } from "./backlog.ts";

export interface DeliveriesOptions {
  readonly store: Store;
  readonly clock: Clock;
  /** Whether entries can be sealed now so that they are worth something; waited for, but not for ever. */
  readonly isReady?: (() => boolean) | undefined;
  /** Hears of every failure. */
  failed(operation: string, error: unknown): void;
}

/** A write gets this much longer than a read. */
const WRITE_TIMEOUT_MS = 1_000;
/** To look for a million entries takes a while. */
const ERASE_TIMEOUT_MS = 60_000;
/** Whoever waits for all to be delivered waits so long for any one step of it. */
const STEP_WAIT_MS = 5_000;
const UNREADY_MS = 10_000;
const READY_WAIT_MS = 1_000;
const BATCH = 64;

/** Writes and erasures on their way to a store: what cannot be delivered now is delivered later. */
export class Deliveries {
  readonly backlog = new Backlog();
  readonly #options: DeliveriesOptions;
  readonly #circuit: Circuit;
  #draining: Promise<void> | undefined;
  #wake: NodeJS.Timeout | undefined;
  #closed = false;
  /** Whether to try once though the store has failed. */
  #probes = false;
  /** Steps so far that got something delivered. */
  #steps = 0;
  #unreadySince: number | undefined;

  constructor(options: DeliveriesOptions) {
    this.#options = options;
    this.#circuit = new Circuit({ clock: options.clock });
  }

  /** Ends when the backlog is delivered, or cannot be now. It begins in the next turn: those who shared one answer add their tags in this one. */
  drained(): Promise<void> {
    return (this.#draining ??= new Promise<void>((resolve) => setImmediate(resolve)).then(() => this.#drain()));
  }

  /** Delivers everything that can be delivered now, also to a store that has failed a moment ago; waits as long as it goes on. */
  async flush(): Promise<void> {
    if (this.#draining && !(await this.#isDone(this.#draining))) return;
    if (this.backlog.size === 0 || this.#closed) return;
    for (let waited = 0; waited < READY_WAIT_MS && !this.#isReady(); waited += 20) await pause(20);
    this.backlog.rouse();
    this.#probes = true;
    await this.#isDone(this.drained());
  }

  /** Gives up what was not delivered. */
  close(): void {
    this.#closed = true;
    clearTimeout(this.#wake);
    this.backlog.abandon();
  }

  /** Waits as long as it goes on. */
  async #isDone(work: Promise<void>): Promise<boolean> {
    for (let steps = -1; steps !== this.#steps; ) {
      steps = this.#steps;
      if (await withDeadline(work, STEP_WAIT_MS, "still on its way").then(() => true, () => false)) return true;
    }
    return false;
  }

  async #drain(): Promise<void> {
    clearTimeout(this.#wake);
    try {
      while (this.backlog.size > 0 && !this.#closed && (this.#circuit.allows() || this.#probes)) {
        this.#probes = false;
        const erasure = this.backlog.erasures[0];
        if (!(await (erasure ? this.#deliverErasure(erasure) : this.#deliverWrites()))) break;
        this.#steps += 1;
      }
    } finally {
      this.#draining = undefined;
      this.backlog.settle();
      if (this.backlog.size > 0 && !this.#closed) this.#later();
    }
  }

  async #deliverErasure(erasure: Erasure): Promise<boolean> {
    try {
      const count = await withDeadline(this.#erase(erasure), ERASE_TIMEOUT_MS, `not erased within ${ERASE_TIMEOUT_MS} ms`, false);
      this.backlog.erased(erasure, count);
      this.#circuit.succeeded();
      return true;
    } catch (error) {
      this.#circuit.failed();
      this.#options.failed("invalidate", error);
      return false;
    }
  }

  async #erase({ invalidation, isMeant }: Erasure): Promise<number> {
    const { store } = this.#options;
    if ("all" in invalidation) return await store.clear(), 0;
    const { key, groups } = invalidation;
    if (key === undefined) return store.invalidate(groups);
    if (isMeant) {
      const value = await store.get(key);
      if (!value || !isMeant(key, value)) return 0;
    }
    return store.delete([key]);
  }

  /** @returns whether anything was delivered */
  async #deliverWrites(): Promise<boolean> {
    if (!this.#isReady()) return false;
    const batch = this.backlog.take(BATCH);
    if (batch.length === 0) return false;
    const delivered = await Promise.all(batch.map(([key, write]) => this.#deliver(key, write)));
    const isAlive = delivered.includes(true);
    if (isAlive) this.#circuit.succeeded();
    else this.#circuit.failed();
    for (const [at, [key, write]] of batch.entries()) {
      if (!delivered[at] && this.backlog.putBack(key, write, isAlive)) await this.#removeOlder(key);
    }
    return isAlive;
  }

  #isReady(): boolean {
    if (this.#options.isReady?.() ?? true) {
      this.#unreadySince = undefined;
      return true;
    }
    this.#unreadySince ??= this.#options.clock.elapsed();
    return this.#options.clock.elapsed() - this.#unreadySince > UNREADY_MS;
  }

  async #deliver(key: string, write: PendingWrite): Promise<boolean> {
    try {
      if (write.isInvalid()) return true;
      const { store, clock } = this.#options;
      const entry = sealed(write, (error) => this.#options.failed("encode", error));
      const isWritten = entry && entry.expiresAt > clock.now();
      // What this answer takes the place of must not outlive it.
      await withDeadline<unknown>(isWritten ? store.set(key, entry) : store.delete([key]), WRITE_TIMEOUT_MS, `not written within ${WRITE_TIMEOUT_MS} ms`);
      return true;
    } catch (error) {
      // What the store will never take is not offered again, and is no fault of the store's.
      const isRefused = PerfError.isInstance(error) && !error.retryable;
      this.#options.failed(isRefused ? "encode" : "set", error);
      if (isRefused) await this.#removeOlder(key);
      return isRefused;
    }
  }

  /** The answer that another was to take the place of. */
  async #removeOlder(key: string): Promise<void> {
    try {
      await withDeadline(this.#options.store.delete([key]), WRITE_TIMEOUT_MS, `not deleted within ${WRITE_TIMEOUT_MS} ms`);
    } catch (error) {
      this.#options.failed("delete", error);
    }
  }

  #later(): void {
    clearTimeout(this.#wake);
    this.#wake = setTimeout(() => void this.drained(), Math.max(100, this.#circuit.waitMs));
    this.#wake.unref();
  }
}

function sealed(write: PendingWrite, failed: (error: unknown) => void): ReturnType<PendingWrite["seal"]> {
  try {
    return write.seal();
  } catch (error) {
    failed(error);
    return undefined;
  }
}
