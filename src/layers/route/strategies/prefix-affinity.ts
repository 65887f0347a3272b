import type { Candidate, RouteQuestion, Strategy, StrategyTools } from "../strategy.ts";
import { least } from "./least.ts";
import { blocksOf, SeenBlocks } from "./prompt-blocks.ts";

/** Blocks that are remembered of each deployment: four million tokens, in one or two megabytes. */
const MAX_BLOCKS = 32_768;
/** What a load of twice the mean weighs, in prompts that have to be read from the start. */
const LOAD_WEIGHS = 4;
/** Requests of the last minute by which loads may differ at no price: one conversation alone is not too much for anybody. */
const SLACK = 10;

/**
 * Where the longest part of the prompt has been seen, weighed against the load: the least uncached share + 4 · max(0, load / mean - 1).
 * Prompt caches of providers and of vLLM then hit. Load is the number of requests of the last minute, by weight; those in flight
 * would say less, as they are few and change quickly.
 */
export function prefixAffinity({ random }: StrategyTools): Strategy {
  const seen = new WeakMap<Candidate, SeenBlocks>();
  const blocks = new WeakMap<RouteQuestion, readonly number[]>();
  const blocksIn = (question: RouteQuestion): readonly number[] => {
    let found = blocks.get(question);
    if (!found) blocks.set(question, (found = blocksOf(question.texts)));
    return found;
  };
  return {
    name: "prefix-affinity",
    pick(candidates, question) {
      const asked = blocksIn(question);
      const mean = meanLoad(candidates);
      const missingOf = (candidate: Candidate): number => 1 - (seen.get(candidate)?.prefixOf(asked) ?? 0) / Math.max(1, asked.length);
      const excessOf = ({ requestsOfLate, weight }: Candidate): number => Math.max(0, (requestsOfLate - SLACK) / weight / mean - 1);
      return least(
        candidates,
        random,
        (candidate) => missingOf(candidate) + LOAD_WEIGHS * excessOf(candidate),
        ({ requestsOfLate, weight }) => requestsOfLate / weight,
      );
    },
    sent(candidate, question) {
      let known = seen.get(candidate);
      if (!known) seen.set(candidate, (known = new SeenBlocks(MAX_BLOCKS)));
      known.add(blocksIn(question));
    },
  };
}

/** Requests of the last minute for each unit of weight; above 0. */
function meanLoad(candidates: readonly Candidate[]): number {
  let sum = 0;
  for (const { requestsOfLate, weight } of candidates) sum += requestsOfLate / weight;
  return Math.max(sum / candidates.length, Number.MIN_VALUE);
}
