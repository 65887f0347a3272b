import type { ContractLimits } from "langchain-perf/testing";
import { DeadlineError, QueueFullError, RateLimitError } from "../../src/core/errors.ts";
import type { Demand, Limiter, LimiterStatus, Permit, RequestOutcome } from "../../src/limits/limiter.ts";

export interface Call {
  readonly demand: Demand;
  readonly priority: number;
  readonly tenant: string;
  readonly since: number;
  readonly deadline: number;
  readonly give: () => void;
  readonly fail: (error: unknown) => void;
}

/** How late somebody without a deadline counts as, milliseconds. */
const PATIENCE_MS = 60_000;

/** A limiter that keeps every promise in the plainest way; its mistakes are subclasses. */
export class CorrectLimiter implements Limiter {
  readonly name: string = "correct";
  protected calls: Call[] = [];
  protected active = 0;
  protected places = 0;
  protected requests = 0;
  protected tokens = 0;
  protected costUsd = 0;
  protected overtaken = 0;
  protected readonly turns = new Map<string, number>();
  protected readonly limits: ContractLimits;

  constructor(limits: ContractLimits) {
    this.limits = limits;
  }

  async acquire(demand: Demand = {}): Promise<Permit> {
    const { maxQueue = Infinity, tokensPerMinute = Infinity, requestsPerMinute = Infinity } = this.limits;
    demand.signal?.throwIfAborted();
    if ((demand.tokens ?? 0) > tokensPerMinute || (demand.requests ?? 1) > requestsPerMinute) throw new RateLimitError(this.name, "too large", Infinity);
    const since = performance.now();
    if (demand.isNested || (this.calls.length === 0 && this.fits(demand))) return this.permit(demand, since);
    if (this.calls.length >= maxQueue) throw new QueueFullError(this.name, this.calls.length);
    return this.wait(demand, since);
  }

  status(): LimiterStatus {
    return { name: this.name, queued: this.calls.length, active: this.active };
  }

  async close(): Promise<void> {}

  protected patience({ deadlineMs = Infinity }: Demand): number {
    return Math.min(deadlineMs, this.limits.maxWaitMs ?? Infinity);
  }

  protected wait(demand: Demand, since: number): Promise<Permit> {
    return new Promise((resolve, reject) => {
      const { priority = 5, tenant = "", signal } = demand;
      const patience = this.patience(demand);
      const end = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", abort);
        this.remove(call);
      };
      const call: Call = {
        demand, priority, tenant, since, deadline: since + Math.min(patience, PATIENCE_MS),
        give: () => (end(), resolve(this.permit(demand, since))),
        fail: (error) => (end(), reject(error)),
      };
      const abort = (): void => this.aborted(call);
      const timer = patience === Infinity ? undefined : setTimeout(() => this.expired(call), patience);
      signal?.addEventListener("abort", abort);
      if (this.calls.length === 0) this.turns.clear();
      this.calls.push(call);
    });
  }

  protected aborted(call: Call): void {
    call.fail(call.demand.signal?.reason);
    this.serve();
  }

  protected expired(call: Call): void {
    call.fail(new DeadlineError("late"));
    this.serve();
  }

  protected remove(call: Call): void {
    this.calls = this.calls.filter((other) => other !== call);
  }

  protected fits({ requests = 1, tokens = 0, costUsd = 0 }: Demand): boolean {
    const { maxConcurrent = Infinity, requestsPerMinute = Infinity, tokensPerMinute = Infinity, budgetUsdPerHour = Infinity } = this.limits;
    return this.places < maxConcurrent && this.costUsd + costUsd <= budgetUsdPerHour && this.requests + requests <= requestsPerMinute && this.tokens + tokens <= tokensPerMinute;
  }

  protected isBefore(one: Call, other: Call): boolean {
    if (one.priority !== other.priority) return one.priority < other.priority;
    const [turn, otherTurn] = [this.turns.get(one.tenant) ?? 0, this.turns.get(other.tenant) ?? 0];
    if (one.tenant !== other.tenant && turn !== otherTurn) return turn < otherTurn;
    return one.deadline < other.deadline;
  }

  protected next(): Call | undefined {
    const first = this.calls.reduce<Call | undefined>((best, call) => (best && !this.isBefore(call, best) ? best : call), undefined);
    const lower = this.calls.find((call) => first && call.priority > first.priority);
    if (lower && this.overtaken >= 9) return lower;
    return first;
  }

  protected serve(): void {
    for (let call = this.next(); call && this.fits(call.demand); call = this.next()) {
      const { priority, tenant } = call;
      this.overtaken = this.calls.some((other) => other.priority > priority) ? this.overtaken + 1 : 0;
      this.turns.set(tenant, (this.turns.get(tenant) ?? 0) + 1 / (this.limits.weights?.[tenant] ?? 1));
      call.give();
    }
  }

  protected permit(demand: Demand, since: number): Permit {
    const place = demand.isNested ? 0 : 1;
    this.active += 1;
    this.places += place;
    this.requests += demand.requests ?? 1;
    this.tokens += demand.tokens ?? 0;
    this.costUsd += demand.costUsd ?? 0;
    let isHeld = true;
    const release = (outcome: RequestOutcome = {}): void => {
      if (!isHeld) return;
      isHeld = false;
      this.released(demand, place, outcome);
    };
    return { waitMs: performance.now() - since, release };
  }

  protected released(demand: Demand, place: number, { tokens }: RequestOutcome): void {
    this.active -= 1;
    this.places -= place;
    if (tokens !== undefined) this.tokens += tokens - (demand.tokens ?? 0);
    this.serve();
  }
}
