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
 * A stream broke off after some of its parts had been given: neither can they be taken back, nor continued with another answer. Asked again, the stream begins anew.
 *
 * - With routes: whoever answered failed, fell silent, or ended before its answer was whole (`cause` says how); with `onInterrupt: "hold"` another deployment answers
 *   instead. An `invoke`, and a stream of which nothing was given yet, ends so only when there is nobody left to ask, and then with 0 parts.
 * - With `coalesce: { scope: "cluster" }`: the process that led, its call, or Redis is gone. Who has no parts yet, and every `invoke`, asks upstream instead, and the
 *   process that leads goes on for its own callers.
 */
export class StreamInterruptedError extends PerfError {
  /** Parts that the caller had already. */
  readonly partsDelivered: number;
  /** What those parts add up to, e.g. a message; `undefined` = nothing, or not known here. */
  readonly partial: unknown;

  /** @param broken what broke off, as the subject of a sentence */
  constructor(partsDelivered: number, broken: string, { partial, cause }: { partial?: unknown; cause?: unknown } = {}) {
    const reason = cause instanceof Error ? `: ${cause.message}` : "";
    super("PERF_STREAM_INTERRUPTED", `${broken} broke off after ${partsDelivered} part${partsDelivered === 1 ? "" : "s"}${reason}.`, { retryable: true, cause });
    this.partsDelivered = partsDelivered;
    this.partial = partial;
  }
}

/** The only deployment that might answer is not asked for the time being, because too many of its calls of late have failed. */
export class CircuitOpenError extends PerfError {
  /** Its `id`. */
  readonly deployment: string;
  /** When it is asked again, milliseconds. */
  readonly retryAfterMs: number;

  constructor(deployment: string, reason: string, retryAfterMs: number) {
    super("PERF_CIRCUIT_OPEN", `The deployment "${deployment}" is not asked${forTheNext(retryAfterMs)}: ${reason}.`, { retryable: retryAfterMs < Infinity });
    this.deployment = deployment;
    this.retryAfterMs = retryAfterMs;
  }
}

/** Several deployments were asked or considered, and none gave an answer. */
export class NoDeploymentError extends PerfError {
  /** What each deployment failed of, or why it was not asked, the last of its failures; in the order in which they came. */
  readonly errors: readonly { readonly deployment: string; readonly error: Error }[];

  constructor(errors: NoDeploymentError["errors"], retryable: boolean) {
    const each = errors.map(({ deployment, error }) => `"${deployment}": ${firstLineOf(error)}`).join("; ");
    super("PERF_NO_DEPLOYMENT", errors.length === 0 ? "There is no deployment to ask: all of them were drained." : `No deployment gave an answer. ${each}`, { retryable, cause: errors.at(-1)?.error });
    this.errors = errors;
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

/** For how long something is not to be had, as a part of a sentence. @param ms `Infinity` = nobody knows, and nothing is said */
export function forTheNext(ms: number): string {
  return ms === Infinity ? "" : ` for the next ${Math.ceil(ms)} ms`;
}

/** What an error says first: some go on with the whole response, or with advice. */
export function firstLineOf(error: unknown): string {
  return String(error instanceof Error ? error.message : error).split("\n", 1)[0] as string;
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
