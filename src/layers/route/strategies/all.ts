import type { Strategy, StrategyTools } from "../strategy.ts";
import { Learned } from "./learned.ts";
import { leastBusy } from "./least-busy.ts";
import { lowestCost } from "./lowest-cost.ts";
import { lowestLatency } from "./lowest-latency.ts";
import { lowestUsage } from "./lowest-usage.ts";
import { prefixAffinity } from "./prefix-affinity.ts";
import { random } from "./random.ts";
import { roundRobin } from "./round-robin.ts";
import { session } from "./session.ts";
import { weighted } from "./weighted.ts";

export interface StrategySettings {
  /** `lowest-cost`: who is expected to take longer is not asked, milliseconds. @default 2 × what the fastest is expected to take */
  readonly latencyBoundMs?: number | undefined;
}

const STRATEGIES = {
  "round-robin": roundRobin,
  random,
  weighted,
  "least-busy": leastBusy,
  "lowest-latency": lowestLatency,
  "lowest-cost": (tools, { latencyBoundMs }) => lowestCost(tools, latencyBoundMs),
  "lowest-usage": lowestUsage,
  "prefix-affinity": prefixAffinity,
  session,
  learned: (tools) => new Learned(tools),
} satisfies Record<string, (tools: StrategyTools, settings: StrategySettings) => Strategy>;

export type StrategyName = keyof typeof STRATEGIES;

export const STRATEGY_NAMES = Object.keys(STRATEGIES) as readonly StrategyName[];

/** A strategy of this name, which has learned nothing yet. Each pool has its own. */
export function strategyNamed(name: StrategyName, tools: StrategyTools, settings: StrategySettings = {}): Strategy {
  return STRATEGIES[name](tools, settings);
}
