import { type Perf, perfOf } from "langchain-perf";
import { createSimulator } from "langchain-perf/testing";
import type { Observations } from "./figures.ts";
import type { Program, RunningProgram } from "./programs.ts";
import type { Workload } from "./workload.ts";

/** More than any run sends: cost and tokens are read from the provider's log. */
const LOG_SIZE = 10_000_000;

/** How a workload is played, equal for both sides. */
export interface PlaySettings {
  seed: number;
  concurrency: number;
  latency: string;
  speed: number;
  onAnswer(done: number): void;
}

/** The answers, by conversation and turn, and what was observed on the way. */
export interface Played {
  answers: string[][];
  observations: Observations;
}

/** Plays a workload to a fresh instance of the program, with a provider of its own that has cached nothing. */
export async function play(program: Program, workload: Workload, wrapped: boolean, settings: PlaySettings): Promise<Played> {
  const { seed, latency, speed } = settings;
  const simulator = await createSimulator({ seed, latency, speed, logSize: LOG_SIZE, digestInText: program.digestInText });
  let perf: Perf | undefined;
  try {
    const setupStart = performance.now();
    const running = await program.start({ apiKey: "simulated", configuration: { baseURL: simulator.baseURL } }, wrapped);
    const setupMs = performance.now() - setupStart;
    perf = perfOf(running.root);
    await running.converse()(program.warmUp, () => {});

    const calls = perf && countCalls(perf);
    const requestsBefore = simulator.requests.length;
    const start = performance.now();
    const conversed = await converseAll(running, workload, settings);
    const elapsedMs = performance.now() - start;
    const upstream = simulator.requests.slice(requestsBefore);
    return { answers: conversed.answers, observations: { ...conversed, elapsedMs, setupMs, upstream, calls } };
  } finally {
    await perf?.close();
    await simulator.close();
  }
}

function countCalls(perf: Perf): NonNullable<Observations["calls"]> {
  const calls = { total: 0, hits: 0, coalesced: 0 };
  perf.on("call", ({ kind, cache, coalesced }) => {
    if (kind !== "chat" && kind !== "embeddings") return;
    calls.total++;
    if (cache?.status === "hit") calls.hits++;
    else if (coalesced === "follower") calls.coalesced++;
  });
  return calls;
}

type Conversed = Pick<Played, "answers"> & Pick<Observations, "latenciesMs" | "firstTokensMs">;

async function converseAll(running: RunningProgram, workload: Workload, { concurrency, onAnswer }: PlaySettings): Promise<Conversed> {
  const conversed: Conversed = { answers: workload.map(() => []), latenciesMs: [], firstTokensMs: [] };
  const waiting = workload.entries();
  let failure: unknown;
  const worker = async (): Promise<void> => {
    for (const [index, questions] of waiting) {
      const ask = running.converse();
      for (const question of questions) {
        if (failure !== undefined) return;
        const start = performance.now();
        const answer = await ask(question, () => conversed.firstTokensMs.push(performance.now() - start));
        conversed.answers[index]?.push(answer);
        onAnswer(conversed.latenciesMs.push(performance.now() - start));
      }
    }
  };
  // Every worker ends before the provider goes away, even when one of them has failed.
  await Promise.all(Array.from({ length: concurrency }, () => worker().catch((error: unknown) => (failure ??= error))));
  if (failure !== undefined) throw failure;
  return conversed;
}
