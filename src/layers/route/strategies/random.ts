import type { Strategy, StrategyTools } from "../strategy.ts";

/** By lot, each as likely as its weight. */
export function random(tools: StrategyTools): Strategy {
  return {
    name: "random",
    pick(candidates) {
      let left = tools.random() * candidates.reduce((sum, { weight }) => sum + weight, 0);
      const drawn = candidates.find(({ weight }) => (left -= weight) < 0);
      // Rounding may leave a little after the last one.
      return drawn ?? (candidates.at(-1) as (typeof candidates)[number]);
    },
  };
}
