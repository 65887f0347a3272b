import { setTimeout as delay } from "node:timers/promises";
import { ChatOpenAI } from "@langchain/openai";
import { createPerf, withPerf } from "langchain-perf";
import type { Measure } from "../harness/bench.ts";
import { simulatorProcess } from "../harness/simulator-process.ts";

const MINUTE_MS = 60_000;
/** How long answers count. What is under way then, at both sides, does not. */
const LASTS_MS = 85_000;
/** Callers that always want an answer. */
const CALLERS = 300;
/** Between two requests of the fixed pace and the moment at which the quota allows the next, so that none comes too early. */
const SLACK_MS = 50;
const PROMPTS = Array.from({ length: 20 }, (_, number) => `What should be known about ${"the quotas of model providers, ".repeat(1 + (number % 7))}part ${number}?`);

interface Quota {
  readonly requestsPerMinute: number;
  readonly tokensPerMinute: number;
}

/** One in which requests are scarce, one in which tokens are. */
const QUOTAS: Readonly<Record<string, Quota>> = {
  requests: { requestsPerMinute: 600, tokensPerMinute: 1_000_000 },
  tokens: { requestsPerMinute: 3_000, tokensPerMinute: 60_000 },
};

interface Side {
  readonly answered: number;
  readonly calls: number;
  readonly refused: number;
}

/** Asks in some way, until it is told to stop, and tells of each answer. */
type Load = (baseURL: string, quota: Quota, costs: readonly number[], answered: () => void, stopped: AbortSignal) => Promise<void>;

/**
 * `http_429`: of the requests that the provider got. `http_goodput`: answers within the time, to those of the best fixed setting: a pace that knows the true
 * limits and beforehand the true tokens of every request, and takes every bit of the quota as soon as it is there, from the same full quota at the start.
 * Of two providers, one short of requests, one of tokens, the worse counts.
 */
export const measure: Measure = async () => {
  const costs = await trueCosts();
  const results = await Promise.all(
    Object.entries(QUOTAS).map(async ([name, quota]) => {
      const [steered, fixed] = await Promise.all([side(steeredLoad, quota, costs), side(fixedLoad, quota, costs)]);
      const note = `${name}: ${steered.answered} answers of ${steered.calls} requests, ${steered.refused} refused; fixed ${fixed.answered} of ${fixed.calls}, ${fixed.refused} refused`;
      return { note, refusedPercent: (100 * steered.refused) / steered.calls, goodput: steered.answered / fixed.answered };
    }),
  );
  const note = results.map((result) => result.note).join("; ");
  return {
    http_429: { value: Math.max(...results.map(({ refusedPercent }) => refusedPercent)), note },
    http_goodput: { value: Math.min(...results.map(({ goodput }) => goodput)), note },
  };
};

async function side(load: Load, quota: Quota, costs: readonly number[]): Promise<Side> {
  const simulator = await simulatorProcess({ limits: quota, latency: "together_70b" });
  const stop = new AbortController();
  try {
    let answered = 0;
    const loaded = load(simulator.baseURL, quota, costs, () => void (answered += 1), stop.signal);
    await delay(LASTS_MS);
    const result = { answered, ...(await counts(simulator.baseURL)) };
    stop.abort();
    await loaded;
    return result;
  } finally {
    await simulator.close();
  }
}

/** What the provider saw. */
async function counts(baseURL: string): Promise<Pick<Side, "calls" | "refused">> {
  const response = await fetch(new URL("/_control/requests?status=429&limit=1", baseURL));
  const { total, matching } = (await response.json()) as { total: number; matching: number };
  return { calls: total, refused: matching };
}

/** What each question takes of the tokens, by a provider without limits. */
async function trueCosts(): Promise<number[]> {
  const simulator = await simulatorProcess();
  try {
    const asked = model(simulator.baseURL);
    return await Promise.all(PROMPTS.map(async (prompt) => (await asked.invoke(prompt)).usage_metadata?.total_tokens ?? 0));
  } finally {
    await simulator.close();
  }
}

function model(baseURL: string, retries: { maxRetries?: number } = {}): ChatOpenAI {
  return new ChatOpenAI({ model: "gpt-4o-mini", apiKey: "none", maxTokens: 256, configuration: { baseURL }, ...retries });
}

/** All callers at once, through limits of which nothing is known beforehand. */
const steeredLoad: Load = async (baseURL, _quota, _costs, answered, stopped) => {
  await using perf = createPerf({ rateLimit: {} });
  const asked = withPerf(model(baseURL), perf);
  let number = 0;
  const caller = async (): Promise<void> => {
    while (!stopped.aborted) {
      await asked.invoke(PROMPTS[number++ % PROMPTS.length] as string, { signal: stopped }).then(answered, () => {});
    }
  };
  await Promise.all(Array.from({ length: CALLERS }, caller));
};

/** Each request at the first moment at which the quota has room for it. */
const fixedLoad: Load = async (baseURL, { requestsPerMinute, tokensPerMinute }, costs, answered, stopped) => {
  const asked = model(baseURL, { maxRetries: 0 });
  const started = performance.now();
  const open = new Set<Promise<void>>();
  let tokens = 0;
  for (let number = 0; !stopped.aborted; number++) {
    tokens += costs[number % costs.length] as number;
    const requestsAt = ((number + 1 - requestsPerMinute) / requestsPerMinute) * MINUTE_MS;
    const tokensAt = ((tokens - tokensPerMinute) / tokensPerMinute) * MINUTE_MS;
    const waitMs = Math.max(0, requestsAt, tokensAt) + SLACK_MS - (performance.now() - started);
    if (waitMs > 1) await delay(waitMs, undefined, { signal: stopped }).catch(() => {});
    if (stopped.aborted) break;
    const call: Promise<void> = asked.invoke(PROMPTS[number % PROMPTS.length] as string, { signal: stopped }).then(answered, () => {}).finally(() => open.delete(call));
    open.add(call);
  }
  await Promise.all(open);
};
