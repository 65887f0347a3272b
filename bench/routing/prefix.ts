import { setTimeout as delay } from "node:timers/promises";
import { AIMessage, HumanMessage, SystemMessage, type BaseMessage } from "@langchain/core/messages";
import { createPerf, withPerf, type RoutingOptions } from "langchain-perf";
import type { Measure } from "../harness/bench.ts";
import { shown } from "../harness/report.ts";
import { simulatorProcess } from "../harness/simulator-process.ts";
import { modelAt, requestsOf } from "./outage-provider.ts";
import { conversations, type Turn } from "./prefix-conversations.ts";

const DEPLOYMENTS = 8;
const PROMPT_CACHE = { blockTokens: 128, maxBlocks: 1_500 };
const LATENCY = { ttftMs: 200, interTokenMs: 2 };
const REQUESTS = 3_000;
const PER_SECOND = 50;
/** None of these was looked at while the strategy was being made. */
const SEEDS = [51_001, 51_002];

type Strategy = RoutingOptions["strategy"];

interface Side {
  readonly promptTokens: number;
  readonly missedTokens: number;
  /** Requests of the busiest deployment / the mean. */
  readonly imbalance: number;
}

/** The tokens are those that the answers report. Caches are empty at the start, and fill on both sides. */
export const measure: Measure = async () => {
  const results: { ratio: number; imbalance: number; note: string }[] = [];
  for (const seed of SEEDS) {
    const turns = conversations(REQUESTS, PER_SECOND, seed);
    const robin = await play(turns, "round-robin");
    const prefix = await play(turns, "prefix-affinity");
    const note = `seed ${seed}: ${percent(prefix)} of ${shown(prefix.promptTokens / REQUESTS)} tokens a prompt, round-robin ${percent(robin)}`;
    results.push({ ratio: prefix.missedTokens / robin.missedTokens, imbalance: prefix.imbalance, note });
  }
  const note = `the worse of ${SEEDS.length} seeds`;
  return {
    prefix_miss_ratio: { value: Math.max(...results.map(({ ratio }) => ratio)), note: [note, ...results.map((result) => result.note)].join("; ") },
    prefix_imbalance: { value: Math.max(...results.map(({ imbalance }) => imbalance)), note },
  };
};

async function play(turns: readonly Turn[], strategy: Strategy): Promise<Side> {
  const simulators = await Promise.all(Array.from({ length: DEPLOYMENTS }, () => simulatorProcess({ promptCache: PROMPT_CACHE, latency: LATENCY })));
  const deployments = simulators.map(({ baseURL }, at) => ({ id: `deployment ${at}`, model: modelAt(baseURL) }));
  await using perf = createPerf({ routing: { strategy, deployments } });
  try {
    const model = withPerf((deployments[0] as (typeof deployments)[number]).model, perf);
    const start = performance.now() + 100;
    const answers = turns.map(async ({ atMs, system, said }) => {
      await delay(start + atMs - performance.now());
      return (await model.invoke(messagesOf(system, said))).usage_metadata;
    });
    let [promptTokens, missedTokens] = [0, 0];
    for (const usage of await Promise.all(answers)) {
      if (!usage) throw new Error("An answer did not say what it cost.");
      promptTokens += usage.input_tokens;
      missedTokens += usage.input_tokens - (usage.input_token_details?.cache_read ?? 0);
    }
    const counts = await Promise.all(simulators.map(({ baseURL }) => requestsOf(baseURL)));
    return { promptTokens, missedTokens, imbalance: (Math.max(...counts) * DEPLOYMENTS) / turns.length };
  } finally {
    await Promise.all(simulators.map((simulator) => simulator.close()));
  }
}

function messagesOf(system: string, said: readonly string[]): BaseMessage[] {
  return [new SystemMessage(system), ...said.map((text, at) => (at % 2 === 0 ? new HumanMessage(text) : new AIMessage(text)))];
}

function percent({ missedTokens, promptTokens }: Side): string {
  return `${shown((100 * missedTokens) / promptTokens)}% missed`;
}
