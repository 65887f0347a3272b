import { RateLimitError } from "../../core/errors.ts";
import { told, type Amounts } from "../demand.ts";
import type { LimiterStatus, RequestOutcome } from "../limiter.ts";
import type { ResolvedLimits } from "../options.ts";
import { EXACT, LearnedEstimates } from "./estimates.ts";
import { Meter } from "./meter.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

interface Quota {
  readonly name: keyof Amounts;
  readonly option: "requestsPerMinute" | "tokensPerMinute" | "budgetUsdPerHour";
  readonly unit: string;
  readonly time: string;
  readonly meter: Meter;
}

/** All quotas of a limiter together. */
export class Meters {
  readonly #quotas: readonly Quota[];

  constructor({ requestsPerMinute, tokensPerMinute, budgetUsdPerHour }: ResolvedLimits) {
    this.#quotas = [
      ...quota(requestsPerMinute, (limit) => ({
        name: "requests", option: "requestsPerMinute", unit: "requests", time: "a minute",
        meter: new Meter({ quota: limit, lengthMs: MINUTE_MS, leastBurst: 1, estimates: EXACT }),
      })),
      ...quota(tokensPerMinute, (limit) => ({
        name: "tokens", option: "tokensPerMinute", unit: "tokens", time: "a minute",
        meter: new Meter({ quota: limit, lengthMs: MINUTE_MS, leastBurst: 0, estimates: new LearnedEstimates() }),
      })),
      ...quota(budgetUsdPerHour, (limit) => ({
        name: "costUsd", option: "budgetUsdPerHour", unit: "USD", time: "an hour",
        meter: new Meter({ quota: limit, lengthMs: HOUR_MS, leastBurst: 0, estimates: new LearnedEstimates() }),
      })),
    ];
  }

  /** Why such a demand can never be met, if that is so. */
  refusal(demand: Amounts, limiter: string): RateLimitError | undefined {
    const exceeded = this.#quotas.find(({ name, meter }) => demand[name] > meter.quota);
    if (!exceeded) return undefined;
    const { name, option, unit, time, meter } = exceeded;
    return new RateLimitError(limiter, `The request takes ${demand[name]} ${unit}, and the limiter "${limiter}" allows ${meter.quota} in ${time} (${option}).`, Infinity);
  }

  /** Milliseconds until this may be taken, if nothing changes but time; 0 = now, `Infinity` = never. */
  waitMs(demand: Amounts, now: number): number {
    let waitMs = 0;
    for (const { name, meter } of this.#quotas) waitMs = Math.max(waitMs, meter.waitMs(demand[name], now));
    return waitMs;
  }

  /** Milliseconds that must pass before this may be taken after all that is before it, even if it all turns out to be as little as can be hoped. */
  leastWaitMs(demand: Amounts, before: Amounts, now: number): number {
    return Math.max(0, ...this.#quotas.map(({ name, meter }) => meter.leastWaitMs(demand[name], before[name], now)));
  }

  take(demand: Amounts, now: number): void {
    for (const { name, meter } of this.#quotas) meter.take(demand[name], now);
  }

  /** @returns what a demand that was met has really taken */
  settle(demand: Amounts, outcome: RequestOutcome, takenAt: number, now: number): Amounts {
    const truth = { requests: demand.requests, tokens: told(outcome.tokens) ?? demand.tokens, costUsd: told(outcome.costUsd) ?? demand.costUsd };
    for (const { name, meter } of this.#quotas) meter.settle(demand[name], truth[name], takenAt, now);
    return truth;
  }

  rescale(share: number): void {
    for (const { meter } of this.#quotas) meter.rescale(share);
  }

  used(now: number): NonNullable<LimiterStatus["used"]> {
    return Object.fromEntries(this.#quotas.map(({ name, meter }) => [name, meter.used(now)]));
  }
}

function quota(limit: number | undefined, make: (limit: number) => Quota): Quota[] {
  return limit === undefined || limit === Infinity ? [] : [make(limit)];
}
