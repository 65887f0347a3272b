import type { Strategy, StrategyTools } from "../strategy.ts";
import { least } from "./least.ts";
import { waitingFor } from "./waiting.ts";

/** Who is done soonest with what is under way and this: requests in flight × how long they take. */
export function leastBusy({ random }: StrategyTools): Strategy {
  return {
    name: "least-busy",
    pick: (candidates, question) => least(candidates, random, waitingFor(candidates, question).busyMs),
  };
}
