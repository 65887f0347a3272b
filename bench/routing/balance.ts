import { createPerf, withPerf } from "langchain-perf";
import type { Measure } from "../harness/bench.ts";
import { shown } from "../harness/report.ts";
import { simulatorProcess } from "../harness/simulator-process.ts";
import { modelAt, requestsOf } from "./outage-provider.ts";

const WEIGHTS = [5, 3, 2];
const CALLS = 2_000;
const CALLERS = 32;

/** As the providers have counted. Calls are of different lengths, and come back in another order than they went. */
export const measure: Measure = async () => {
  const simulators = await Promise.all(WEIGHTS.map((_, seed) => simulatorProcess({ latency: { meanMs: 20, sdMs: 20 }, seed })));
  const deployments = simulators.map(({ baseURL }, at) => ({ id: `deployment ${at}`, model: modelAt(baseURL), weight: WEIGHTS[at] as number }));
  await using perf = createPerf({ routing: { strategy: "weighted", deployments } });
  try {
    const model = withPerf((deployments[0] as (typeof deployments)[number]).model, perf);
    let asked = 0;
    const caller = async (): Promise<void> => {
      while (asked < CALLS) await model.invoke(`Where is parcel number ${asked++}?`);
    };
    await Promise.all(Array.from({ length: CALLERS }, caller));
    const counts = await Promise.all(simulators.map(({ baseURL }) => requestsOf(baseURL)));
    const total = WEIGHTS.reduce((sum, weight) => sum + weight, 0);
    const errors = counts.map((count, at) => Math.abs(count / ((CALLS * (WEIGHTS[at] as number)) / total) - 1));
    return { balance: { value: 100 * Math.max(...errors), note: `${counts.map(shown).join(", ")} of ${shown(CALLS)} calls, ${CALLERS} at a time` } };
  } finally {
    await Promise.all(simulators.map((simulator) => simulator.close()));
  }
};
