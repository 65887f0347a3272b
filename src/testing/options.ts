import { OptionError } from "../core/errors.ts";
import { OptionReader, resolveWith } from "../core/options.ts";
import type { CapacityOptions } from "./capacity.ts";
import { resolveFault, type FaultRule } from "./fault-rules.ts";
import { resolveLatency, type Latency, type LatencyModel } from "./latency.ts";
import type { PromptCacheOptions } from "./prompt-cache.ts";
import type { LimitOptions } from "./rate-limits.ts";

/** Options of `createSimulator`. */
export interface SimulatorOptions {
  /** TCP port; 0 takes a free one. @default 0 */
  port?: number;
  /** Address to listen on. @default "127.0.0.1" */
  host?: string;
  /** Start of the random numbers that latency and faults are drawn from. @default 1 */
  seed?: number;
  /** How long answers take. @default "none" */
  latency?: Latency;
  /** Divides every latency: 10 is ten times faster. @default 1 */
  speed?: number;
  /** Requests at work at once, or that with the bound of the queue. @default no limit */
  capacity?: number | CapacityOptions;
  /** Requests and tokens a minute; above them the answer is 429. @default no limits */
  limits?: LimitOptions;
  /** Provider-side prompt caching by prefix. @default true */
  promptCache?: boolean | PromptCacheOptions;
  /** Faults from the start, as rules or as texts, e.g. `"status=429,probability=0.03"`. @default none */
  faults?: (FaultRule | string)[];
  /** Ends every text answer with ` [#digest]` of the request. @default false */
  digestInText?: boolean;
  /** Requests kept in the log. @default 10000 */
  logSize?: number;
  /** Whether the log keeps the bodies of requests. @default false */
  recordBodies?: boolean;
}

/** Options, checked and complete. */
export interface ResolvedOptions {
  port: number;
  host: string;
  seed: number;
  latency: LatencyModel;
  capacity: Required<CapacityOptions>;
  limits: LimitOptions;
  promptCache: PromptCacheOptions | undefined;
  faults: FaultRule[];
  digestInText: boolean;
  logSize: number;
  recordBodies: boolean;
}

const MIN_SPEED = 0.001;

/** Throws an `OptionError` for what is unknown, of the wrong type or out of range. */
export function resolveOptions(options: SimulatorOptions): ResolvedOptions {
  return resolveWith("", options, (reader) => ({
    port: reader.number("port", { default: 0, min: 0, max: 65_535, integer: true }),
    host: reader.string("host", "127.0.0.1"),
    seed: reader.number("seed", { default: 1, min: 0, max: Number.MAX_SAFE_INTEGER, integer: true }),
    latency: resolveLatency(reader.raw("latency") ?? "none", reader.number("speed", { default: 1, min: MIN_SPEED })),
    capacity: resolveCapacity(reader.raw("capacity")),
    limits: resolveLimits(reader.raw("limits") ?? {}),
    promptCache: resolvePromptCache(reader.raw("promptCache") ?? true),
    faults: resolveFaults(reader.raw("faults") ?? []),
    digestInText: reader.boolean("digestInText", false),
    logSize: reader.number("logSize", { default: 10_000, min: 1, integer: true }),
    recordBodies: reader.boolean("recordBodies", false),
  }));
}

function resolveCapacity(capacity: unknown): Required<CapacityOptions> {
  const raw = typeof capacity === "number" || capacity === undefined ? { concurrency: capacity } : capacity;
  return resolveWith("capacity", raw, (reader) => {
    const fullStatus = reader.raw("fullStatus") ?? 503;
    if (fullStatus !== 503 && fullStatus !== 429) throw new OptionError("capacity.fullStatus", "503 or 429", fullStatus);
    return {
      concurrency: reader.number("concurrency", { default: Infinity, min: 1, integer: true }),
      maxQueue: reader.number("maxQueue", { default: 1_000, min: 0, integer: true }),
      fullStatus,
    };
  });
}

function resolveLimits(limits: unknown): LimitOptions {
  return resolveWith("limits", limits, (reader) => ({
    requestsPerMinute: reader.number("requestsPerMinute", { default: undefined, min: 1 }),
    tokensPerMinute: reader.number("tokensPerMinute", { default: undefined, min: 1 }),
  }));
}

function resolvePromptCache(promptCache: unknown): PromptCacheOptions | undefined {
  return new OptionReader("", { promptCache }).layer("promptCache", (reader) => ({
    minTokens: reader.number("minTokens", { default: 1_024, min: 1, integer: true }),
    blockTokens: reader.number("blockTokens", { default: 128, min: 1, integer: true }),
    maxBlocks: reader.number("maxBlocks", { default: 100_000, min: 1, integer: true }),
  }));
}

function resolveFaults(faults: unknown): FaultRule[] {
  if (!Array.isArray(faults)) throw new OptionError("faults", "an array of rules or texts", faults);
  return faults.map((fault, at) => resolveFault(fault, `faults[${at}]`));
}
