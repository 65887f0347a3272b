import { OptionError } from "../core/errors.ts";
import type { Demand } from "./limiter.ts";

/** What requests take of the limits. */
export interface Amounts {
  readonly requests: number;
  readonly tokens: number;
  readonly costUsd: number;
}

/** A demand with its defaults, and with its deadline on the monotonic clock. */
export interface FullDemand extends Amounts {
  readonly priority: number;
  readonly tenant: string;
  readonly since: number;
  /** May be `Infinity`. */
  readonly deadlineAt: number;
  readonly isNested: boolean;
  readonly signal: AbortSignal | undefined;
}

export const PRIORITIES = 10;
const DEFAULT_PRIORITY = 5;

/** @throws OptionError */
export function resolveDemand(demand: Demand, maxWaitMs: number, now: number): FullDemand {
  const { priority = DEFAULT_PRIORITY, tenant = "", deadlineMs = Infinity, isNested = false, signal } = demand;
  if (!Number.isInteger(priority) || priority < 0 || priority >= PRIORITIES) throw new OptionError("priority", "a whole number from 0 to 9", priority);
  if (Number.isNaN(deadlineMs)) throw new OptionError("deadlineMs", "a number", deadlineMs);
  return {
    requests: amount("requests", demand.requests, 1),
    tokens: amount("tokens", demand.tokens, 0),
    costUsd: amount("costUsd", demand.costUsd, 0),
    priority, tenant, isNested, signal,
    since: now,
    deadlineAt: now + Math.min(maxWaitMs, deadlineMs),
  };
}

function amount(name: keyof Amounts, value: number | undefined, absent: number): number {
  if (value === undefined) return absent;
  if (!(value >= 0 && value < Infinity)) throw new OptionError(name, "a number of at least 0", value);
  return value;
}
