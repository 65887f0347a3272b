import { setTimeout as delay } from "node:timers/promises";
import { createPerf, withPerf } from "langchain-perf";
import { SteadyLoad } from "../cache/steady-load.ts";
import { OutageLog, type Interval } from "./outage-log.ts";
import { FailingProvider, modelAt } from "./outage-provider.ts";

const CALLS_PER_SECOND = 160;
/** A quarter of the measured times, so that an answer takes some 230 ms; 37 of the 96 places are taken when all goes well. */
const PROVIDER = { latency: "together_70b", speed: 4, capacity: 32 };
const ROUNDS = 2;
const WARM_UP_MS = 3_000;
const CALM_MS = 6_000;
const FAULT_MS = 24_000;
/** How long is waited for a deployment to come back. */
export const RECOVERY_MS = 8_000;
export const OPEN_MS = 2_000;
/** What callers are willing to wait. */
const IN_TIME_MS = 2_000;
/** What they give one deployment: much longer than a healthy one ever takes. */
const ATTEMPT_MS = 1_000;
/** With this an answer takes ten times as long. */
const SLOW_MS = 2_100;

interface Fault {
  readonly name: string;
  begin(provider: FailingProvider): Promise<void>;
  end(provider: FailingProvider): Promise<void>;
}

const FAULTS: readonly Fault[] = [
  { name: "dead", begin: (provider) => provider.die(), end: (provider) => provider.restart() },
  { name: "slow", begin: (provider) => provider.fault(`slow=${SLOW_MS}`), end: (provider) => provider.heal() },
  { name: "flapping", begin: (provider) => provider.fault("reset,on=700,off=700"), end: (provider) => provider.heal() },
];

/** What happened, and when. */
export interface Outage {
  readonly log: OutageLog;
  readonly failing: string;
  readonly calm: readonly Interval[];
  /** By the name of the fault: when it was there. */
  readonly faults: ReadonlyMap<string, readonly Interval[]>;
}

/** One of three deployments fails in each of the ways, again and again, while calls come at a steady rate, whatever became of the earlier ones. */
export async function playOutages(): Promise<Outage> {
  const providers = await Promise.all([21, 22, 23].map((seed) => FailingProvider.start({ ...PROVIDER, seed })));
  const [failing] = providers as [FailingProvider, ...FailingProvider[]];
  const deployments = providers.map(({ baseURL }, at) => ({ id: `deployment ${at}`, model: modelAt(baseURL) }));
  const log = new OutageLog();
  await using perf = createPerf({
    routing: { strategy: "least-busy", deployments, circuit: { openMs: OPEN_MS } },
    timeouts: { attemptMs: ATTEMPT_MS, totalMs: IN_TIME_MS },
  });
  perf.on("call", ({ deployment, durationMs, error }) => {
    if (deployment !== undefined && !error) log.answered(deployment, durationMs);
  });
  const model = withPerf(modelAt(failing.baseURL), perf);
  const load = new SteadyLoad(CALLS_PER_SECOND, () => log.follow(() => model.invoke("How do I return a broken lamp?")));
  try {
    return { log, failing: "deployment 0", ...(await failAndRecover(failing)) };
  } finally {
    await load.stop();
    await Promise.all(providers.map((provider) => provider.close()));
  }
}

async function failAndRecover(provider: FailingProvider): Promise<Pick<Outage, "calm" | "faults">> {
  const calm: Interval[] = [];
  const faults = new Map(FAULTS.map(({ name }) => [name, [] as Interval[]]));
  await delay(WARM_UP_MS);
  for (let round = 0; round < ROUNDS; round++) {
    for (const { name, begin, end } of FAULTS) {
      calm.push(await during(() => delay(CALM_MS)));
      // What is under way when it begins is hit as well, and belongs to it.
      await delay(IN_TIME_MS / 2);
      faults.get(name)?.push(await during(() => begin(provider).then(() => delay(FAULT_MS)).then(() => end(provider))));
      await delay(RECOVERY_MS);
    }
  }
  return { calm, faults };
}

async function during(work: () => Promise<unknown>): Promise<Interval> {
  const from = performance.now();
  await work();
  return { from, to: performance.now() };
}
