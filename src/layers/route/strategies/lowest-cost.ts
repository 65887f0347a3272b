import type { Strategy, StrategyTools } from "../strategy.ts";
import { least } from "./least.ts";
import { waitingFor } from "./waiting.ts";

/** Without a bound of the user's own, who takes longer than so many times the fastest is not asked. */
const SLOWER_AT_MOST = 2;

/**
 * The cheapest of those that answer within the bound; of equals the least busy. Who has no price is the dearest; where nobody answers
 * within the bound, who is done soonest is asked.
 */
export function lowestCost({ random }: StrategyTools, latencyBoundMs?: number): Strategy {
  return {
    name: "lowest-cost",
    pick(candidates, question) {
      const { answerMs, busyMs } = waitingFor(candidates, question);
      const times = candidates.map(answerMs);
      const boundMs = latencyBoundMs ?? SLOWER_AT_MOST * times.reduce((lowest, ms) => Math.min(lowest, ms), Infinity);
      return least(
        candidates,
        random,
        (candidate, at) => ((times[at] as number) > boundMs ? Infinity : (candidate.costOf(question) ?? Number.MAX_VALUE)),
        busyMs,
      );
    },
  };
}
