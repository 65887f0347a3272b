import { InMemoryCache } from "@langchain/core/caches";
import { withPerf } from "langchain-perf";
import type { Measure } from "../harness/bench.ts";
import { FakeModel } from "../harness/fake-model.ts";
import { measured, times } from "../harness/measured.ts";
import { paired, type PairedResult, type Side } from "../harness/paired.ts";
import { textOf } from "../harness/text.ts";

const QUESTIONS = 16;

export const measure: Measure = async () => {
  const small = await hits(2 * 1024);
  const large = await hits(8 * 1024);
  return {
    hit_vs_core_2k: measured(small.ratio, times(small, "core", "hit")),
    hit_vs_core_8k: measured(large.ratio, times(large, "core", "hit")),
  };
};

async function hits(length: number): Promise<PairedResult> {
  const answer = (question: string): string => textOf(length, `answer to ${question.slice(0, 20)}`);
  const core = await asked(new FakeModel({ answer, cache: new InMemoryCache() }), length);
  const ours = await asked(withPerf(new FakeModel({ answer })), length);
  return paired({ bare: core, wrapped: ours, calls: 50 });
}

/** A model that has answered every question once, and is asked them again and again. */
async function asked(model: FakeModel, length: number): Promise<Side> {
  const questions = Array.from({ length: QUESTIONS }, (_, at) => textOf(length, `question ${at}`));
  for (const question of questions) await model.invoke(question);
  return {
    async run(calls) {
      for (let call = 0; call < calls; call++) await model.invoke(questions[call % QUESTIONS] as string);
      if (model.calls !== QUESTIONS) throw new Error(`These were no hits: the model was called ${model.calls} times.`);
    },
  };
}
