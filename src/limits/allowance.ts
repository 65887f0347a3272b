import type { Clock } from "../core/clock.ts";
import { DeadlineError, type RateLimitError } from "../core/errors.ts";
import type { Amounts, FullDemand } from "./demand.ts";
import type { LimiterStatus, Permit, RequestOutcome } from "./limiter.ts";
import type { WaitingLine } from "./line.ts";
import { Meters } from "./meters/meters.ts";
import type { ResolvedLimits } from "./options.ts";
import { Places } from "./places.ts";

export interface AllowanceOptions {
  /** Name of the limiter, for errors. */
  readonly limiter: string;
  readonly limits: ResolvedLimits;
  readonly clock: Clock;
  /** A permit was released. @param truth what it really took @param time as `admit` was told it */
  ended(demand: FullDemand, truth: Amounts, time: number): void;
}

/** What may be taken in this process, quotas and places together, and who has taken it. */
export class Allowance {
  readonly #options: AllowanceOptions;
  readonly #meters: Meters;
  readonly #places: Places | undefined;
  /** Permits that are held. */
  active = 0;
  /** Those of them that have a place. */
  held = 0;

  constructor(options: AllowanceOptions) {
    const { limits } = options;
    this.#options = options;
    this.#meters = new Meters(limits);
    this.#places = limits.maxConcurrent === undefined ? undefined : new Places(limits.maxConcurrent);
  }

  status(): Pick<LimiterStatus, "active" | "concurrency" | "used"> {
    return {
      active: this.active,
      ...(this.#places && { concurrency: { limit: this.#places.limit, reason: this.#places.reason } }),
      used: this.#meters.used(this.#options.clock.elapsed()),
    };
  }

  /** Whether there is a place, for one that needs a place. */
  hasPlace({ isNested }: FullDemand): boolean {
    return isNested || !this.#places || this.#places.isFree;
  }

  /** Milliseconds until a demand may be met, if nothing changes but time; 0 = now, `Infinity` = not before a place is free, or never. */
  waitMs(demand: FullDemand, now: number): number {
    return this.hasPlace(demand) ? this.#meters.waitMs(demand, now) : Infinity;
  }

  /** Why a demand can never be met, or not in time when it comes after those who wait. */
  refusal(demand: FullDemand, line: WaitingLine, now: number): RateLimitError | DeadlineError | undefined {
    const { limiter } = this.#options;
    const allowedMs = demand.deadlineAt - now;
    const never = this.#meters.refusal(demand, limiter);
    if (never || allowedMs === Infinity) return never;
    const before = line.ahead(demand);
    const leastMs = Math.max(this.#meters.leastWaitMs(demand, before, now), demand.isNested ? 0 : (this.#places?.leastWaitMs(before.calls) ?? 0));
    if (leastMs <= allowedMs) return undefined;
    return new DeadlineError(`A permit of the limiter "${limiter}" had to come within ${Math.round(allowedMs)} ms, and cannot come before ${Math.round(leastMs)} ms have passed.`);
  }

  /**
   * Counts a request, whether it fits or not.
   * @param time the same moment by another clock, for `ended`
   */
  admit(demand: FullDemand, now: number, time = now): Permit {
    this.active += 1;
    if (!demand.isNested) {
      this.held += 1;
      this.#places?.take();
    }
    this.#meters.take(demand, now);
    return new Grant(demand, now, time, this.#end);
  }

  /** From now on only this share of the limits may be taken, above 0 and up to 1; a request that is larger than that goes alone. */
  rescale(share: number): void {
    this.#meters.rescale(share);
    this.#places?.rescale(share);
  }

  readonly #end = ({ demand, since, time }: Grant, outcome: RequestOutcome): void => {
    const now = this.#options.clock.elapsed();
    this.active -= 1;
    if (!demand.isNested) {
      this.held -= 1;
      this.#places?.leave(now - since, outcome.end ?? "ok", now);
    }
    this.#options.ended(demand, this.#meters.settle(demand, outcome, since, now), time);
  };
}

class Grant implements Permit {
  readonly waitMs: number;
  readonly demand: FullDemand;
  readonly since: number;
  readonly time: number;
  #end: ((grant: Grant, outcome: RequestOutcome) => void) | undefined;

  constructor(demand: FullDemand, since: number, time: number, end: (grant: Grant, outcome: RequestOutcome) => void) {
    this.waitMs = since - demand.since;
    this.demand = demand;
    this.since = since;
    this.time = time;
    this.#end = end;
  }

  release(outcome?: RequestOutcome): void {
    const end = this.#end;
    this.#end = undefined;
    end?.(this, outcome ?? {});
  }
}
