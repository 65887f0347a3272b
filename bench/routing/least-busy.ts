import { setTimeout as delay } from "node:timers/promises";
import { createPerf, withPerf, type RoutingOptions } from "langchain-perf";
import { azureCalls, type AzureCall } from "../data/azure-calls.ts";
import type { Measure } from "../harness/bench.ts";
import { shown } from "../harness/report.ts";
import { LightModel } from "./least-busy-model.ts";
import { promptOf, SLOTS, slotServers, workMs } from "./least-busy-server.ts";

const SPEEDS = [1, 1, 0.5, 0.25];
/** What the oracle alone is told. */
const WEIGHTS = [4, 4, 2, 1];
/** Share of the time for which the slowest deployment's places are taken under round-robin. */
const LOAD = 0.6;
/** Arrivals and work are so many times faster than meant: a side takes less than three minutes. */
const COMPRESSION = 10;

type Strategy = RoutingOptions["strategy"];

interface Side {
  readonly meanMs: number;
  readonly p99Ms: number;
  readonly shares: readonly number[];
}

/** A trace, and nothing drawn by lot but ties: each side plays it against servers of its own, all at once, so that the machine is the same for all. */
export const measure: Measure = async () => {
  const calls = scaled(azureCalls("code"));
  const [robin, busy, oracle] = await Promise.all([play(calls, "round-robin"), play(calls, "least-busy"), play(calls, "weighted", WEIGHTS)]);
  const sides = `least-busy ${text(busy)}; round-robin ${text(robin)}; oracle ${text(oracle)}; time ${COMPRESSION} × compressed`;
  return {
    least_busy_mean: { value: busy.meanMs / robin.meanMs, note: sides },
    least_busy_p99: { value: busy.p99Ms / robin.p99Ms },
    least_busy_vs_oracle: { value: busy.meanMs / oracle.meanMs, note: `p99 ${shown(busy.p99Ms / oracle.p99Ms)} ×` },
  };
};

/** Gaps between arrivals in which a quarter of the work keeps the slowest deployment as busy as wanted. */
function scaled(calls: readonly AzureCall[]): AzureCall[] {
  const work = calls.reduce((sum, { promptTokens, answerTokens }) => sum + workMs(promptTokens, answerTokens), 0);
  const wantedMs = work / SPEEDS.length / Math.min(...SPEEDS) / SLOTS / LOAD;
  const lengthMs = calls.at(-1)?.atMs ?? 1;
  return calls.map((call) => ({ ...call, atMs: (call.atMs * wantedMs) / lengthMs }));
}

/** Calls come at their time, whatever became of the earlier ones; they count from when they should have come. */
async function play(calls: readonly AzureCall[], strategy: Strategy, weights: readonly number[] = []): Promise<Side> {
  const servers = await slotServers(SPEEDS, COMPRESSION);
  const deployments = servers.baseURLs.map((baseURL, at) => ({ id: `deployment ${at}`, model: new LightModel(baseURL), weight: weights[at] ?? 1 }));
  await using perf = createPerf({ routing: { strategy, deployments } });
  const counts = new Map<string, number>();
  perf.on("call", ({ deployment = "none" }) => counts.set(deployment, (counts.get(deployment) ?? 0) + 1));
  try {
    const model = withPerf((deployments[0] as (typeof deployments)[number]).model, perf);
    const start = performance.now() + 100;
    const tookMs = calls.map(async ({ atMs, promptTokens, answerTokens }) => {
      const dueAt = start + atMs / COMPRESSION;
      await delay(dueAt - performance.now());
      await model.invoke(promptOf(promptTokens, answerTokens));
      return (performance.now() - dueAt) * COMPRESSION;
    });
    const sorted = (await Promise.all(tookMs)).toSorted((one, other) => one - other);
    return {
      meanMs: sorted.reduce((sum, ms) => sum + ms, 0) / sorted.length,
      p99Ms: sorted[Math.floor(sorted.length * 0.99)] ?? Number.NaN,
      shares: deployments.map(({ id }) => (counts.get(id) ?? 0) / calls.length),
    };
  } finally {
    await servers.close();
  }
}

function text({ meanMs, p99Ms, shares }: Side): string {
  return `mean ${shown(meanMs)} ms, p99 ${shown(p99Ms)} ms, shares ${shares.map((share) => share.toFixed(2)).join(", ")}`;
}
