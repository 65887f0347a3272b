import type { Amounts } from "../demand.ts";
import type { LimiterStatus } from "../limiter.ts";
import type { ResolvedLimits } from "../options.ts";
import { HOUR_SLICE_MS, MINUTE_SLICE_MS, type SharedLimits } from "./exchange-script.ts";

/** Requests, tokens and nano-USD: whole numbers, as a running total in Redis needs them. */
export type Gauged = readonly [requests: number, tokens: number, nanoUsd: number];

export const SLICE_MS: Gauged = [MINUTE_SLICE_MS, MINUTE_SLICE_MS, HOUR_SLICE_MS];
const NANO = 1e9;

/** Rounded up. */
export function gauged({ requests, tokens, costUsd }: Amounts): Gauged {
  return [Math.ceil(requests), Math.ceil(tokens), Math.ceil(costUsd * NANO)];
}

export const NOTHING: Gauged = [0, 0, 0];

export function plus(a: Gauged, b: Gauged): Gauged {
  return [a[0] + b[0], a[1] + b[1], a[2] + b[2]];
}

/** Nothing when it is not enough. */
export function minus(a: Gauged, b: Gauged): Gauged | undefined {
  return a[0] < b[0] || a[1] < b[1] || a[2] < b[2] ? undefined : [a[0] - b[0], a[1] - b[1], a[2] - b[2]];
}

/** What all processes together keep to. */
export function sharedLimits({ requestsPerMinute, tokensPerMinute, budgetUsdPerHour, maxConcurrent }: ResolvedLimits): SharedLimits {
  const finite = (limit: number | undefined): number | undefined => (limit === Infinity ? undefined : limit);
  return {
    requests: finite(requestsPerMinute),
    tokens: finite(tokensPerMinute),
    nanoUsd: finite(budgetUsdPerHour === undefined ? undefined : Math.floor(budgetUsdPerHour * NANO)),
    // What adapts is each process's own.
    places: typeof maxConcurrent === "number" ? maxConcurrent : undefined,
  };
}

type Used = NonNullable<LimiterStatus["used"]>;

/** The share of each limit that is taken: what this process counts, or what all have taken, if that is more. */
export function usedOf(own: Used, totals: Gauged, { requests = Infinity, tokens = Infinity, nanoUsd = Infinity }: SharedLimits): Used {
  const all = { requests: totals[0] / requests, tokens: totals[1] / tokens, costUsd: totals[2] / nanoUsd };
  return Object.fromEntries(Object.entries(own).map(([name, used]) => [name, Math.max(used, all[name as keyof Used])]));
}
