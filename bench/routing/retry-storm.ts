import { setTimeout as delay } from "node:timers/promises";
import { createPerf, withPerf, type PerfOptions } from "langchain-perf";
import { SteadyLoad } from "../cache/steady-load.ts";
import type { Measure } from "../harness/bench.ts";
import { shown } from "../harness/report.ts";
import { simulatorProcess } from "../harness/simulator-process.ts";
import { modelAt, requestsOf } from "./outage-provider.ts";

const CALLS_PER_SECOND = 200;
const LASTS_MS = 15_000;
/** Each deployment fails every call in a way of its own. */
const FAULTS = ["status=503", "status=500", "reset"];

/** Circuits keep nearly all calls from those who fail; without them the retries' budget alone does. The worse of the two counts. */
export const measure: Measure = async () => {
  const withCircuits = await storm({});
  const without = await storm({ circuit: false });
  const text = ({ upstream, offered, answered }: Storm): string => `${shown(upstream)} upstream calls of ${shown(offered)} offered, ${answered} answered`;
  return { retry_storm: { value: Math.max(ratio(withCircuits), ratio(without)), note: `with circuits ${text(withCircuits)}; without ${text(without)}` } };
};

interface Storm {
  readonly upstream: number;
  readonly offered: number;
  readonly answered: number;
}

function ratio({ upstream, offered }: Storm): number {
  return upstream / offered;
}

/** Calls come at a steady rate, whatever became of the earlier ones. */
async function storm(routing: Partial<NonNullable<PerfOptions["routing"]>>): Promise<Storm> {
  const simulators = await Promise.all(FAULTS.map((fault) => simulatorProcess({ faults: [fault] })));
  const deployments = simulators.map(({ baseURL }, at) => ({ id: `deployment ${at}`, model: modelAt(baseURL) }));
  await using perf = createPerf({ routing: { ...routing, deployments }, retry: {} });
  try {
    const model = withPerf((deployments[0] as (typeof deployments)[number]).model, perf);
    const load = new SteadyLoad(CALLS_PER_SECOND, async () => void (await model.invoke("How do I return a broken lamp?")));
    await delay(LASTS_MS);
    await load.stop();
    const { tookMs, failed } = load.phase;
    const upstream = (await Promise.all(simulators.map(({ baseURL }) => requestsOf(baseURL)))).reduce((sum, requests) => sum + requests, 0);
    return { upstream, offered: tookMs.length + failed, answered: tookMs.length };
  } finally {
    await Promise.all(simulators.map((simulator) => simulator.close()));
  }
}
