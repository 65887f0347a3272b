import { withPerf, type PerfOptions } from "langchain-perf";
import { askingAnew, threeStepChain } from "../harness/chain.ts";
import type { Measure } from "../harness/bench.ts";
import { FakeModel } from "../harness/fake-model.ts";
import { measured, times } from "../harness/measured.ts";
import { paired, type PairedResult, type Side } from "../harness/paired.ts";

type Wrapped<T> = (target: T, options: PerfOptions) => Side;

/** Both sides are wrapped, and in nothing else: the difference is the route's. */
export const measure: Measure = async () => {
  const ten = await routedAndNot((target, options) => asking(withPerf(target, options)), () => new FakeModel(), 10);
  const one = await routedAndNot((target, options) => askingAnew(withPerf(target, options)), threeStepChain, 1);
  return {
    route_us: measured(ten.addedUs, times(ten, "not routed", "routed")),
    route_ratio: measured(one.ratio, times(one, "not routed", "routed")),
  };
};

async function routedAndNot<T>(side: Wrapped<T>, make: () => T, count: number): Promise<PairedResult> {
  const models = Array.from({ length: count }, () => new FakeModel());
  const deployments = models.map((model, at) => ({ id: `deployment ${at}`, model }));
  const result = await paired({ bare: side(make(), {}), wrapped: side(make(), { routing: { deployments } }), calls: 50 });
  if (models.every(({ calls }) => calls === 0)) throw new Error("No deployment was ever asked.");
  return result;
}

/** Asks the model a new question each time. */
function asking(model: FakeModel): Side {
  let asked = 0;
  return {
    async run(calls) {
      for (let call = 0; call < calls; call++) await model.invoke(`What is the capital of country number ${asked++}?`);
    },
  };
}
