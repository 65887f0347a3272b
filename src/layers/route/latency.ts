import type { Clock } from "../../core/clock.ts";
import type { LatencyEstimate, RouteOutcome, RouteQuestion } from "./strategy.ts";

/** How fast means forget: what was seen so long ago counts 1/e. */
const MEAN_FORGETS_MS = 60_000;
/** How fast peaks are forgotten; Finagle's default. */
const PEAK_FORGETS_MS = 10_000;
/** What nobody has asked for so long is expected to take 1/e of what it took. */
const TRUST_MS = 90_000;
/** Reading so many tokens takes as long as the rest of what comes before the first content. */
const TOKENS_READ = 10_000;
/** Where answers came in one piece only: the first content is taken to need the time of so many more tokens. */
const FIRST_AS_TOKENS = 20;

/** Shorter times are none that a clock can tell, and ratios of them are nonsense. */
const LEAST_MS = 0.001;

/** A mean of late, and beside it one that jumps up to every peak and comes down with time (peak EWMA, as in Twitter's Finagle). */
class Level {
  mean = 0;
  peak = 0;
  isKnown = false;
  #weight = 0;
  #at = -Infinity;

  add(value: number, now: number): void {
    const ago = this.#at - now;
    this.#at = now;
    this.#weight = this.#weight * Math.exp(ago / MEAN_FORGETS_MS) + 1;
    this.mean += (value - this.mean) / this.#weight;
    this.peak = Math.max(value, value + Math.exp(ago / PEAK_FORGETS_MS) * (this.peak - value));
    this.isKnown = true;
  }
}

/**
 * Two levels: the time to the first content of an empty prompt, and the time for each token of the answer. An answer that came whole
 * shows the sum only: then both are taken to have grown or shrunk in the same proportion.
 */
export class PeakLatency implements LatencyEstimate {
  readonly #clock: Pick<Clock, "elapsed">;
  readonly #first = new Level();
  readonly #token = new Level();
  readonly #firstMs = new Level();
  readonly #totalMs = new Level();
  readonly #answerTokens = new Level();
  #newsAt = -Infinity;

  constructor(clock: Pick<Clock, "elapsed">) {
    this.#clock = clock;
  }

  get isKnown(): boolean {
    return this.#totalMs.isKnown;
  }

  get firstMs(): number | undefined {
    return this.#firstMs.isKnown ? this.#firstMs.mean : undefined;
  }

  get totalMs(): number | undefined {
    return this.#totalMs.isKnown ? this.#totalMs.mean : undefined;
  }

  expectedMs(question: RouteQuestion): number {
    return this.#trust() * this.#meanMs(question);
  }

  cautiousMs(question: RouteQuestion): number {
    return this.#trust() * this.#worstMs(question);
  }

  add(question: RouteQuestion, outcome: RouteOutcome): void {
    const { end, inParts } = outcome;
    const firstMs = outcome.firstMs === undefined ? undefined : Math.max(LEAST_MS, outcome.firstMs);
    const totalMs = Math.max(LEAST_MS, outcome.totalMs);
    const now = this.#clock.elapsed();
    if (end !== "ok") return this.#addAtLeast(question, totalMs, now);
    const tokens = answerTokensOf(outcome) ?? this.#answerTokens.mean;
    if (inParts && firstMs !== undefined) this.#addParts(question, firstMs, totalMs, tokens, now);
    else this.#addWhole(question, totalMs, tokens, now);
    this.#answerTokens.add(tokens, now);
    this.#totalMs.add(totalMs, now);
    this.#newsAt = now;
  }

  /** What did not end in an answer took at least so long: it may raise what is expected, never lower it. */
  #addAtLeast(question: RouteQuestion, totalMs: number, now: number): void {
    if (!this.isKnown || totalMs <= this.#worstMs(question)) return;
    this.#addWhole(question, totalMs, this.#tokensFor(question), now);
    if (totalMs > this.#totalMs.mean) this.#totalMs.add(totalMs, now);
    this.#newsAt = now;
  }

  #addParts(question: RouteQuestion, firstMs: number, totalMs: number, tokens: number, now: number): void {
    this.#firstMs.add(firstMs, now);
    this.#first.add(firstMs / reading(question), now);
    if (tokens > 1) this.#token.add(Math.max(0, totalMs - firstMs) / (tokens - 1), now);
  }

  #addWhole(question: RouteQuestion, totalMs: number, tokens: number, now: number): void {
    const first = this.#first.mean || FIRST_AS_TOKENS;
    const token = this.#token.mean || first / FIRST_AS_TOKENS;
    const sum = first * reading(question) + token * tokens;
    this.#first.add(totalMs * (first / sum), now);
    this.#token.add(totalMs * (token / sum), now);
  }

  #tokensFor({ maxOutputTokens = Infinity }: RouteQuestion): number {
    return Math.min(this.#answerTokens.mean, maxOutputTokens);
  }

  #meanMs(question: RouteQuestion): number {
    return this.#first.mean * reading(question) + this.#token.mean * this.#tokensFor(question);
  }

  /** Peaks are forgotten sooner than what made the means. */
  #worstMs(question: RouteQuestion): number {
    return Math.max(this.#first.peak * reading(question) + this.#token.peak * this.#tokensFor(question), this.#meanMs(question));
  }

  /** What is left of what was learned. */
  #trust(): number {
    return this.isKnown ? Math.exp((this.#newsAt - this.#clock.elapsed()) / TRUST_MS) : 0;
  }
}

/** How much there is to do, in tokens of the answer: so times of long and of short answers can be compared. */
export function workOf(question: RouteQuestion, answerTokens: number): number {
  return FIRST_AS_TOKENS * reading(question) + answerTokens;
}

/** How many times longer the first content takes because of the length of the prompt. */
function reading({ inputTokens }: RouteQuestion): number {
  return 1 + inputTokens / TOKENS_READ;
}

/** What nobody tells, or tells as nonsense, is not known: one NaN would stay in every mean. */
export function answerTokensOf({ usage }: RouteOutcome): number | undefined {
  const tokens = usage?.outputTokens ?? Number.NaN;
  return tokens >= 0 && tokens < Infinity ? tokens : undefined;
}
