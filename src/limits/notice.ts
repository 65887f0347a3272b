import { headOfError, retryAfterMs, type HeaderLookup } from "../core/retry-after.ts";
import type { QuotaLevel, QuotaNotice } from "./limiter.ts";

/** Names of the headers that tell limit, remaining and reset of one quota. */
type Names = readonly [limit: string, remaining: string, reset: string];

/** OpenAI, Azure, Groq and most that speak like OpenAI; Anthropic; Mistral. The first that a response has counts. */
const REQUESTS: readonly Names[] = [
  ["x-ratelimit-limit-requests", "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"],
  ["anthropic-ratelimit-requests-limit", "anthropic-ratelimit-requests-remaining", "anthropic-ratelimit-requests-reset"],
  ["x-ratelimit-limit-req-minute", "x-ratelimit-remaining-req-minute", ""],
];
/** Anthropic's `tokens` are those of the narrowest of its limits. */
const TOKENS: readonly Names[] = [
  ["x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"],
  ["anthropic-ratelimit-tokens-limit", "anthropic-ratelimit-tokens-remaining", "anthropic-ratelimit-tokens-reset"],
  ["x-ratelimit-limit-tokens-minute", "x-ratelimit-remaining-tokens-minute", ""],
  ["ratelimitbysize-limit", "ratelimitbysize-remaining", "ratelimitbysize-reset"],
];
const INPUT: Names = ["anthropic-ratelimit-input-tokens-limit", "anthropic-ratelimit-input-tokens-remaining", "anthropic-ratelimit-input-tokens-reset"];
const OUTPUT: Names = ["anthropic-ratelimit-output-tokens-limit", "anthropic-ratelimit-output-tokens-remaining", "anthropic-ratelimit-output-tokens-reset"];

const SECOND_MS = 1_000;
const UNITS_MS = [24 * 3_600_000, 3_600_000, 60_000, SECOND_MS, 1] as const;
/** As OpenAI writes durations: `7ms`, `1.5s`, `6m0s`, `1h0m0s`; Groq `2m59.56s`. */
const DURATION = /^(?:([\d.]+)d)?(?:([\d.]+)h)?(?:([\d.]+)m(?!s))?(?:([\d.]+)s)?(?:([\d.]+)ms)?$/;
/** A longer time is something else, such as a moment in seconds since the epoch. */
const LONGEST_MS = 31 * UNITS_MS[0];

/**
 * What a response says of the provider's limits; `undefined` when nothing. Dates are read against the response's own `date`, so that clocks need not agree.
 * @param headers by their names in lower case
 * @param now the wall clock, milliseconds since the epoch
 */
export function noticeOf(status: number, headers: ReadonlyMap<string, string>, now: number): QuotaNotice | undefined {
  return read(status, (name) => headers.get(name), now);
}

/** The same of the response behind an error, for clients whose responses nobody hears. */
export function noticeOfError(error: unknown, now: number): QuotaNotice | undefined {
  const head = headOfError(error);
  return head && read(head.status, head.header, now);
}

function read(status: number, header: HeaderLookup, localNow: number): QuotaNotice | undefined {
  const date = Date.parse(header("date") ?? "");
  const now = Number.isNaN(date) ? localNow : date;
  const requests = firstOf(REQUESTS, header, now);
  const tokens = firstOf(TOKENS, header, now) ?? bothOf(levelOf(INPUT, header, now), levelOf(OUTPUT, header, now));
  const waitMs = status < 400 ? undefined : within(retryAfterMs(header, now));
  // What is refused for ever, such as a request that is too large, says nothing of when others may come.
  const isRefusal = header("x-should-retry") !== "false" && (status === 429 || (status >= 500 && waitMs !== undefined));
  if (!isRefusal && !requests && !tokens) return undefined;
  return { isRefusal, ...(requests && { requests }), ...(tokens && { tokens }), ...(isRefusal && waitMs !== undefined && { retryAfterMs: waitMs }) };
}

function firstOf(names: readonly Names[], header: HeaderLookup, now: number): QuotaLevel | undefined {
  for (const each of names) {
    const level = levelOf(each, header, now);
    if (level) return level;
  }
  return undefined;
}

function levelOf([limitName, remainingName, resetName]: Names, header: HeaderLookup, now: number): QuotaLevel | undefined {
  const limit = amountOf(header(limitName));
  const remaining = amountOf(header(remainingName));
  if (limit === 0 || (limit === undefined && remaining === undefined) || (limit !== undefined && remaining !== undefined && remaining > limit)) return undefined;
  const resetMs = resetName === "" ? undefined : resetOf(header(resetName) ?? "", now);
  return { ...(limit !== undefined && { limit }), ...(remaining !== undefined && { remaining }), ...(resetMs !== undefined && { resetMs }) };
}

/** Prompts and answers count together here: their limits are added up, and the scarcer of the two says how much of that is left. */
function bothOf(input: QuotaLevel | undefined, output: QuotaLevel | undefined): QuotaLevel | undefined {
  if (input?.limit === undefined || output?.limit === undefined) return input ?? output;
  const limit = input.limit + output.limit;
  const [scarcer, share] = [input, output].map((level) => [level, (level.remaining ?? 0) / (level.limit as number)] as const).reduce((a, b) => (b[1] < a[1] ? b : a));
  return { limit, remaining: limit * share, ...(scarcer.resetMs !== undefined && { resetMs: scarcer.resetMs }) };
}

function amountOf(text = ""): number | undefined {
  return /^\d+(?:\.\d+)?$/.test(text) ? Number(text) : undefined;
}

/** A duration, seconds (Azure), or a moment (Anthropic: RFC 3339). What is past, or cannot be read, says nothing. */
function resetOf(text: string, now: number): number | undefined {
  const seconds = amountOf(text);
  if (seconds !== undefined) return within(seconds * SECOND_MS);
  const parts = text === "" ? null : DURATION.exec(text);
  if (parts) return within(UNITS_MS.reduce((sum, unit, place) => sum + Number(parts[place + 1] ?? 0) * unit, 0));
  return within(Date.parse(text) - now);
}

function within(durationMs: number | undefined): number | undefined {
  return durationMs !== undefined && durationMs >= 0 && durationMs <= LONGEST_MS ? durationMs : undefined;
}
