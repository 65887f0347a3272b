import type { Candidate, RouteOutcome, RouteQuestion, Strategy, StrategyTools } from "../strategy.ts";
import { answerTokensOf, workOf } from "../latency.ts";
import { Experience } from "./experience.ts";
import { least } from "./least.ts";
import { Sampler } from "./sampling.ts";

/** How slowly the mean of the pool moves, observations. */
const POOL_MEMORY = 100;
/** A failure costs its time, and the patience of whoever has to ask again. */
const FAILURES_WEIGH = 2;
/** No deployment counts as cheaper than by this factor: what costs nothing would be asked however slow it is. */
const CHEAPEST = 0.1;
/** With so many requests under way, of which nothing is known yet, a deployment counts as twice as slow: a burst must not go to one of them whole. */
const CROWD = 8;
/** Tokens of an answer of which nobody has said how long it was. */
const USUAL_TOKENS = 200;

/**
 * Thompson sampling: for each deployment a chance of success and a time are drawn from what is believed of it, and the least of
 * time × cost / success² is asked. Who is little known has wide beliefs and is tried now and then; what was seen fades with every answer
 * of the pool, so that changes are found out.
 */
export class Learned implements Strategy {
  readonly name = "learned";
  readonly #random: () => number;
  readonly #sampler: Sampler;
  readonly #experiences = new WeakMap<Candidate, Experience>();
  #step = 0;
  /** Mean logarithm of the times of all. */
  #pool = 0;
  #seen = 0;

  constructor({ random }: StrategyTools) {
    this.#random = random;
    this.#sampler = new Sampler(random);
  }

  pick<C extends Candidate>(candidates: readonly C[], question: RouteQuestion): C {
    const dearest = dearestOf(candidates, question);
    return least(candidates, this.#random, (candidate) => {
      const experience = this.#of(candidate);
      const success = experience.drawSuccess(this.#sampler, this.#step);
      const time = experience.drawTime(this.#sampler, this.#step, this.#pool);
      // Costs of nothing cannot be told apart by factors: then the time decides.
      const cost = dearest > 0 ? Math.log(Math.max((candidate.costOf(question) ?? dearest) / dearest, CHEAPEST)) : 0;
      const crowd = Math.log1p(candidate.inFlight / candidate.weight / CROWD);
      return time + cost + crowd - FAILURES_WEIGH * Math.log(success);
    });
  }

  ended(candidate: Candidate, question: RouteQuestion, outcome: RouteOutcome): void {
    const experience = this.#of(candidate);
    this.#step += 1;
    const time = Math.log(Math.max(outcome.totalMs, 1) / workOf(question, answerTokensOf(outcome) ?? USUAL_TOKENS));
    if (outcome.end === "left") return experience.tookAtLeast(time, this.#step);
    if (outcome.end === "failed") return experience.failed(this.#step);
    experience.succeeded(this.#step);
    experience.took(time, this.#step);
    this.#seen = Math.min(POOL_MEMORY, this.#seen + 1);
    this.#pool += (time - this.#pool) / this.#seen;
  }

  #of(candidate: Candidate): Experience {
    let experience = this.#experiences.get(candidate);
    if (!experience) this.#experiences.set(candidate, (experience = new Experience()));
    return experience;
  }
}

/** The highest price of the question, which also stands for those that are not known. */
function dearestOf(candidates: readonly Candidate[], question: RouteQuestion): number {
  let dearest = 0;
  for (const candidate of candidates) dearest = Math.max(dearest, candidate.costOf(question) ?? 0);
  return dearest;
}
