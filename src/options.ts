import { ignore } from "./core/abort.ts";
import { unfailing } from "./core/callback.ts";
import { OptionError } from "./core/errors.ts";
import { resolveWith } from "./core/options.ts";
import { resolveBatch, type BatchOptions, type ResolvedBatch } from "./layers/batch/options.ts";
import { resolveCache, type CacheOptions, type ResolvedCache } from "./layers/cache/options.ts";
import type { Limiter } from "./limits/limiter.ts";
import { resolveRateLimit, type RateLimitOptions, type ResolvedRateLimit } from "./open-limits.ts";
import { resolveTrace, type TraceOptions } from "./layers/trace/options.ts";
import { resolvePricing, type Price } from "./telemetry/cost.ts";

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
  timeouts?: {
    /** A stream that nobody reads for this long is ended, milliseconds. @default 300_000 */
    idleConsumerMs?: number;
  };
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
  readonly idleConsumerMs: number;
  readonly pricing: ReadonlyMap<string, Price>;
  readonly waitUntil: (work: Promise<unknown>) => void;
}

const IDLE_CONSUMER_MS = 300_000;

/** @throws OptionError */
export function resolveOptions(options: PerfOptions): ResolvedOptions {
  const resolved = resolveWith("", options, (read) => ({
    name: read.string("name", "perf"),
    cache: read.layer("cache", resolveCache),
    coalesce: read.layer("coalesce", (coalesce) => ({ scope: coalesce.oneOf("scope", ["process", "cluster"], "process") })),
    batch: read.layer("batch", resolveBatch),
    rateLimit: resolveRateLimit(read.raw("rateLimit")),
    trace: read.layer("trace", resolveTrace),
    idleConsumerMs: read.group("timeouts", (timeouts) => timeouts.number("idleConsumerMs", { default: IDLE_CONSUMER_MS, min: 1 })) ?? IDLE_CONSUMER_MS,
    pricing: resolvePricing(read.raw("pricing")),
    // Hosts refuse work that begins outside a request: that is no reason to fail a call.
    waitUntil: unfailing("waitUntil failed, and the work goes on without it", read.function<NonNullable<PerfOptions["waitUntil"]>>("waitUntil") ?? ignore),
  }));
  if (resolved.coalesce?.scope === "cluster" && !resolved.cache?.redis) {
    throw new OptionError("coalesce.scope", '"process", as long as no `cache.redis` is there for the processes to meet in', "cluster");
  }
  return resolved;
}
