import { resolveWith } from "./options.ts";

const CACHE_MODES = ["use", "refresh", "bypass", "only"] as const;

/** One call's own wishes, given as `configurable.perf`. They hold for every call made below it. */
export interface CallControl {
  /**
   * `use`: answer from the cache where possible. `refresh`: ask the model and replace the entry.
   * `bypass`: neither read nor write, and never share a call in flight. `only`: answer from the cache or throw `CacheMissError`.
   * @default "use"
   */
  readonly cache: (typeof CACHE_MODES)[number];
  /** How long answers of this call stay fresh, milliseconds. @default the cache's `ttlMs` */
  readonly ttlMs?: number;
  /** Tags of the entries that this call writes, for `perf.cache.invalidate({ tags })`. */
  readonly tags?: readonly string[];
  /** Whose data this is: entries of one tenant are never seen by another. */
  readonly tenant?: string;
  /** Among the calls that wait for a limit, 0 is served first and 9 last. @default 5 */
  readonly priority?: number;
  /**
   * From the start of this call, milliseconds, below 0 where it has passed already: a request that cannot be made by then is refused with `DeadlineError`, and at once
   * where that is clear. Where calls are routed (any of `routing`, `retry`, `timeouts`, `rateLimit`), an answer that is not whole by then ends so too. @default none
   */
  readonly deadlineMs?: number;
  /** The same on the monotonic clock, and the earliest of those of the calls around. @internal */
  readonly deadlineAt?: number;
  /** The `id` of the deployment that is to answer, where the pool for the model that is asked has one of that name. @default whom the strategy picks */
  readonly deployment?: string;
  /** The conversation that this call belongs to: strategies keep it with one deployment. @default LangGraph's `thread_id` */
  readonly session?: string;
  /** Set where `tenant` is the answer of the cache's `tenant` option and not a wish: a call below with a config of its own is asked about anew. @internal */
  readonly tenantDerived?: boolean;
  /** Set where another runnable answers if this call fails: it need not wait for a provider that asked for patience. @internal */
  readonly hasSubstitute?: boolean;
}

/** What a user writes as `configurable.perf`. */
export type CallWishes = Partial<Omit<CallControl, "tenantDerived" | "hasSubstitute" | "deadlineAt">>;

/** Of calls that wish for none; 0 is served first, 9 last. */
export const DEFAULT_PRIORITY = 5;
export const LAST_PRIORITY = 9;

export const NO_WISHES: CallControl = Object.freeze({ cache: "use" });

/**
 * Validates a call's wishes and lays them over those of the surrounding call.
 * @param elapsed now, by the monotonic clock
 */
export function resolveControl(wishes: unknown, outer: CallControl, elapsed: number): CallControl {
  return resolveWith("configurable.perf", wishes, (read) => {
    const tenant = read.string("tenant", undefined);
    const deadlineMs = read.number("deadlineMs", { default: undefined });
    return {
      cache: read.oneOf("cache", CACHE_MODES, outer.cache),
      ttlMs: read.number("ttlMs", { default: outer.ttlMs, min: 0 }),
      tags: read.strings("tags") ?? outer.tags,
      tenant: tenant ?? outer.tenant,
      priority: read.number("priority", { default: outer.priority, min: 0, max: LAST_PRIORITY, integer: true }),
      deadlineMs: deadlineMs ?? outer.deadlineMs,
      deadlineAt: deadlineMs === undefined ? outer.deadlineAt : Math.min(elapsed + deadlineMs, outer.deadlineAt ?? Infinity),
      deployment: read.string("deployment", outer.deployment),
      session: read.string("session", outer.session),
      tenantDerived: tenant === undefined && outer.tenantDerived,
      hasSubstitute: outer.hasSubstitute,
    };
  });
}
