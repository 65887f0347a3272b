import type { SimulatedRequest } from "langchain-perf/testing";

/** USD per million tokens, as OpenAI lists them. */
const prices: Record<string, { input: number; cachedInput: number; output: number }> = {
  "gpt-4o-mini": { input: 0.15, cachedInput: 0.075, output: 0.6 },
  "text-embedding-3-small": { input: 0.02, cachedInput: 0.02, output: 0 },
};

/** What playing a workload on one side gave. */
export interface Observations {
  latenciesMs: number[];
  /** Empty for a program that does not stream. */
  firstTokensMs: number[];
  elapsedMs: number;
  setupMs: number;
  /** What the provider saw while the workload was played. */
  upstream: readonly SimulatedRequest[];
  /** How the calls of models and embeddings were answered; absent when the program was bare. */
  calls?: { total: number; hits: number; coalesced: number };
}

/** One side of the comparison. */
export interface Figures {
  p50Ms: number;
  p95Ms: number;
  p99Ms: number;
  firstTokenP50Ms?: number;
  firstTokenP95Ms?: number;
  requestsPerSecond: number;
  chatCalls: number;
  embeddingsCalls: number;
  inputTokens: number;
  outputTokens: number;
  costUsd: number;
  /** Share of the calls of models and embeddings that the cache answered, 0 to 1. */
  hitRate?: number;
  /** Share of them that waited for an equal call in flight, 0 to 1. */
  coalescedRate?: number;
  /** Building the program, with its index if it has one; not part of the latency. */
  setupMs: number;
}

export function summarize(seen: Observations): Figures {
  const { upstream, calls } = seen;
  return {
    p50Ms: percentile(seen.latenciesMs, 0.5),
    p95Ms: percentile(seen.latenciesMs, 0.95),
    p99Ms: percentile(seen.latenciesMs, 0.99),
    ...(seen.firstTokensMs.length > 0 && {
      firstTokenP50Ms: percentile(seen.firstTokensMs, 0.5),
      firstTokenP95Ms: percentile(seen.firstTokensMs, 0.95),
    }),
    requestsPerSecond: (seen.latenciesMs.length / seen.elapsedMs) * 1_000,
    chatCalls: upstream.filter(({ path }) => path.endsWith("/chat/completions")).length,
    embeddingsCalls: upstream.filter(({ path }) => path.endsWith("/embeddings")).length,
    inputTokens: sum(upstream, ({ promptTokens = 0 }) => promptTokens),
    outputTokens: sum(upstream, ({ completionTokens = 0 }) => completionTokens),
    costUsd: sum(upstream, cost),
    ...(calls !== undefined && calls.total > 0 && { hitRate: calls.hits / calls.total, coalescedRate: calls.coalesced / calls.total }),
    setupMs: seen.setupMs,
  };
}

/** The value that `share` of all values do not exceed (nearest rank). */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((left, right) => left - right);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0;
}

function cost({ model = "", promptTokens = 0, cachedTokens = 0, completionTokens = 0 }: SimulatedRequest): number {
  const price = prices[model];
  if (price === undefined) throw new Error(`no price is known for the model ${model}`);
  const { input, cachedInput, output } = price;
  return ((promptTokens - cachedTokens) * input + cachedTokens * cachedInput + completionTokens * output) / 1e6;
}

function sum<T>(items: readonly T[], value: (item: T) => number): number {
  return items.reduce((total, item) => total + value(item), 0);
}
