import { DeadlineError, OptionError } from "../core/errors.ts";
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

/**
 * Whatever is `null` counts as absent: callers need not have been compiled.
 * @throws OptionError, the signal's reason when it has aborted, and DeadlineError when the deadline has passed
 */
export function resolveDemand(demand: Demand | null, maxWaitMs: number, now: number): FullDemand {
  const asked: Demand = demand ?? {};
  const priority = asked.priority ?? DEFAULT_PRIORITY;
  if (!Number.isInteger(priority) || priority < 0 || priority >= PRIORITIES) throw new OptionError("priority", "a whole number from 0 to 9", priority);
  const deadlineMs = asked.deadlineMs ?? Infinity;
  if (typeof deadlineMs !== "number" || Number.isNaN(deadlineMs)) throw new OptionError("deadlineMs", "a number", deadlineMs);
  asked.signal?.throwIfAborted();
  if (deadlineMs < 0) throw new DeadlineError(`The deadline had passed ${Math.ceil(-deadlineMs)} ms before the permit was asked for.`);
  return {
    requests: amount("requests", asked.requests, 1),
    tokens: amount("tokens", asked.tokens, 0),
    costUsd: amount("costUsd", asked.costUsd, 0),
    priority,
    tenant: asked.tenant ?? "",
    isNested: asked.isNested ?? false,
    signal: asked.signal ?? undefined,
    since: now,
    deadlineAt: now + Math.min(maxWaitMs, deadlineMs),
  };
}

/** An amount that an outcome tells. Providers tell nonsense at times, which counts as not told: one NaN would stay in the sums for ever. */
export function told(amount: unknown): number | undefined {
  return isAmount(amount) ? amount : undefined;
}

function amount(name: keyof Amounts, value: number | null | undefined, absent: number): number {
  if (value === undefined || value === null) return absent;
  if (!isAmount(value)) throw new OptionError(name, "a number of at least 0", value);
  return value;
}

function isAmount(value: unknown): value is number {
  return typeof value === "number" && value >= 0 && value < Infinity;
}
