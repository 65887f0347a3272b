import { withPerf } from "langchain-perf";
import { askingAnew, threeStepChain } from "../harness/chain.ts";
import type { Measure } from "../harness/bench.ts";
import { measured, times } from "../harness/measured.ts";
import { paired } from "../harness/paired.ts";

export const measure: Measure = async () => {
  const wrapped = withPerf(threeStepChain(), { cache: true, coalesce: true, trace: true });
  const result = await paired({ bare: askingAnew(threeStepChain()), wrapped: askingAnew(wrapped), calls: 50 });
  return { onion_ratio: measured(result.ratio, times(result)) };
};
