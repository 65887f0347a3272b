import { resolveWith } from "./core/options.ts";
import { resolveCache, type CacheOptions, type ResolvedCache } from "./layers/cache/options.ts";
import { resolveTrace, type TraceOptions } from "./layers/trace/options.ts";
import { resolvePricing, type Price } from "./telemetry/cost.ts";

export interface PerfOptions {
  /** Shown wherever this perf speaks of itself. @default "perf" */
  name?: string;
  /** Keeps answers. Absent = off. */
  cache?: boolean | CacheOptions;
  /** Lets equal calls that are under way at the same time share one upstream call. Absent = off. */
  coalesce?: boolean;
  /** OpenTelemetry spans for every run; nothing is paid while no SDK is registered. Absent = off. */
  trace?: boolean | TraceOptions;
  timeouts?: {
    /** A stream that nobody reads for this long is ended, milliseconds. @default 300_000 */
    idleConsumerMs?: number;
  };
  /** USD per million tokens, by model name; gives calls their cost. */
  pricing?: Record<string, Price>;
}

export interface ResolvedOptions {
  readonly name: string;
  readonly cache: ResolvedCache | undefined;
  readonly coalesce: boolean;
  readonly trace: TraceOptions | undefined;
  readonly idleConsumerMs: number;
  readonly pricing: ReadonlyMap<string, Price>;
}

const IDLE_CONSUMER_MS = 300_000;

/** @throws OptionError */
export function resolveOptions(options: PerfOptions): ResolvedOptions {
  return resolveWith("", options, (read) => ({
    name: read.string("name", "perf"),
    cache: read.layer("cache", resolveCache),
    coalesce: read.boolean("coalesce", false),
    trace: read.layer("trace", resolveTrace),
    idleConsumerMs: read.group("timeouts", (timeouts) => timeouts.number("idleConsumerMs", { default: IDLE_CONSUMER_MS, min: 1 })) ?? IDLE_CONSUMER_MS,
    pricing: resolvePricing(read.raw("pricing")),
  }));
}
