import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { createSimulator } from "langchain-perf/testing";
import { startRedis } from "../../test/support/services.ts";
import type { Measure } from "../harness/bench.ts";
import { shown } from "../harness/report.ts";

const PROCESSES = 4;
const CALLS = 50;
const ROUNDS = 7;

/** Each round asks what was never asked before: 4 processes × 50 calls at once, half of them streams. */
export const measure: Measure = async () => {
  await using redis = await startRedis();
  await using simulator = await createSimulator({ latency: { ttftMs: 100, interTokenMs: 5 } });
  const children = Array.from({ length: PROCESSES }, () => fork(fileURLToPath(new URL("cluster-process.ts", import.meta.url)), [redis.url, simulator.baseURL], { execArgv: [] }));
  await Promise.all(children.map(answered));
  const asked: number[] = [];
  const tookMs: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const before = simulator.count();
    const since = performance.now();
    const answers = children.map(answered);
    for (const child of children) child.send({ question: `Question ${round}`, calls: CALLS });
    const different = new Set((await Promise.all(answers)).flat());
    if (different.size !== 1) throw new Error(`${different.size} different answers to one question.`);
    asked.push(simulator.count() - before);
    tookMs.push(performance.now() - since);
  }
  const exits = children.map((child) => once(child, "exit"));
  for (const child of children) child.disconnect();
  await Promise.all(exits);
  const medianMs = tookMs.toSorted((a, b) => a - b)[ROUNDS >> 1] ?? 0;
  return { cluster_calls: { value: Math.max(...asked), note: `of ${PROCESSES} × ${CALLS}, in ${ROUNDS} rounds: ${asked.join(", ")}; a round takes ${shown(medianMs)} ms, the answer itself 200 ms` } };
};

/** The answers that a process reports next. */
async function answered(child: ChildProcess): Promise<string[]> {
  const ended = once(child, "exit").then(() => Promise.reject(new Error("A process of the cluster has ended.")));
  ended.catch(() => {});
  const [answers] = (await Promise.race([once(child, "message"), ended])) as [string[]];
  return answers;
}
