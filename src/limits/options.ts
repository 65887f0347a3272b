import { OptionError } from "../core/errors.ts";
import { isRecord, type OptionReader } from "../core/options.ts";

/** What a limiter keeps to. Absent = no such limit. */
export interface LimiterOptions {
  /** Requests in any sliding minute. */
  requestsPerMinute?: number;
  /** Tokens, of prompts and answers together, in any sliding minute. */
  tokensPerMinute?: number;
  /** Requests under way at once; `adaptive` finds out how many are good for the upstream, by its latency. */
  maxConcurrent?: number | "adaptive";
  /** USD in any sliding hour. */
  budgetUsdPerHour?: number;
  /** Calls that may wait; one more is refused with QueueFullError. @default 10_000 */
  maxQueue?: number;
  /** A call that does not get its permit within this time is refused with DeadlineError, and at once if that is clear from the start, milliseconds. @default 600_000, the time after which OpenAI's own client gives up */
  maxWaitMs?: number;
  /** Shares of tenants while several have calls that wait, by name. @default 1 each */
  weights?: Record<string, number>;
}

export interface ResolvedLimits {
  readonly requestsPerMinute: number | undefined;
  readonly tokensPerMinute: number | undefined;
  readonly maxConcurrent: number | "adaptive" | undefined;
  readonly budgetUsdPerHour: number | undefined;
  readonly maxQueue: number;
  readonly maxWaitMs: number;
  readonly weights: ReadonlyMap<string, number>;
}

const MAX_QUEUE = 10_000;
const MAX_WAIT_MS = 600_000;

/** @throws OptionError */
export function readLimits(read: OptionReader): ResolvedLimits {
  const maxConcurrent = read.raw("maxConcurrent");
  return {
    requestsPerMinute: read.number("requestsPerMinute", { default: undefined, min: 1 }),
    tokensPerMinute: read.number("tokensPerMinute", { default: undefined, min: 1 }),
    maxConcurrent: resolveConcurrent(maxConcurrent, read.pathOf("maxConcurrent")),
    budgetUsdPerHour: read.number("budgetUsdPerHour", { default: undefined, above: 0 }),
    ...readQueue(read),
  };
}

/** The part of the options that is about waiting. @throws OptionError */
export function readQueue(read: OptionReader): Pick<ResolvedLimits, "maxQueue" | "maxWaitMs" | "weights"> {
  return {
    maxQueue: read.number("maxQueue", { default: MAX_QUEUE, min: 0, integer: true }),
    maxWaitMs: read.number("maxWaitMs", { default: MAX_WAIT_MS, min: 0 }),
    weights: resolveWeights(read.raw("weights"), read.pathOf("weights")),
  };
}

function resolveConcurrent(value: unknown, path: string): number | "adaptive" | undefined {
  if (value === undefined || value === "adaptive") return value;
  if (value === Infinity) return undefined;
  if (typeof value !== "number" || !Number.isInteger(value) || value < 1) throw new OptionError(path, 'a whole number of at least 1, or "adaptive"', value);
  return value;
}

function resolveWeights(raw: unknown, path: string): ReadonlyMap<string, number> {
  if (raw === undefined) return new Map();
  if (!isRecord(raw)) throw new OptionError(path, "an object of weights by tenant", raw);
  for (const [tenant, weight] of Object.entries(raw)) {
    if (typeof weight !== "number" || !(weight > 0 && weight < Infinity)) throw new OptionError(`${path}.${tenant}`, "a number above 0", weight);
  }
  return new Map(Object.entries(raw)) as ReadonlyMap<string, number>;
}
