import type { Candidate, RouteQuestion } from "../strategy.ts";

/** Of whom nothing is known, a little better than the best is expected: it is asked before the best is asked again. */
const HOPE = 0.99;
/** However often a deployment fails, it is not taken for slower than by this factor: keeping calls away from it is its circuit's task. */
const MOST_TRIES = 20;

/** How long candidates are expected to take, for one question. */
export interface Waiting {
  /** Milliseconds until the candidate has answered, were nothing else under way. */
  answerMs(candidate: Candidate): number;
  /** The same with what is under way, each as long as this one, by the candidate's weight. */
  busyMs(candidate: Candidate): number;
}

/**
 * Failures count as slowness: somebody must be asked again. Without that, who fails at once would look like the fastest. Of whom nothing
 * is known, the best that is known of others is expected: it is tried, and not flooded.
 */
export function waitingFor(candidates: readonly Candidate[], question: RouteQuestion, how: "expectedMs" | "cautiousMs" = "expectedMs"): Waiting {
  let best: number | undefined;
  const answerMs = (candidate: Candidate): number => {
    if (candidate.latency.isKnown) return triesOf(candidate) * knownMs(candidate, question, how);
    return triesOf(candidate) * HOPE * (best ??= bestKnownMs(candidates, question, how));
  };
  return { answerMs, busyMs: (candidate) => ((candidate.inFlight + 1) * answerMs(candidate)) / candidate.weight };
}

/** What is learned; but who has been silent for longer than its slowest answers took has become that slow: no answer will tell. */
function knownMs({ latency, silentMs }: Candidate, question: RouteQuestion, how: "expectedMs" | "cautiousMs"): number {
  const learnedMs = latency[how](question);
  return silentMs > learnedMs && silentMs > latency.cautiousMs(question) ? silentMs : learnedMs;
}

/** 1 where nothing is known of anybody: then all are alike. */
function bestKnownMs(candidates: readonly Candidate[], question: RouteQuestion, how: "expectedMs" | "cautiousMs"): number {
  let best = Infinity;
  for (const candidate of candidates) {
    if (candidate.latency.isKnown) best = Math.min(best, triesOf(candidate) * candidate.latency[how](question));
  }
  return best === Infinity ? 1 : best;
}

/** How many requests an answer takes on average. */
function triesOf({ errorRate }: Candidate): number {
  return Math.min(MOST_TRIES, 1 / (1 - errorRate));
}
