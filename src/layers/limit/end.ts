import { statusOf } from "../../core/retry-after.ts";
import type { RequestEnd } from "../../limits/limiter.ts";

/** Too many requests, unavailable, a gateway's or a server's timeout, and Anthropic's word for overloaded. */
const OVERLOADED: ReadonlySet<unknown> = new Set([429, 503, 408, 504, 529]);
const TIMEOUTS: ReadonlySet<unknown> = new Set(["TimeoutError", "APIConnectionTimeoutError", "ETIMEDOUT", "UND_ERR_HEADERS_TIMEOUT", "UND_ERR_BODY_TIMEOUT", "UND_ERR_CONNECT_TIMEOUT"]);

/** How a failed request ended. */
export function endOf(error: unknown): RequestEnd {
  const { name, code, cause } = (error ?? {}) as { name?: unknown; code?: unknown; cause?: { code?: unknown } };
  if (OVERLOADED.has(statusOf(error))) return "overloaded";
  return TIMEOUTS.has(name) || TIMEOUTS.has(code) || TIMEOUTS.has(cause?.code) ? "overloaded" : "failed";
}

/** Whether whoever was asked did not begin to answer. */
export function isRefused(error: unknown): boolean {
  const status = statusOf(error) ?? 0;
  return status >= 400 && status < 500;
}

/** Whether a refusal is about money: what OpenAI says in the body, and LangChain by its name. */
export function isOutOfCredit(error: unknown): boolean {
  const { code, name, error: body } = (error ?? {}) as { code?: unknown; name?: unknown; error?: { code?: unknown } };
  return code === "insufficient_quota" || body?.code === "insufficient_quota" || name === "InsufficientQuotaError" || name === "RateLimitQuotaExhaustedError";
}

/** When to come back, as LangChain reads it out of a refusal's message ("try again in 20s"), milliseconds. */
export function hintOf(error: unknown): number | undefined {
  const { retryAfterMs } = (error ?? {}) as { retryAfterMs?: unknown };
  return typeof retryAfterMs === "number" && retryAfterMs >= 0 ? retryAfterMs : undefined;
}
