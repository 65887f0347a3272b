import type { Circuit } from "../../core/circuit.ts";
import type { Clock } from "../../core/clock.ts";
import { withDeadline } from "../../core/deadline.ts";
import { StoreError } from "../../core/errors.ts";
import type { TierName } from "../../core/facts.ts";
import type { Invalidation } from "../../stores/bus.ts";
import type { Store } from "../../stores/store.ts";
import type { IsMeant, PendingWrite } from "./backlog.ts";
import { Deliveries } from "./deliveries.ts";
import { FarReads, type FarRead } from "./far-reads.ts";
import { concerns } from "./invalidations.ts";

export interface FarTierOptions {
  readonly name: TierName;
  readonly store: Store;
  readonly clock: Clock;
  /** A read that takes longer is a miss, milliseconds. */
  readonly timeoutMs: number;
  /** Whether the store ends with the tier; one that the user gave stays open. @default true */
  readonly owns?: boolean;
  /** Whether entries can be sealed now so that they are worth something; waited for, but not for ever. */
  readonly isReady?: () => boolean;
  /** Takes in work that should end before the process does. */
  waitUntil(work: Promise<unknown>): void;
  /** Hears of every failure. */
  failed(error: StoreError): void;
}

const CLOSE_TIMEOUT_MS = 1_000;
const UPKEEP_TIMEOUT_MS = 5_000;

/** A store as the cache uses it: nothing throws, every wait has a deadline, and what cannot be written now is written later. */
export class FarTier {
  readonly name: TierName;
  readonly store: Store;
  readonly #options: FarTierOptions;
  /** Each has a circuit of its own, because a store that is full can still be read. */
  readonly #reads: FarReads;
  readonly #deliveries: Deliveries;
  #closed = false;

  constructor(options: FarTierOptions) {
    const { name, store, clock, timeoutMs, isReady } = options;
    this.name = name;
    this.store = store;
    this.#options = options;
    this.#reads = new FarReads({ store, clock, timeoutMs, failed: (error) => this.report("get", error) });
    this.#deliveries = new Deliveries({ store, clock, isReady, failed: (operation, error) => this.report(operation, error) });
  }

  get circuit(): Circuit["state"] {
    return this.#reads.circuit.state;
  }

  /** Writes and erasures that were not delivered yet, and what had to be given up. */
  get backlog(): { pending: number; dropped: number } {
    const { size, dropped } = this.#deliveries.backlog;
    return { pending: size, dropped };
  }

  /** Whether it has not been told yet of all that became invalid. */
  get owesErasures(): boolean {
    return this.#deliveries.backlog.erasures.length > 0;
  }

  /** The value under a key; `undefined` also when the store fails or does not answer in time. */
  async get(key: string): Promise<FarRead & { waiting?: boolean }> {
    const waiting = this.#deliveries.backlog.write(key);
    return waiting ? { value: valueOf(waiting), failed: false, waiting: true } : this.#reads.get(key);
  }

  /** Whether an erasure that was not delivered yet concerns an entry: the store may still have it. */
  isErased(key: string, labels: readonly string[]): boolean {
    return this.#deliveries.backlog.erasures.some(({ invalidation }) => concerns(invalidation, key, labels));
  }

  write(key: string, write: PendingWrite): void {
    this.#deliveries.backlog.add(key, write);
    this.#options.waitUntil(this.#deliveries.drained());
  }

  /**
   * Deletes what an invalidation concerns, now or after the outage.
   * @param isMeant for one that names a key; without it, it means whatever is there
   * @returns how many entries there were; 0 when that is not known yet
   */
  erase(invalidation: Invalidation, isMeant?: IsMeant): Promise<number> {
    const count = this.#deliveries.backlog.erase(invalidation, isMeant);
    void this.#deliveries.drained();
    return count;
  }

  /** Waits until everything is written, or until it is clear that it cannot be now. */
  flush(): Promise<void> {
    return this.#deliveries.flush();
  }

  /** Gives up what was not delivered. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#deliveries.close();
    if (this.#options.owns === false) return;
    await withDeadline(this.store.close(), CLOSE_TIMEOUT_MS, "not closed in time").catch((error: unknown) => this.report("close", error));
  }

  /** Does something that is nobody's call: what fails is reported. @param isAwaited whether it may keep the process alive */
  async upkeep<T>(operation: string, work: () => Promise<T> | undefined, isAwaited = true): Promise<T | undefined> {
    if (this.#closed || this.circuit !== "closed") return undefined;
    try {
      return await withDeadline(work() ?? Promise.resolve(undefined), UPKEEP_TIMEOUT_MS, `not done within ${UPKEEP_TIMEOUT_MS} ms`, isAwaited);
    } catch (error) {
      this.report(operation, error);
      return undefined;
    }
  }

  report(operation: string, error: unknown): void {
    this.#options.failed(error instanceof StoreError ? error : new StoreError(this.store.name, operation, error));
  }
}

/** What a write brings, if anything: what cannot be sealed is reported when its turn comes. */
function valueOf(write: PendingWrite): Uint8Array | undefined {
  try {
    return write.isInvalid() ? undefined : write.seal()?.value;
  } catch {
    return undefined;
  }
}
