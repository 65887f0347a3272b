import type { Usage } from "../../core/facts.ts";

/** What is known of a question before it is asked. */
export interface RouteQuestion {
  /** Everything of the prompt that costs tokens, in the order in which a provider reads it: tools, then messages. */
  readonly texts: readonly string[];
  /** How many of the texts, from the first, every turn of the conversation has: up to the user's first message. @default 2, a system prompt and that message */
  readonly openingTexts?: number | undefined;
  /** Tokens of the prompt, estimated by its characters. */
  readonly inputTokens: number;
  /** The most that the answer may take, where the question says so. */
  readonly maxOutputTokens: number | undefined;
  /** The conversation that it belongs to, where somebody said so. */
  readonly session: string | undefined;
  readonly tenant: string | undefined;
  readonly model: string | undefined;
}

/** How a request ended, as far as strategies learn from it. */
export interface RouteOutcome {
  /** `left`: nobody waited for its end, e.g. because another was faster. */
  readonly end: "ok" | "failed" | "left";
  /** From when it was made to its first content, milliseconds; `undefined` = it had none. */
  readonly firstMs: number | undefined;
  /** From when it was made to its end, milliseconds. */
  readonly totalMs: number;
  readonly usage: Usage | undefined;
  /** USD, where the deployment or its model has a price. */
  readonly costUsd: number | undefined;
  /** Whether the answer came in parts, so that `firstMs` is less than the whole. */
  readonly inParts: boolean;
}

/** How long a deployment's answers take, learned from those of late. */
export interface LatencyEstimate {
  /** Whether anything is known. */
  readonly isKnown: boolean;
  /** Mean time to the first content, milliseconds; `undefined` = not known. */
  readonly firstMs: number | undefined;
  /** Mean time of a whole answer, milliseconds; `undefined` = not known. */
  readonly totalMs: number | undefined;
  /**
   * How long the answer to this question will take, milliseconds; 0 where nothing is known. It comes down while there is no news, so that
   * who was slow is asked again some day.
   */
  expectedMs(question: RouteQuestion): number;
  /** The same, on the side of the slowest answers of late. */
  cautiousMs(question: RouteQuestion): number;
  add(question: RouteQuestion, outcome: RouteOutcome): void;
}

/** A deployment as strategies see it. */
export interface Candidate {
  readonly id: string;
  /** Its place among all deployments of its pool, from 0. */
  readonly index: number;
  /** Above 0. */
  readonly weight: number;
  /** USD of a question, estimated; `undefined` = it has no price. */
  costOf(question: RouteQuestion): number | undefined;
  /** Requests under way: its own, and those that other processes, or the server itself, tell of. */
  readonly inFlight: number;
  readonly latency: LatencyEstimate;
  /** How long the longest of the requests that wait for their first content has waited, milliseconds; 0 = none does. */
  readonly silentMs: number;
  /** Share of the requests of late that failed, 0 to 1. */
  readonly errorRate: number;
  /** Share of its quota that is taken, 0 to 1; `undefined` = it has none that is known. */
  readonly quotaUsed: number | undefined;
  /** Requests that were made of it in the last minute. */
  readonly requestsOfLate: number;
}

/** Decides which deployment is asked. One for each pool; it may keep what it learns. */
export interface Strategy {
  readonly name: string;
  /** @param candidates those that may be asked now; at least one */
  pick<C extends Candidate>(candidates: readonly C[], question: RouteQuestion): C;
  /** A request is made. */
  sent?(candidate: Candidate, question: RouteQuestion): void;
  /** A request has ended. */
  ended?(candidate: Candidate, question: RouteQuestion, outcome: RouteOutcome): void;
}

/** What strategies need besides. */
export interface StrategyTools {
  /** Monotonic milliseconds. */
  elapsed(): number;
  /** 0 to 1, 1 excluded. */
  random(): number;
}
