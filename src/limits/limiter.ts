/** What one request takes of the limits, as far as is known before it is made. */
export interface Demand {
  /** Requests that it makes. @default 1 */
  readonly requests?: number;
  /** Tokens of prompt and answer together, estimated. @default 0 */
  readonly tokens?: number;
  /** What it will cost, USD, estimated. @default 0 */
  readonly costUsd?: number;
  /** 0 is served first, 9 last. @default 5 */
  readonly priority?: number;
  /** Who asks: those who wait get equal shares, or shares by their weights. @default "" */
  readonly tenant?: string;
  /** Milliseconds from now; who is not admitted by then, or cannot be, is refused. @default the limiter's `maxWaitMs`, which also bounds it */
  readonly deadlineMs?: number;
  /** Made inside a request that holds a permit of this limiter: it waits for no place of its own, since the one around it waits for this one. @default false */
  readonly isNested?: boolean;
  /** Gives up the place in the queue. */
  readonly signal?: AbortSignal;
}

/** How a request ended, as far as limits care. */
export type RequestEnd = "ok" | "overloaded" | "failed" | "left";

/** What is known after a request. */
export interface RequestOutcome {
  /** Tokens that it really took. @default what was estimated */
  readonly tokens?: number | undefined;
  /** USD that it really cost. @default what was estimated */
  readonly costUsd?: number | undefined;
  /** `overloaded`: refused with 429 or 503, or timed out. `left`: whoever asked did not wait for the end. @default "ok" */
  readonly end?: RequestEnd | undefined;
}

/** The right to make one request. It covers the request to the end of its answer. */
export interface Permit {
  /** How long it was waited for, milliseconds. */
  readonly waitMs: number;
  /** Gives the place back and puts estimates right. Only the first call counts. */
  release(outcome?: RequestOutcome): void;
}

/** Where a limiter stands. */
export interface LimiterStatus {
  /** Name of the limiter, e.g. `local`. */
  name: string;
  /** The model whose provider has announced these limits; absent for all others. */
  target?: string;
  /** Calls that wait. */
  queued: number;
  /** Permits that are held. */
  active: number;
  /** How many requests may be under way at once, and where that number comes from. */
  concurrency?: { limit: number; reason: string };
  /** Share of the quota that the present minute, or hour, has taken; 0 to 1. */
  used?: { requests?: number; tokens?: number; costUsd?: number };
  /** Where the limits come from at the moment, if not from the options, e.g. `local share 1/4: Redis does not answer`. */
  source?: string;
}

/** What a provider said of its own limits in an answer's headers, or by a refusal. */
export interface QuotaNotice {
  readonly requests?: QuotaLevel;
  readonly tokens?: QuotaLevel;
  /** Nothing before this many milliseconds have passed (`retry-after`, `retry-after-ms`). */
  readonly retryAfterMs?: number;
  /** The request was refused for the limits' sake. */
  readonly isRefusal: boolean;
}

/** One quota as headers tell it; providers leave out some of it. */
export interface QuotaLevel {
  /** A minute's worth. */
  readonly limit?: number;
  readonly remaining?: number;
  /** Until all of it is there again, milliseconds. */
  readonly resetMs?: number;
}

/** Decides when a request may be made. */
export interface Limiter {
  readonly name: string;
  /**
   * Waits for a permit. Whoever gets one releases it, however the request ends.
   * @throws QueueFullError when too many wait already, DeadlineError as soon as it is clear that the permit cannot come in time,
   * RateLimitError when it can never come, and the signal's reason
   */
  acquire(demand?: Demand): Promise<Permit>;
  status(): LimiterStatus;
  /** Lets go of what it opened itself. Permits that are held stay valid; who waits is served. */
  close?(): Promise<void>;
}
