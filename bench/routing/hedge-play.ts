import { readFileSync } from "node:fs";
import type { HedgeOptions } from "../../src/layers/route/hedging.ts";
import { Route } from "../../src/layers/route/layer.ts";
import { Pool, type PoolRules } from "../../src/layers/route/pool.ts";
import type { Strategy } from "../../src/layers/route/strategy.ts";
import { seededRandom } from "../../src/testing/random.ts";
import { VirtualTime } from "../../test/support/virtual-time.ts";
import { azureCalls } from "../data/azure-calls.ts";
import { successfulCalls, type MeasuredCall } from "../data/llmperf-source.ts";
import { timedCall, TimedProvider, type TimedQuestion } from "./hedge-provider.ts";

/** Two deployments whose answers take as long as those of a measured provider and model. */
export interface HedgePlay {
  readonly first: string;
  /** @default the same as the first; then calls go to both in turn, otherwise to the first */
  readonly second?: string;
  readonly hedge: HedgeOptions | undefined;
  readonly seed: number;
}

/** What callers saw. */
export interface HedgeResult {
  readonly firstTokenMs: readonly number[];
  readonly totalMs: readonly number[];
  readonly calls: number;
  readonly requests: number;
}

const CALLS = 20_000;
/** Calls under way, on average. */
const UNDER_WAY = 20;
const IDS = ["first", "second"] as const;

const measured = successfulCalls(readFileSync(new URL("../data/llmperf-latency.tar.gz", import.meta.url)));
const answerTokens = azureCalls("conv").map((call) => call.answerTokens).filter((tokens) => tokens > 0);

/** Calls come at random, whatever became of the earlier ones, and are answered through the route in virtual time. */
export async function playHedged({ first, second = first, hedge, seed }: HedgePlay): Promise<HedgeResult> {
  const random = seededRandom(seed);
  const drawn = <T>(values: readonly T[]): T => values[Math.floor(random() * values.length)] as T;
  const tables = [timesOf(first), timesOf(second)] as const;
  const gapMs = mean(tables[0].map(({ ttftMs, interTokenMs }) => ttftMs + interTokenMs * mean(answerTokens))) / UNDER_WAY;
  const clock = new VirtualTime();
  const provider = new TimedProvider(clock);
  const tools = { clock, random, isLimited: false, retryAfterMs: () => undefined, costOf: () => undefined };
  const route = new Route([poolOf(hedge, first === second ? inTurn() : firstAlone, clock, random)], tools);
  const [firstTokenMs, totalMs]: [number[], number[]] = [[], []];
  const ask = async (question: TimedQuestion): Promise<void> => {
    const askedAt = clock.elapsed();
    let isFirst = true;
    for await (const _part of route.handle(timedCall(question), provider.answer)) {
      if (isFirst) firstTokenMs.push(clock.elapsed() - askedAt);
      isFirst = false;
    }
    totalMs.push(clock.elapsed() - askedAt);
  };
  const come = (left: number): void => {
    if (left === 0) return;
    const question = { answers: { first: drawn(tables[0]), second: drawn(tables[1]) }, tokens: drawn(answerTokens) };
    const untilNextMs = -Math.log(1 - random()) * gapMs;
    void ask(question);
    clock.after(untilNextMs, () => come(left - 1));
  };
  come(CALLS);
  if (!(await clock.passAll(10 * CALLS)) || totalMs.length !== CALLS) throw new Error(`${totalMs.length} of ${CALLS} calls came to their end.`);
  return { firstTokenMs, totalMs, calls: CALLS, requests: provider.requests };
}

function timesOf(pair: string): readonly MeasuredCall[] {
  const calls = measured.get(pair);
  if (!calls) throw new Error(`Nobody has measured ${pair}.`);
  return calls;
}

function inTurn(): Strategy {
  let turn = 0;
  return { name: "in turn", pick: (candidates) => candidates[turn++ % candidates.length] as (typeof candidates)[number] };
}

const NO_LIMITS = { requestsPerMinute: undefined, tokensPerMinute: undefined, maxConcurrent: undefined };
const firstAlone: Strategy = { name: "first alone", pick: ([candidate]) => candidate as NonNullable<typeof candidate> };

function poolOf(hedge: HedgeOptions | undefined, strategy: Strategy, clock: VirtualTime, random: () => number): Pool {
  const rules: PoolRules = {
    retry: { maxRetries: 0, baseDelayMs: 100, maxDelayMs: 10_000, budget: 0.1, on: undefined },
    patience: { attemptMs: Infinity, firstTokenMs: Infinity, stallMs: Infinity },
    totalMs: Infinity,
    onInterrupt: "error",
    circuit: undefined,
    hedge,
    contextWindow: undefined,
    contentFilter: [],
    cascade: undefined,
  };
  const deployments = IDS.map((id) => ({ id, target: {}, model: "timed", weight: 1, priority: 0, contextWindow: undefined, price: undefined, metricsUrl: undefined, tags: [], limits: NO_LIMITS }));
  const host = { clock, random, circuitChanged() {}, disabled() {}, quotaUsed: () => undefined, costOf: () => undefined, shared: undefined };
  return new Pool({ number: 0, takes: () => true, rules, strategy, deployments }, host);
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
