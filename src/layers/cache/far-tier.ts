import { Circuit } from "../../core/circuit.ts";
import type { Clock } from "../../core/clock.ts";
import { withDeadline } from "../../core/deadline.ts";
import { DeadlineError, PerfError, StoreError } from "../../core/errors.ts";
import type { TierName } from "../../core/facts.ts";
import type { Invalidation } from "../../stores/bus.ts";
import type { Store } from "../../stores/store.ts";
import { Backlog, type Erasure, type PendingWrite } from "./backlog.ts";
import { concerns } from "./invalidations.ts";

export interface FarTierOptions {
  readonly name: TierName;
  readonly store: Store;
  readonly clock: Clock;
  /** A read that takes longer is a miss, milliseconds. */
  readonly timeoutMs: number;
  /** Whether entries can be sealed now so that they are worth something; waited for, but not for ever. */
  readonly isReady?: () => boolean;
  /** Takes in work that should end before the process does. */
  waitUntil(work: Promise<unknown>): void;
  /** Hears of every failure. */
  failed(error: StoreError): void;
}

/** A write gets this much longer than a read. */
const WRITE_TIMEOUT_MS = 1_000;
/** To look for a million entries takes a while. */
const ERASE_TIMEOUT_MS = 60_000;
const UPKEEP_TIMEOUT_MS = 5_000;
const OPENING_MS = 2_000;
const UNREADY_MS = 10_000;
const BATCH = 64;

/** A store as the cache uses it: nothing throws, every wait has a deadline, and what cannot be written now is written later. */
export class FarTier {
  readonly name: TierName;
  readonly store: Store;
  readonly #options: FarTierOptions;
  /** Apart, because a store that is full can still be read. */
  readonly #reads: Circuit;
  readonly #writes: Circuit;
  readonly #backlog = new Backlog();
  #draining: Promise<void> | undefined;
  #wake: NodeJS.Timeout | undefined;
  #closed = false;
  /** Until the first answer has come. */
  #opening = true;
  readonly #openedAt: number;
  #unreadySince: number | undefined;

  constructor(options: FarTierOptions) {
    this.#openedAt = options.clock.elapsed();
    this.name = options.name;
    this.store = options.store;
    this.#options = options;
    this.#reads = new Circuit({ clock: options.clock });
    this.#writes = new Circuit({ clock: options.clock });
  }

  get circuit(): Circuit["state"] {
    return this.#reads.state;
  }

  /** Writes and erasures that were not delivered yet, and writes that had to be given up because there were too many. */
  get backlog(): { pending: number; dropped: number } {
    return { pending: this.#backlog.size, dropped: this.#backlog.dropped };
  }

  /** Whether it has not been told yet of all that became invalid. */
  get owesErasures(): boolean {
    return this.#backlog.erasures.length > 0;
  }

  /** The value under a key; `undefined` also when the store fails or does not answer in time. */
  async get(key: string): Promise<{ value: Uint8Array | undefined; failed: boolean; waiting?: boolean }> {
    const waiting = this.#backlog.write(key);
    if (waiting) return { value: valueOf(waiting), failed: false, waiting: true };
    if (!this.#reads.allows()) return { value: undefined, failed: true };
    try {
      const value = await withDeadline(this.store.get(key), this.#options.timeoutMs, `${this.store.name} did not answer within ${this.#options.timeoutMs} ms`);
      this.#reads.succeeded();
      this.#opening = false;
      return { value, failed: false };
    } catch (error) {
      if (error instanceof DeadlineError && this.#isOpening()) return { value: undefined, failed: true };
      this.#reads.failed();
      this.report("get", error);
      return { value: undefined, failed: true };
    }
  }

  /** Whether an erasure that was not delivered yet concerns an entry: the store may still have it. */
  isErased(key: string, labels: readonly string[]): boolean {
    return this.#backlog.erasures.some(({ invalidation }) => concerns(invalidation, key, labels));
  }

  write(key: string, write: PendingWrite): void {
    this.#backlog.add(key, write);
    this.#options.waitUntil(this.#drained());
  }

  /** Deletes what an invalidation concerns, now or after the outage. @returns how many entries there were; 0 when that is not known yet */
  erase(invalidation: Invalidation): Promise<number> {
    const count = this.#backlog.erase(invalidation);
    void this.#drained();
    return count;
  }

  /** Waits until everything is written, or until it is clear that it cannot be now. */
  async flush(): Promise<void> {
    await this.#drained();
  }

  async close(): Promise<void> {
    await this.flush();
    this.#closed = true;
    clearTimeout(this.#wake);
    this.#backlog.abandon();
    await withDeadline(this.store.close(), WRITE_TIMEOUT_MS, "not closed in time").catch((error: unknown) => this.report("close", error));
  }

  /** Does something that is nobody's call: what fails is reported. */
  async upkeep<T>(operation: string, work: () => Promise<T> | undefined): Promise<T | undefined> {
    if (this.#closed || this.#reads.state !== "closed") return undefined;
    try {
      return await withDeadline(work() ?? Promise.resolve(undefined), UPKEEP_TIMEOUT_MS, `not done within ${UPKEEP_TIMEOUT_MS} ms`);
    } catch (error) {
      this.report(operation, error);
      return undefined;
    }
  }

  report(operation: string, error: unknown): void {
    this.#options.failed(error instanceof StoreError ? error : new StoreError(this.store.name, operation, error));
  }

  /** To load a client and to connect takes longer than a read may: that is no failure. */
  #isOpening(): boolean {
    return this.#opening && this.#options.clock.elapsed() - this.#openedAt < OPENING_MS;
  }

  /** Ends when the backlog is delivered, or cannot be now. It begins in the next turn: those who shared one answer add their tags in this one. */
  #drained(): Promise<void> {
    return (this.#draining ??= new Promise<void>((resolve) => setImmediate(resolve)).then(() => this.#drain()));
  }

  async #drain(): Promise<void> {
    clearTimeout(this.#wake);
    try {
      while (this.#backlog.size > 0 && !this.#closed && this.#writes.allows()) {
        const erasure = this.#backlog.erasures[0];
        if (!(await (erasure ? this.#deliverErasure(erasure) : this.#deliverWrites()))) break;
      }
    } finally {
      this.#draining = undefined;
      this.#backlog.settle();
      if (this.#backlog.size > 0 && !this.#closed) this.#later();
    }
  }

  async #deliverErasure(erasure: Erasure): Promise<boolean> {
    try {
      const count = await withDeadline(this.#erase(erasure.invalidation), ERASE_TIMEOUT_MS, `not erased within ${ERASE_TIMEOUT_MS} ms`);
      this.#backlog.erased(erasure, count);
      this.#writes.succeeded();
      return true;
    } catch (error) {
      this.#writes.failed();
      this.report("invalidate", error);
      return false;
    }
  }

  async #erase(invalidation: Invalidation): Promise<number> {
    if ("all" in invalidation) return await this.store.clear(), 0;
    if (invalidation.key === undefined) return this.store.invalidate(invalidation.groups);
    return this.store.delete([invalidation.key]);
  }

  async #deliverWrites(): Promise<boolean> {
    if (!this.#isReady()) return false;
    const batch = this.#backlog.take(BATCH);
    const delivered = await Promise.all(batch.map(([key, write]) => this.#deliver(key, write)));
    const failed = batch.filter((_, at) => !delivered[at]);
    for (const [key, write] of failed) this.#backlog.putBack(key, write);
    if (failed.length === 0) this.#writes.succeeded();
    else this.#writes.failed();
    return failed.length === 0;
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
      const entry = write.seal();
      if (!entry || entry.expiresAt <= this.#options.clock.now()) return true;
      await withDeadline(this.store.set(key, entry), WRITE_TIMEOUT_MS, `not written within ${WRITE_TIMEOUT_MS} ms`);
      return true;
    } catch (error) {
      // What cannot be written, or what the store will never take, is not offered again, and is no fault of the store's.
      const isRefused = PerfError.isInstance(error) && !error.retryable;
      this.report(isRefused ? "encode" : "set", error);
      return isRefused;
    }
  }

  #later(): void {
    this.#wake = setTimeout(() => void this.#drained(), Math.max(100, this.#writes.waitMs));
    this.#wake.unref();
  }
}

/** What a write brings, if anything: what cannot be sealed is reported when its turn comes. */
function valueOf(write: PendingWrite): Uint8Array | undefined {
  try {
    return write.seal()?.value;
  } catch {
    return undefined;
  }
}
