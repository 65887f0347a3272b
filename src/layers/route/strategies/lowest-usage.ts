import type { Strategy, StrategyTools } from "../strategy.ts";
import { least } from "./least.ts";

/** Who has most of its quota left. Without a quota that is known it has all; of equals the one that was asked less of late, by its weight. */
export function lowestUsage({ random }: StrategyTools): Strategy {
  return {
    name: "lowest-usage",
    pick: (candidates) =>
      least(
        candidates,
        random,
        ({ quotaUsed = 0 }) => quotaUsed,
        ({ requestsOfLate, weight }) => requestsOfLate / weight,
      ),
  };
}
