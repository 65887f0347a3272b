/** Requests and tokens a minute, over all models. */
export interface LimitOptions {
  requestsPerMinute?: number;
  tokensPerMinute?: number;
}

/** A refused request: how long until it would be taken, or never. */
export interface Refusal {
  what: "requests" | "tokens";
  limit: number;
  /** `Infinity` for a request that is larger than the limit itself. */
  retryAfterMs: number;
}

/** A bucket that holds a minute's worth and refills evenly. */
class Bucket {
  readonly limit: number;
  #level: number;
  #at: number;

  constructor(limit: number, now: number) {
    this.limit = limit;
    this.#level = limit;
    this.#at = now;
  }

  level(now: number): number {
    this.#level = Math.min(this.limit, this.#level + ((now - this.#at) * this.limit) / 60_000);
    this.#at = now;
    return this.#level;
  }

  /** Milliseconds until `amount` is there. */
  waitMs(amount: number, now: number): number {
    if (amount > this.limit) return Infinity;
    return (Math.max(0, amount - this.level(now)) * 60_000) / this.limit;
  }

  take(amount: number, now: number): void {
    this.#level = this.level(now) - amount;
  }
}

/** The provider's quota. */
export class RateLimits {
  readonly #requests: Bucket | undefined;
  readonly #tokens: Bucket | undefined;
  readonly #elapsed: () => number;

  constructor({ requestsPerMinute, tokensPerMinute }: LimitOptions, elapsed: () => number) {
    this.#elapsed = elapsed;
    if (requestsPerMinute !== undefined) this.#requests = new Bucket(requestsPerMinute, elapsed());
    if (tokensPerMinute !== undefined) this.#tokens = new Bucket(tokensPerMinute, elapsed());
  }

  /** Takes one request and its prompt, or takes nothing and says why. */
  admit(promptTokens: number): Refusal | undefined {
    const now = this.#elapsed();
    const refusal = refuse("requests", this.#requests, 1, now) ?? refuse("tokens", this.#tokens, promptTokens, now);
    if (refusal !== undefined) return refusal;
    this.#requests?.take(1, now);
    this.#tokens?.take(promptTokens, now);
    return undefined;
  }

  /** Takes the answer's tokens, which may leave less than nothing. */
  spend(completionTokens: number): void {
    this.#tokens?.take(completionTokens, this.#elapsed());
  }

  headers(style: "openai" | "anthropic"): Record<string, string> {
    const now = this.#elapsed();
    const headers: Record<string, string> = {};
    for (const [name, bucket] of [["requests", this.#requests], ["tokens", this.#tokens]] as const) {
      if (bucket === undefined) continue;
      const values = { limit: String(bucket.limit), remaining: String(Math.max(0, Math.floor(bucket.level(now)))), resetMs: bucket.waitMs(bucket.limit, now) };
      const prefix = style === "openai" ? "x-ratelimit" : `anthropic-ratelimit-${name}`;
      const field = (part: string): string => (style === "openai" ? `${prefix}-${part}-${name}` : `${prefix}-${part}`);
      headers[field("limit")] = values.limit;
      headers[field("remaining")] = values.remaining;
      headers[field("reset")] = style === "openai" ? formatDuration(values.resetMs) : new Date(Date.now() + values.resetMs).toISOString();
    }
    return headers;
  }
}

function refuse(what: Refusal["what"], bucket: Bucket | undefined, amount: number, now: number): Refusal | undefined {
  const retryAfterMs = bucket?.waitMs(amount, now) ?? 0;
  return retryAfterMs > 0 ? { what, limit: bucket!.limit, retryAfterMs } : undefined;
}

/** As OpenAI writes durations: `7ms`, `1.5s`, `6m0s`, `1h0m0s`. */
export function formatDuration(durationMs: number): string {
  const total = Math.ceil(durationMs);
  if (total < 1_000) return `${total}ms`;
  if (total < 60_000) return `${Number((total / 1_000).toFixed(3))}s`;
  const seconds = Math.ceil(total / 1_000);
  const minutes = Math.floor(seconds / 60);
  return minutes < 60 ? `${minutes}m${seconds % 60}s` : `${Math.floor(minutes / 60)}h${minutes % 60}m${seconds % 60}s`;
}
