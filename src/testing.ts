export { createSimulator, type Simulator } from "./testing/simulator.ts";
export type { SimulatorOptions } from "./testing/options.ts";
export { LATENCY_PROFILES, type Latency, type LatencyProfile } from "./testing/latency.ts";
export type { CapacityOptions } from "./testing/capacity.ts";
export type { LimitOptions } from "./testing/rate-limits.ts";
export type { PromptCacheOptions } from "./testing/prompt-cache.ts";
export { FAULT_KINDS, type FaultKind, type FaultRule } from "./testing/fault-rules.ts";
export type { RequestFilter, RequestOutcome, SimulatedRequest } from "./testing/log.ts";
export { OptionError } from "./core/errors.ts";
