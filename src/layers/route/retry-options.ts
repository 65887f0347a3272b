import { warnOnce } from "../../core/callback.ts";
import { OptionError } from "../../core/errors.ts";
import { isRecord, resolveWith, type OptionReader } from "../../core/options.ts";
import type { RetryRules } from "./pool.ts";
import type { TimeoutOptions } from "./routing-options.ts";

/** More would be a call that does not end. */
const MOST_RETRIES = 1_000;
const DEFAULT = { maxRetries: 2, baseDelayMs: 100, maxDelayMs: 30_000, budget: 0.2 } as const;
/** Where nobody asked for retries, a model's own are made, as often and by the rules that LangChain would make them. */
const LIKE_LANGCHAIN: RetryRules = { maxRetries: undefined, baseDelayMs: 1_000, maxDelayMs: 30_000, budget: Infinity, on: undefined };
const NONE: RetryRules = { ...LIKE_LANGCHAIN, maxRetries: 0 };

/** What `retry` says for a pool. @param isNamed whether somebody spoke of its deployments */
export type RetryFor = (isNamed: boolean) => RetryRules;

/** @throws OptionError */
export function resolveRetry(raw: unknown): RetryFor {
  if (raw === false) return () => NONE;
  if (raw !== undefined && !isRecord(raw)) throw new OptionError("retry", "false or an object of options", raw);
  const given = resolveWith("retry", raw ?? {}, (read) => ({
    maxRetries: read.number("maxRetries", { default: undefined, min: 0, max: MOST_RETRIES, integer: true }),
    baseDelayMs: read.number("baseDelayMs", { default: DEFAULT.baseDelayMs, min: 0 }),
    maxDelayMs: read.number("maxDelayMs", { default: DEFAULT.maxDelayMs, min: 0 }),
    budget: read.number("budget", { default: DEFAULT.budget, min: 0, max: 1 }),
    on: judging(read.function<NonNullable<RetryRules["on"]>>("on")),
  }));
  if (given.baseDelayMs > given.maxDelayMs) throw new OptionError("retry.baseDelayMs", `at most retry.maxDelayMs (${given.maxDelayMs})`, given.baseDelayMs);
  return (isNamed) => {
    if (raw === undefined && !isNamed) return LIKE_LANGCHAIN;
    return { ...given, maxRetries: given.maxRetries ?? DEFAULT.maxRetries, isForEach: given.maxRetries === undefined };
  };
}

/** A judgement that fails is none: what the failure's kind says holds. */
function judging(on: ((error: unknown) => unknown) | undefined): RetryRules["on"] {
  if (!on) return undefined;
  const warn = warnOnce();
  return (error) => {
    try {
      return on(error) === true;
    } catch (failure) {
      warn("retry.on failed, and the kind of the error decides", failure);
      return undefined;
    }
  };
}

const IDLE_CONSUMER_MS = 300_000;

/** @throws OptionError */
export function resolveTimeouts(read: OptionReader): Required<TimeoutOptions> {
  const limit = (name: keyof TimeoutOptions): number => read.number(name, { default: Infinity, min: 1 });
  return {
    attemptMs: limit("attemptMs"),
    firstTokenMs: limit("firstTokenMs"),
    stallMs: limit("stallMs"),
    totalMs: limit("totalMs"),
    idleConsumerMs: read.number("idleConsumerMs", { default: IDLE_CONSUMER_MS, min: 1 }),
  };
}
