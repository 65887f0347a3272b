import type { ContractLimits } from "langchain-perf/testing";
import { QueueFullError, RateLimitError } from "../../src/core/errors.ts";
import type { Demand, Limiter, LimiterStatus, Permit, RequestOutcome } from "../../src/limits/limiter.ts";
import { type Call, CorrectLimiter } from "./correct-limiter.ts";

export type Mistake = new (limits: ContractLimits) => Limiter;

/** A mistake in how calls are ranked. */
const ranked = (isBefore: (one: Call, other: Call) => boolean | undefined): Mistake =>
  class extends CorrectLimiter {
    protected override isBefore(one: Call, other: Call): boolean {
      return isBefore(one, other) ?? super.isBefore(one, other);
    }
  };

const areEqual = (one: Call, other: Call): boolean => one.priority === other.priority && one.tenant === other.tenant && Math.abs(one.deadline - other.deadline) < 1_000;

/** A mistake in what the limiter is told to keep to. */
export const limited = (change: (limits: ContractLimits) => ContractLimits): Mistake =>
  class extends CorrectLimiter {
    constructor(limits: ContractLimits) {
      super(change(limits));
    }
  };

/** A mistake in what a demand says. */
const demanded = (change: (demand: Demand) => Demand): Mistake =>
  class extends CorrectLimiter {
    override acquire(demand: Demand = {}): Promise<Permit> {
      return super.acquire(change(demand));
    }
  };

/** A mistake in what a permit is and does. */
const permitted = (change: (permit: Permit, demand: Demand, again: () => void) => Permit): Mistake =>
  class extends CorrectLimiter {
    protected override permit(demand: Demand, since: number): Permit {
      return change(super.permit(demand, since), demand, () => this.released(demand, 1, {}));
    }
  };

/** Calls that have waited for so long are lost; a limiter under load. */
const LOST = 150;

/** What a limiter could do wrong. */
export const MISTAKES: Record<string, Mistake> = {
  "serves in the order of arrival": ranked((one, other) => one.since < other.since),
  "serves the last one first": ranked((one, other) => (areEqual(one, other) ? one.since > other.since : undefined)),
  "serves priority 9 first": ranked((one, other) => (one.priority === other.priority ? undefined : one.priority > other.priority)),
  "takes 0 for no priority": demanded((demand) => ({ ...demand, priority: demand.priority || 5 })),
  "takes no priority for the lowest": demanded((demand) => ({ priority: 9, ...demand })),
  "does not know deadlines": ranked((one, other) => (one.priority === other.priority && one.tenant === other.tenant ? one.since < other.since : undefined)),
  "puts deadlines before priorities": ranked((one, other) => (Math.abs(one.deadline - other.deadline) < 1_000 ? undefined : one.deadline < other.deadline)),
  "does not know tenants": ranked((one, other) => (one.priority === other.priority ? one.deadline < other.deadline : undefined)),
  "does not know weights": limited((limits) => ({ ...limits, weights: undefined })),
  "lets low priorities starve": class extends CorrectLimiter {
    protected override next(): Call | undefined {
      this.overtaken = 0;
      return super.next();
    }
  },
  "gives one permit too many": limited((limits) => (limits.maxConcurrent === undefined ? limits : { ...limits, maxConcurrent: limits.maxConcurrent + 1 })),
  "gives one permit at a time": limited((limits) => (limits.maxConcurrent === undefined ? limits : { ...limits, maxConcurrent: 1 })),
  "gives a permit too many while calls leave": class extends CorrectLimiter {
    protected override aborted(call: Call): void {
      this.places -= 1;
      super.aborted(call);
    }
  },
  "lets a call that leaves at its deadline take a place": class extends CorrectLimiter {
    protected override expired(call: Call): void {
      this.places += 1;
      super.expired(call);
    }
  },
  "lets an aborted call take a place": class extends CorrectLimiter {
    protected override aborted(call: Call): void {
      this.places += 1;
      super.aborted(call);
    }
  },
  "counts each release": permitted((permit, _, again) => {
    let releases = 0;
    return { ...permit, release: (outcome) => (releases++ === 0 ? permit.release(outcome) : again()) };
  }),
  "keeps the place of a request that failed": permitted((permit) => ({ ...permit, release: (outcome) => (outcome?.end === "failed" ? undefined : permit.release(outcome)) })),
  "cannot do without an outcome": permitted((permit) => ({ ...permit, release: (outcome) => permit.release({ end: (outcome as RequestOutcome).end }) })),
  "takes a permit back when its signal aborts": permitted((permit, { signal }) => {
    signal?.addEventListener("abort", () => permit.release());
    return permit;
  }),
  "lets nested demands wait": demanded((demand) => ({ ...demand, isNested: false })),
  "frees a place at the end of a nested request": class extends CorrectLimiter {
    protected override released(demand: Demand, _: number, outcome: RequestOutcome): void {
      super.released(demand, 1, outcome);
    }
  },
  "loses who comes when many wait": class extends CorrectLimiter {
    protected override wait(demand: Demand, since: number): Promise<Permit> {
      return this.calls.length > LOST ? new Promise(() => {}) : super.wait(demand, since);
    }
  },
  "serves nobody after an abort": class extends CorrectLimiter {
    protected override aborted(call: Call): void {
      super.aborted(call);
      this.serve = (): void => {};
    }
  },
  "does not hear aborts": class extends CorrectLimiter {
    protected override aborted(): void {}
  },
  "hears the first aborts alone": class extends CorrectLimiter {
    #heard = 0;
    protected override aborted(call: Call): void {
      if ((this.#heard += 1) <= 100) super.aborted(call);
    }
  },
  "leaves aborted calls in the queue": class extends CorrectLimiter {
    protected override remove(call: Call): void {
      if (!call.demand.signal?.aborted) super.remove(call);
    }
  },
  "rejects aborted calls with an error of its own": class extends CorrectLimiter {
    protected override aborted(call: Call): void {
      call.fail(new Error("aborted"));
    }
  },
  "takes calls whose signal is aborted already": class extends CorrectLimiter {
    override acquire(demand: Demand = {}): Promise<Permit> {
      return super.acquire(demand.signal?.aborted ? { ...demand, signal: undefined } : demand);
    }
  },
  "takes a place for a signal that is aborted already": class extends CorrectLimiter {
    override acquire(demand: Demand = {}): Promise<Permit> {
      if (demand.signal?.aborted) this.places += 1;
      return super.acquire(demand);
    }
  },
  "lets nested demands pass whose signal is aborted": class extends CorrectLimiter {
    override async acquire(demand: Demand = {}): Promise<Permit> {
      return demand.isNested ? this.permit(demand, performance.now()) : super.acquire(demand);
    }
  },
  "keeps no deadline": class extends CorrectLimiter {
    protected override patience(): number {
      return this.limits.maxWaitMs ?? Infinity;
    }
  },
  "keeps no maxWaitMs": limited((limits) => ({ ...limits, maxWaitMs: undefined })),
  "takes maxWaitMs for a default alone": class extends CorrectLimiter {
    protected override patience({ deadlineMs }: Demand): number {
      return deadlineMs ?? this.limits.maxWaitMs ?? Infinity;
    }
  },
  "says RateLimitError at a deadline": class extends CorrectLimiter {
    protected override expired(call: Call): void {
      call.fail(new RateLimitError(this.name, "late", 1));
    }
  },
  "has a queue without an end": limited((limits) => ({ ...limits, maxQueue: undefined })),
  "lets one call more wait": limited((limits) => (limits.maxQueue === undefined ? limits : { ...limits, maxQueue: limits.maxQueue + 1 })),
  "empties a full queue": class extends CorrectLimiter {
    override async acquire(demand: Demand = {}): Promise<Permit> {
      if (this.calls.length < (this.limits.maxQueue ?? Infinity)) return super.acquire(demand);
      for (const call of this.calls) call.fail(new QueueFullError(this.name, this.calls.length));
      throw new QueueFullError(this.name, this.calls.length);
    }
  },
  "does not measure the wait": permitted((permit) => ({ ...permit, waitMs: 0 })),
  "measures the wait in seconds": permitted((permit) => ({ ...permit, waitMs: permit.waitMs / 1_000 })),
  "counts who waits as active": class extends CorrectLimiter {
    override status(): LimiterStatus {
      return { ...super.status(), active: this.active + this.calls.length };
    }
  },
  "has no name": class extends CorrectLimiter {
    override readonly name = "";
  },
  "drops who waits when it is closed": class extends CorrectLimiter {
    override async close(): Promise<void> {
      for (const call of this.calls) call.fail(new Error("closed"));
    }
  },
  "does not know requests per minute": limited((limits) => ({ ...limits, requestsPerMinute: undefined })),
  "counts calls for requests": demanded((demand) => ({ ...demand, requests: undefined })),
  "does not know tokens per minute": limited((limits) => ({ ...limits, tokensPerMinute: undefined })),
  "does not know budgets": limited((limits) => ({ ...limits, budgetUsdPerHour: undefined })),
  "admits nothing under a quota": class extends CorrectLimiter {
    protected override fits(demand: Demand): boolean {
      return !this.limits.requestsPerMinute && !this.limits.tokensPerMinute && super.fits(demand);
    }
  },
  "believes estimates": permitted((permit) => ({ ...permit, release: (outcome) => permit.release({ ...outcome, tokens: undefined }) })),
  "lets wait what can never be served": demanded((demand) => ({ ...demand, tokens: Math.min(demand.tokens ?? 0, 1_000) })),
};

/** A rejection that nobody hears of. */
export class Unhandling extends CorrectLimiter {
  protected override aborted(call: Call): void {
    void Promise.reject(call.demand.signal?.reason);
    super.aborted(call);
  }
}
