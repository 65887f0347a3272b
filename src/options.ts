import { ignore } from "./core/abort.ts";
import { unfailing } from "./core/callback.ts";
import { OptionError } from "./core/errors.ts";
import { resolveWith } from "./core/options.ts";
import { resolveBatch, type BatchOptions, type ResolvedBatch } from "./layers/batch/options.ts";
import { resolveCache, type CacheOptions, type ResolvedCache } from "./layers/cache/options.ts";
import type { Limiter } from "./limits/limiter.ts";
import { checkBudget, resolveRateLimit, type RateLimitOptions, type ResolvedRateLimit } from "./open-limits.ts";
import { resolveRetry, resolveTimeouts, type RetryFor } from "./layers/route/retry-options.ts";
import type { ResolvedRouting } from "./layers/route/options.ts";
import type { RetryOptions, TimeoutOptions } from "./layers/route/routing-options.ts";
import { resolvePools, type RoutingOptions } from "./open-routing.ts";
import { resolveTrace, type TraceOptions } from "./layers/trace/options.ts";
import type { Price } from "./core/price.ts";
import { resolvePricing } from "./telemetry/cost.ts";

export interface CoalesceOptions {
  /**
   * `process`: calls of this perf. `cluster`: those of all processes that share a `cache.redis`; one leads, by a lease in Redis, and the others follow its answer
   * part by part. Without Redis each process asks by itself. @default "process"
   */
  scope?: "process" | "cluster";
}

export interface PerfOptions {
  /** Shown wherever this perf speaks of itself. @default "perf" */
  name?: string;
  /** Keeps answers. Absent = off. */
  cache?: boolean | CacheOptions;
  /** Lets equal calls that are under way at the same time share one upstream call. Absent = off. */
  coalesce?: boolean | CoalesceOptions;
  /** Lets embeddings that are asked for at the same time share requests. Absent = off. */
  batch?: boolean | BatchOptions;
  /** Keeps the requests to models and embeddings below limits: these, or those of a limiter of your own, and what providers announce in the headers of their answers. Absent or `false` = off. */
  rateLimit?: false | RateLimitOptions | Limiter;
  /** OpenTelemetry spans for every run; nothing is paid while no SDK is registered. Absent = off. */
  trace?: boolean | TraceOptions;
  /** Several backends for the same calls: who is asked, and who instead when that one fails, is slow or silent. Several pools may be given; the first that takes a model has its calls. Absent = off. */
  routing?: false | RoutingOptions | RoutingOptions[];
  /** When failed requests are made again. With any of `routing`, `retry`, `timeouts` and `rateLimit` it is this library that does so, and not LangChain or a provider's SDK inside it. @default with `routing` see its fields; else as each model says; `false` = never, though `fallback`, `cascade` and `hedge` may still ask others */
  retry?: false | RetryOptions;
  /** How long anything may take. */
  timeouts?: TimeoutOptions;
  /** USD per million tokens, by model name; gives calls their cost. */
  pricing?: Record<string, Price>;
  /** Takes in work that goes on after the answer (refreshes, writes), where the host may stop the process then: serverless platforms have such a function. The work goes on whether it takes it in or throws. */
  waitUntil?(work: Promise<unknown>): void;
}

export interface ResolvedOptions {
  readonly name: string;
  readonly cache: ResolvedCache | undefined;
  readonly coalesce: Required<CoalesceOptions> | undefined;
  readonly batch: ResolvedBatch | undefined;
  readonly rateLimit: ResolvedRateLimit | undefined;
  readonly trace: TraceOptions | undefined;
  readonly routing: readonly ResolvedRouting[];
  readonly retry: RetryFor;
  readonly timeouts: Required<TimeoutOptions>;
  /** Whether calls that no pool takes are routed all the same, to whom they are made of. */
  readonly routesAll: boolean;
  readonly pricing: ReadonlyMap<string, Price>;
  readonly waitUntil: (work: Promise<unknown>) => void;
}

/** @throws OptionError */
export function resolveOptions(options: PerfOptions): ResolvedOptions {
  const resolved = resolveWith("", options, (read) => ({
    name: read.string("name", "perf"),
    cache: read.layer("cache", resolveCache),
    coalesce: read.layer("coalesce", (coalesce) => ({ scope: coalesce.oneOf("scope", ["process", "cluster"], "process") })),
    batch: read.layer("batch", resolveBatch),
    rateLimit: resolveRateLimit(read.raw("rateLimit")),
    trace: read.layer("trace", resolveTrace),
    routing: resolvePools(read.raw("routing")),
    retry: resolveRetry(read.raw("retry")),
    timeouts: read.group("timeouts", resolveTimeouts) ?? resolveWith("timeouts", {}, resolveTimeouts),
    pricing: resolvePricing(read.raw("pricing")),
    // Hosts refuse work that begins outside a request: that is no reason to fail a call.
    waitUntil: unfailing("waitUntil failed, and the work goes on without it", read.function<NonNullable<PerfOptions["waitUntil"]>>("waitUntil") ?? ignore),
  }));
  if (resolved.coalesce?.scope === "cluster" && !resolved.cache?.redis) {
    throw new OptionError("coalesce.scope", '"process", as long as no `cache.redis` is there for the processes to meet in', "cluster");
  }
  checkBudget(resolved.rateLimit, resolved.pricing);
  const { attemptMs, firstTokenMs, stallMs, totalMs } = resolved.timeouts;
  const isTimed = Math.min(attemptMs, firstTokenMs, stallMs, totalMs) < Infinity;
  return { ...resolved, routesAll: isTimed || options.retry !== undefined || resolved.rateLimit !== undefined };
}
