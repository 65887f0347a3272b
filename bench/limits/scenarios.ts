import type { AzureCall } from "../data/azure-calls.ts";
import type { Random } from "../../src/testing/random.ts";

/** What a call says beforehand that it takes, and what it takes. */
export interface Sizes {
  readonly estimate: number;
  readonly truth: number;
}

/** How calls estimate. */
export interface Scenario {
  readonly name: string;
  /** @param progress of the whole play, 0 to 1 */
  sizes(call: AzureCall, random: Random, progress: number): Sizes;
}

/** No answer of the trace is longer. */
const MAX_TOKENS = 1_000;

/** The longest possible answer is reserved. */
export const RESERVED: Scenario = {
  name: "max_tokens reserved",
  sizes: ({ promptTokens, answerTokens }) => ({ estimate: promptTokens + MAX_TOKENS, truth: promptTokens + answerTokens }),
};

/** Estimates that are wrong by up to 50%. */
export const BAD_ESTIMATES: readonly Scenario[] = [
  { name: "estimate = truth ± 50%", sizes: (call, random) => ({ estimate: Math.round(tokensOf(call) * (0.5 + random())), truth: tokensOf(call) }) },
  timesEstimate("truth = estimate ± 50%", (random) => 0.5 + random()),
  timesEstimate("truth always 1.5 ×", () => 1.5),
  timesEstimate("truth always 0.5 ×", () => 0.5),
  timesEstimate("truth from 0.67 × to 1.5 × at once", (_random, progress) => (progress < 0.5 ? 0.67 : 1.5)),
  timesEstimate("truth 0.67 × and 1.5 × in turns", (_random, progress) => (Math.floor(progress * 6) % 2 === 0 ? 0.67 : 1.5)),
  timesEstimate("truth from 0.67 × to 1.5 × by and by", (_random, progress) => 0.67 + 0.83 * progress),
];

function timesEstimate(name: string, ratio: (random: Random, progress: number) => number): Scenario {
  return { name, sizes: (call, random, progress) => ({ estimate: tokensOf(call), truth: Math.round(tokensOf(call) * ratio(random, progress)) }) };
}

function tokensOf({ promptTokens, answerTokens }: AzureCall): number {
  return promptTokens + answerTokens;
}

/** How long a call takes: half a second to the first token, and 50 tokens a second from there. */
export function durationMs({ answerTokens }: AzureCall): number {
  return 500 + 20 * answerTokens;
}
