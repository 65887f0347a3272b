import { AbortWatch } from "../core/abort.ts";
import type { Alarm } from "../core/clock.ts";
import { DeadlineError, QueueFullError } from "../core/errors.ts";
import { PRIORITIES, type FullDemand } from "./demand.ts";
import { Heap, type Placed } from "./heap.ts";
import type { Permit } from "./limiter.ts";
import { PriorityClass } from "./priority-class.ts";
import { Tally } from "./tally.ts";
import { Waiter } from "./tenant-queue.ts";

export type { Waiter } from "./tenant-queue.ts";

export interface LineOptions {
  /** Name of the limiter, for errors. */
  readonly limiter: string;
  /** Calls that may wait. */
  readonly maxQueue: number;
  /** Shares of tenants that are not 1. */
  readonly weights: ReadonlyMap<string, number>;
  readonly clock: Alarm;
  /** Somebody left without being served: another may be first now. */
  left?(): void;
}

/** After this many calls of a priority while a lower one waits, one of the lower is served: nobody waits for ever. */
const PASSED_OVER = 9;

/**
 * The calls that wait for a permit: nested ones first, since others wait for them, then by priority, within one by tenants' shares (start-time fair queueing, Goyal,
 * Vin and Cheng 1996, by tokens or else by requests), within a tenant by deadline. Joining, leaving and serving take O(log n).
 */
export class WaitingLine {
  readonly #options: LineOptions;
  readonly #nested = new PriorityClass();
  readonly #classes = Array.from({ length: PRIORITIES }, () => new PriorityClass());
  readonly #expiries = new Heap<Expiry>((a, b) => a.waiter.demand.deadlineAt < b.waiter.demand.deadlineAt);
  readonly #aborts = new AbortWatch<Waiter>((waiter, reason) => this.#leave(waiter, reason));
  #size = 0;
  #number = 0;
  #passedOver = 0;
  #alarm: { readonly at: number; cancel(): void } | undefined;
  #isTelling = false;

  constructor(options: LineOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#size;
  }

  /** The permit, when `serve` gives one. @throws QueueFullError, by the promise, as DeadlineError and the signal's reason */
  join(demand: FullDemand): Promise<Permit> {
    const { limiter, maxQueue } = this.#options;
    if (demand.signal?.aborted) return Promise.reject(demand.signal.reason);
    if (this.#size >= maxQueue) return Promise.reject(new QueueFullError(limiter, this.#size));
    return new Promise((resolve, reject) => {
      const waiter = new Waiter(demand, (this.#number += 1), resolve, reject);
      this.#size += 1;
      this.#classOf(demand).add(waiter, this.#weightOf(demand));
      if (demand.signal) this.#aborts.add(demand.signal, waiter);
      if (demand.deadlineAt === Infinity) return;
      waiter.expiry = { place: -1, waiter };
      this.#expiries.add(waiter.expiry);
      this.#watch();
    });
  }

  /** Whose turn it is. */
  get head(): Waiter | undefined {
    return this.#turn()?.first;
  }

  /** What is served before this demand, at the least, if all who wait now stay. Where calls differ in size it goes by their mean. */
  ahead(demand: FullDemand): Readonly<Tally> {
    const own = this.#classOf(demand);
    const sum = own.ahead(demand, this.#weightOf(demand));
    if (own === this.#nested) return sum;
    const higher = new Tally();
    for (const other of this.#classes.slice(0, demand.priority)) higher.add(other.total);
    const mayPass = PASSED_OVER - Math.min(PASSED_OVER, this.#passedOver) + PASSED_OVER * sum.calls;
    if (higher.calls > 0) sum.add(higher, Math.min(1, mayPass / higher.calls));
    sum.add(this.#nested.total);
    return sum;
  }

  serve(waiter: Waiter, permit: Permit): void {
    const own = this.#classOf(waiter.demand);
    if (own !== this.#nested) this.#passedOver = own === this.#highest() && this.#hasOthers(own) ? this.#passedOver + 1 : 0;
    own.served(waiter);
    this.#forget(waiter);
    waiter.resolve(permit);
  }

  /** Ends somebody's waiting with an error. */
  refuse(waiter: Waiter, error: unknown): void {
    this.#remove(waiter);
    waiter.reject(error);
  }

  /** A served demand turned out to be larger or smaller than it said; its tenant's next turn is put right. */
  correct({ priority, tenant }: Pick<FullDemand, "priority" | "tenant">, difference: number): void {
    this.#classes[priority]?.correct(tenant, difference);
  }

  #classOf({ priority, isNested }: FullDemand): PriorityClass {
    return isNested ? this.#nested : (this.#classes[priority] as PriorityClass);
  }

  #weightOf({ tenant }: FullDemand): number {
    return this.#options.weights.get(tenant) ?? 1;
  }

  #highest(): PriorityClass | undefined {
    return this.#classes.find(({ size }) => size > 0);
  }

  #hasOthers(own: PriorityClass): boolean {
    return own.size < this.#size - this.#nested.size;
  }

  #turn(): PriorityClass | undefined {
    if (this.#nested.size > 0) return this.#nested;
    const highest = this.#highest();
    if (!highest || this.#passedOver < PASSED_OVER || !this.#hasOthers(highest)) return highest;
    const others = this.#classes.filter((other) => other !== highest && other.size > 0);
    return others.reduce((first, other) => ((other.first as Waiter).dueAt < (first.first as Waiter).dueAt ? other : first));
  }

  #leave(waiter: Waiter, reason: unknown): void {
    this.refuse(waiter, reason);
    this.#tellLeft();
  }

  /** Once for all who leave together: a signal may be that of thousands. */
  #tellLeft(): void {
    if (this.#isTelling) return;
    this.#isTelling = true;
    queueMicrotask(() => {
      this.#isTelling = false;
      this.#options.left?.();
    });
  }

  #remove(waiter: Waiter): void {
    this.#classOf(waiter.demand).remove(waiter);
    this.#forget(waiter);
  }

  #forget(waiter: Waiter): void {
    const { expiry, demand: { signal } } = waiter;
    this.#size -= 1;
    if (signal) this.#aborts.remove(signal, waiter);
    if (expiry) this.#expiries.remove(expiry);
    if (this.#size > 0) return;
    this.#alarm?.cancel();
    this.#alarm = undefined;
  }

  /** One timer, for the earliest deadline; that of somebody who has left rings in vain. */
  #watch(): void {
    const at = this.#expiries.first?.waiter.demand.deadlineAt;
    if (at === undefined || (this.#alarm && this.#alarm.at <= at)) return;
    this.#alarm?.cancel();
    const { clock } = this.#options;
    this.#alarm = { at, cancel: clock.after(Math.max(0, at - clock.elapsed()), () => this.#expire()) };
  }

  #expire(): void {
    this.#alarm = undefined;
    const now = this.#options.clock.elapsed();
    for (let first = this.#expiries.first?.waiter; first && first.demand.deadlineAt <= now; first = this.#expiries.first?.waiter) {
      this.#leave(first, new DeadlineError(`No permit of the limiter "${this.#options.limiter}" came within ${Math.round(now - first.demand.since)} ms.`));
    }
    this.#watch();
  }
}

interface Expiry extends Placed {
  readonly waiter: Waiter;
}
