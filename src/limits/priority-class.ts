import type { FullDemand } from "./demand.ts";
import { Heap } from "./heap.ts";
import { Tally } from "./tally.ts";
import { dueAtOf, shareOf, TenantQueue, type Waiter } from "./tenant-queue.ts";

/** Tenants that wait for nothing and have had more than their share are remembered for a while; of so many. */
const MAX_IDLE_TENANTS = 1_000;
/** So many other tenants are looked at to say who is ahead; what the rest is ahead is left out. */
const MAX_LOOKED_AT = 100;

/**
 * Calls of one priority: the tenant whose start tag is the smallest is served next. The virtual time at which tenants begin is that of WF2Q+ (Bennett and Zhang
 * 1997), which work moves on: with the start tag of the last served, as Goyal has it, an endless row of new tenants would all begin before one who was served once.
 */
export class PriorityClass {
  readonly total = new Tally();
  readonly #tenants = new Map<string, TenantQueue>();
  readonly #waiting = new Heap<TenantQueue>((a, b) => a.start < b.start || (a.start === b.start && (a.first as Waiter).number < (b.first as Waiter).number));
  /** Those that wait for nothing, and are ahead of the virtual time. */
  readonly #idle = new Heap<TenantQueue>((a, b) => a.start < b.start);
  /** Sum of the weights of those who wait. */
  #weights = 0;
  /** Virtual time: what a tenant of weight 1 could have had. */
  #now = 0;

  get size(): number {
    return this.total.calls;
  }

  get first(): Waiter | undefined {
    return this.#waiting.first?.first;
  }

  add(waiter: Waiter, weight: number): void {
    const { tenant } = waiter.demand;
    let queue = this.#tenants.get(tenant);
    if (!queue) this.#tenants.set(tenant, (queue = new TenantQueue(tenant, weight, this.#now)));
    else if (!queue.first) this.#idle.remove(queue);
    const isNew = !queue.first;
    queue.add(waiter);
    this.total.join(waiter.demand);
    if (isNew) {
      this.#weights += weight;
      this.#waiting.add(queue);
      // Among equals the number of the first call decides, and with a near deadline that call may be a new one.
    } else if (queue.first === waiter) this.#waiting.moved(queue);
  }

  remove(waiter: Waiter): void {
    this.#take(waiter, 0);
  }

  served(waiter: Waiter): void {
    const share = shareOf(waiter.demand);
    this.#now += share / this.#weights;
    this.#take(waiter, share);
  }

  /** A tenant has had more than was thought by this much, or less if negative. What it gets back is never more than one turn: the rest is of times long past. */
  correct(tenant: string, difference: number): void {
    const queue = this.#tenants.get(tenant);
    if (!queue) return;
    queue.start = Math.max(Math.min(queue.start, this.#now - queue.turn), queue.start + difference / queue.weight);
    (queue.first ? this.#waiting : this.#idle).moved(queue);
    this.#tidy();
  }

  /** Who is served before this demand. */
  ahead(demand: FullDemand, weight: number): Tally {
    const own = this.#tenants.get(demand.tenant);
    const sum = new Tally();
    if (own) sum.add(own.ahead(dueAtOf(demand)));
    const start = (own?.first ? own.start : Math.max(this.#now, own?.start ?? 0)) + shareOf(sum) / weight;
    let lookedAt = 0;
    for (const other of this.#tenants.values()) {
      if ((lookedAt += 1) > MAX_LOOKED_AT) break;
      if (other !== own && other.first) sum.add(other.total, other.partUntil(start));
    }
    return sum;
  }

  #take(waiter: Waiter, share: number): void {
    const queue = this.#queueOf(waiter);
    queue.remove(waiter);
    queue.start += share / queue.weight;
    this.total.leave(waiter.demand);
    if (queue.first) this.#waiting.moved(queue);
    else {
      this.#waiting.remove(queue);
      this.#weights = this.#waiting.first ? this.#weights - queue.weight : 0;
      this.#idle.add(queue);
    }
    this.#now = Math.max(this.#now, this.#waiting.first?.start ?? 0);
    this.#tidy();
  }

  /** Tenants whose start tag is in the past begin anew like any other; when nobody waits, all do. */
  #tidy(): void {
    for (let { first } = this.#idle; first; { first } = this.#idle) {
      if (first.start > this.#now && this.size > 0 && this.#idle.size <= MAX_IDLE_TENANTS) return;
      this.#idle.remove(first);
      this.#tenants.delete(first.tenant);
    }
  }

  #queueOf({ demand: { tenant } }: Waiter): TenantQueue {
    return this.#tenants.get(tenant) as TenantQueue;
  }
}
