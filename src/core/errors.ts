const MARK = Symbol.for("langchain-perf/error@1");

/** Base of every error that this library makes. Upstream errors pass through unwrapped. */
export class PerfError extends Error {
  /** Stable identifier, e.g. `PERF_OPTION`. */
  readonly code: string;
  /** Whether the same call may succeed when it is made again later. */
  readonly retryable: boolean;
  readonly [MARK] = true;

  constructor(code: string, message: string, options: { retryable?: boolean; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = new.target.name;
    this.code = code;
    this.retryable = options.retryable ?? false;
  }

  /** Like `instanceof`, but also true for an error of another copy of this package. */
  static isInstance(error: unknown): error is PerfError {
    if (typeof error !== "object" || error === null || !(MARK in error)) return false;
    return this === PerfError || (error as { name?: unknown }).name === this.name;
  }
}

/** An option is unknown, of the wrong type, out of range, or excludes another. */
export class OptionError extends PerfError {
  /** Path of the option, e.g. `cache.ttlMs`. */
  readonly option: string;

  constructor(option: string, wanted: string, got: unknown) {
    super("PERF_OPTION", `Option "${option}": wanted ${wanted}, got ${describe(got)}.`);
    this.option = option;
  }
}

/** `cache: "only"` was asked for and the cache has no answer. */
export class CacheMissError extends PerfError {
  readonly key: string | undefined;

  constructor(key: string | undefined) {
    super("PERF_CACHE_MISS", `The cache has no answer${key ? ` under key ${key}` : ""}, and the call asked for the cache only.`);
    this.key = key;
  }
}

/** A request is larger than a limit, so that waiting would not help; or a provider's refusal was made known before the request was made. */
export class RateLimitError extends PerfError {
  /** Name of the limiter. */
  readonly limiter: string;
  /** When it is worth another try, milliseconds; `Infinity` = never as it is. */
  readonly retryAfterMs: number;

  constructor(limiter: string, message: string, retryAfterMs: number, cause?: unknown) {
    super("PERF_RATE_LIMIT", message, { retryable: Number.isFinite(retryAfterMs), cause });
    this.limiter = limiter;
    this.retryAfterMs = retryAfterMs;
  }
}

/** As many calls wait already as may wait. */
export class QueueFullError extends PerfError {
  /** Name of the limiter. */
  readonly limiter: string;
  /** How many wait. */
  readonly queued: number;

  constructor(limiter: string, queued: number) {
    super("PERF_QUEUE_FULL", `${queued} calls wait for the limiter "${limiter}" already, which is all that may (maxQueue).`, { retryable: true });
    this.limiter = limiter;
    this.queued = queued;
  }
}

/** A deadline passed, or is bound to pass. */
export class DeadlineError extends PerfError {
  constructor(message: string) {
    super("PERF_DEADLINE", message, { retryable: true });
  }
}

/**
 * With `coalesce: { scope: "cluster" }`: a stream that came from another process broke off, because that process, its own call or Redis failed, after some of its
 * parts had been given: neither can they be taken back, nor continued with another answer. Who has no parts yet, and every `invoke`, asks upstream instead, and
 * the process that leads goes on for its own callers. Asked again, the stream begins anew.
 */
export class StreamInterruptedError extends PerfError {
  /** Parts that the caller had already. */
  readonly partsDelivered: number;

  constructor(partsDelivered: number) {
    super("PERF_STREAM_INTERRUPTED", `What this stream came from, another process or the way to it, is gone, after ${partsDelivered} part${partsDelivered === 1 ? "" : "s"}.`, { retryable: true });
    this.partsDelivered = partsDelivered;
  }
}

/** An optional package is not installed. */
export class MissingPeerError extends PerfError {
  constructor(name: string) {
    super("PERF_MISSING_PEER", `The package "${name}" is not installed: npm install ${name}`);
  }
}

/** A tier of the cache failed. Reported by the event `store-error`, never thrown to a caller. */
export class StoreError extends PerfError {
  /** Name of the store, e.g. `redis`. */
  readonly tier: string;
  /** What was asked of it, e.g. `get`. */
  readonly operation: string;

  constructor(tier: string, operation: string, cause: unknown) {
    super("PERF_STORE", `The ${tier} store failed at "${operation}": ${cause instanceof Error ? cause.message : String(cause)}`, { retryable: true, cause });
    this.tier = tier;
    this.operation = operation;
  }
}

/** How a value is shown in an error message: short, and safe for anything. */
function describe(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.length > 80 ? `${value.slice(0, 77)}...` : value);
  if (typeof value === "function") return `a function${value.name ? ` (${value.name})` : ""}`;
  if (typeof value === "object" && value !== null) {
    if (Array.isArray(value)) return `an array of ${value.length}`;
    const name = (value.constructor as { name?: string } | undefined)?.name;
    return name && name !== "Object" ? `an object of class ${name}` : `an object with keys [${Object.keys(value).join(", ")}]`;
  }
  return String(value);
}
