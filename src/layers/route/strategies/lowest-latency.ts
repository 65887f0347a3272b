import type { Strategy, StrategyTools } from "../strategy.ts";
import { waitingFor } from "./waiting.ts";

/**
 * Of two candidates drawn by lot the one that will have answered sooner (Mitzenmacher 2001). Taking the best of all would send every
 * request that comes before news does to the same one.
 */
export function lowestLatency({ random }: StrategyTools): Strategy {
  const below = (count: number): number => Math.floor(random() * count);
  return {
    name: "lowest-latency",
    pick(candidates, question) {
      type C = (typeof candidates)[number];
      const at = below(candidates.length);
      const one = candidates[at] as C;
      if (candidates.length === 1) return one;
      const another = candidates[(at + 1 + below(candidates.length - 1)) % candidates.length] as C;
      const { busyMs } = waitingFor(candidates, question, "cautiousMs");
      return busyMs(one) <= busyMs(another) ? one : another;
    },
  };
}
