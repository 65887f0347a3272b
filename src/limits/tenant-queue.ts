import type { Permit } from "./limiter.ts";
import type { Amounts, FullDemand } from "./demand.ts";
import { Heap, type Placed } from "./heap.ts";
import { Tally } from "./tally.ts";

/** Who has set no deadline is served as if it were this late, so that nobody with one passes it for ever, milliseconds. */
const PATIENCE_MS = 60_000;
/** Deadlines are counted together by this much, milliseconds. */
const BUCKET_MS = 250;

/** One call that waits. */
export class Waiter implements Placed {
  place = -1;
  readonly demand: FullDemand;
  /** Its rank among the calls of its tenant and priority: earliest deadline first. */
  readonly dueAt: number;
  readonly number: number;
  readonly resolve: (permit: Permit) => void;
  readonly reject: (error: unknown) => void;
  /** Where it stands among all deadlines. */
  expiry: (Placed & { readonly waiter: Waiter }) | undefined;

  constructor(demand: FullDemand, number: number, resolve: (permit: Permit) => void, reject: (error: unknown) => void) {
    this.demand = demand;
    this.dueAt = dueAtOf(demand);
    this.number = number;
    this.resolve = resolve;
    this.reject = reject;
  }
}

/** The calls of one tenant that wait with the same priority. */
export class TenantQueue implements Placed {
  place = -1;
  readonly tenant: string;
  readonly weight: number;
  /** Start tag of the first call, in the virtual time of its priority. */
  start: number;
  readonly total = new Tally();
  readonly #waiters = new Heap<Waiter>((a, b) => a.dueAt < b.dueAt || (a.dueAt === b.dueAt && a.number < b.number));
  readonly #buckets = new Map<number, Tally>();
  #latestDueAt = -Infinity;
  #largestShare = 0;

  constructor(tenant: string, weight: number, start: number) {
    this.tenant = tenant;
    this.weight = weight;
    this.start = start;
  }

  get first(): Waiter | undefined {
    return this.#waiters.first;
  }

  /** How far the largest call moves the start tag. */
  get turn(): number {
    return this.#largestShare / this.weight;
  }

  /** Who is served before somebody new who is due then. Of those who are due at nearly the same time only what is certain. */
  ahead(dueAt: number): Readonly<Tally> {
    if (dueAt >= this.#latestDueAt) return this.total;
    const last = bucketOf(dueAt);
    const sum = new Tally();
    for (const [bucket, tally] of this.#buckets) if (bucket < last) sum.add(tally);
    return sum;
  }

  /** The part of those who wait that is served at the least before its start tag is later than this. */
  partUntil(tag: number): number {
    if (this.start > tag) return 0;
    const { calls } = this.total;
    return Math.min(calls, Math.max(1, (tag - this.start) / this.turn)) / calls;
  }

  add(waiter: Waiter): void {
    const { dueAt, demand } = waiter;
    this.#waiters.add(waiter);
    this.#latestDueAt = Math.max(this.#latestDueAt, dueAt);
    this.#largestShare = Math.max(this.#largestShare, shareOf(demand));
    this.total.join(demand);
    const bucket = bucketOf(dueAt);
    let tally = this.#buckets.get(bucket);
    if (!tally) this.#buckets.set(bucket, (tally = new Tally()));
    tally.join(demand);
  }

  remove(waiter: Waiter): void {
    const { dueAt, demand } = waiter;
    this.#waiters.remove(waiter);
    this.total.leave(demand);
    const bucket = bucketOf(dueAt);
    const tally = this.#buckets.get(bucket) as Tally;
    tally.leave(demand);
    if (tally.calls === 0) this.#buckets.delete(bucket);
  }
}

/** What a demand counts for in the shares of tenants. */
export function shareOf({ tokens, requests }: Amounts): number {
  return tokens > 0 ? tokens : requests;
}

/** By when a demand should be served. */
export function dueAtOf({ deadlineAt, since }: FullDemand): number {
  return Math.min(deadlineAt, since + PATIENCE_MS);
}

function bucketOf(dueAt: number): number {
  return Math.floor(dueAt / BUCKET_MS);
}
