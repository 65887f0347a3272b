import type { Clock } from "../../core/clock.ts";

/** When a provider said "too many requests, come back later", the calls that come in the meantime wait instead of being refused one by one. */
export class RetryAfter {
  readonly #clock: Clock;
  readonly #longestWaitMs: number;
  /** Until when, by the monotonic clock. */
  readonly #until = new Map<string, number>();

  /** @param longestWaitMs a provider that asks for more than this is not waited for */
  constructor(clock: Clock, longestWaitMs: number) {
    this.#clock = clock;
    this.#longestWaitMs = longestWaitMs;
  }

  /** Whether anybody is to be waited for. */
  get isEmpty(): boolean {
    return this.#until.size === 0;
  }

  /** Hears of an upstream failure. */
  heard(target: () => string, error: unknown): void {
    const delayMs = retryAfterMs(error);
    if (delayMs !== undefined && delayMs > 0 && delayMs <= this.#longestWaitMs) this.#until.set(target(), this.#clock.elapsed() + delayMs);
  }

  /** Milliseconds that a call to this target should wait; 0 = none. */
  waitMs(target: string): number {
    const waitMs = (this.#until.get(target) ?? 0) - this.#clock.elapsed();
    if (waitMs > 0) return waitMs;
    this.#until.delete(target);
    return 0;
  }
}

/** What a refusal with status 429 or 503 says in `retry-after-ms` or `retry-after` (RFC 9110, 10.2.3: seconds or a date), milliseconds. */
function retryAfterMs(error: unknown): number | undefined {
  const { status, headers, response } = (error ?? {}) as { status?: unknown; headers?: unknown; response?: { status?: unknown; headers?: unknown } };
  const code = status ?? response?.status;
  if (code !== 429 && code !== 503) return undefined;
  const header = headerOf(headers ?? response?.headers);
  const exact = Number.parseFloat(header("retry-after-ms") ?? "");
  if (Number.isFinite(exact)) return exact;
  const text = header("retry-after") ?? "";
  const seconds = Number(text);
  if (text !== "" && Number.isFinite(seconds)) return seconds * 1000;
  const date = Date.parse(text);
  return Number.isNaN(date) ? undefined : date - Date.now();
}

function headerOf(headers: unknown): (name: string) => string | undefined {
  if (headers instanceof Headers) return (name) => headers.get(name) ?? undefined;
  const fields = (headers ?? {}) as Record<string, unknown>;
  return (name) => (typeof fields[name] === "string" || typeof fields[name] === "number" ? String(fields[name]) : undefined);
}
