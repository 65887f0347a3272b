import type { Clock } from "../../core/clock.ts";
import { atOnce, warnOnce } from "../../core/callback.ts";
import type { Deployment } from "./deployment.ts";
import { statusOf, type DeploymentStatus } from "./status.ts";
import type { Candidate, RouteQuestion, Strategy } from "./strategy.ts";

/** What a strategy of the user's own is told of a call. */
export interface RoutingQuestion {
  /** The model that was asked. */
  model?: string;
  /** Tokens of the prompt, estimated by its characters. */
  inputTokens: number;
  /** The most that the answer may take, where the question says so. */
  maxOutputTokens?: number;
  tenant?: string;
  /** The conversation: the wish `session`, or LangGraph's `thread_id`. */
  session?: string;
}

/**
 * Decides who is asked. Told at once, no promise; where it throws, or names none of those that may be asked, the first of them is asked.
 * @param deployments those that may be asked now, at least two
 * @returns the `id` of one of them
 */
export type RoutingStrategy = (deployments: readonly DeploymentStatus[], question: RoutingQuestion) => string;

/** The user's own decision. */
export class OwnStrategy implements Strategy {
  readonly name = "own";
  readonly #choose: RoutingStrategy;
  readonly #clock: Clock;
  readonly #warn = warnOnce();

  constructor(choose: RoutingStrategy, clock: Clock) {
    this.#choose = choose;
    this.#clock = clock;
  }

  pick<C extends Candidate>(candidates: readonly C[], question: RouteQuestion): C {
    const chosen = this.#chosen(candidates, question);
    return candidates.find(({ id }) => id === chosen) ?? (candidates[0] as C);
  }

  #chosen(candidates: readonly Candidate[], question: RouteQuestion): unknown {
    const now = this.#clock.elapsed();
    try {
      return atOnce(this.#choose(candidates.map((candidate) => statusOf(candidate as Deployment, now)), told(question)));
    } catch (error) {
      this.#warn("routing.strategy failed, and the first deployment is asked", error);
      return undefined;
    }
  }
}

function told({ model, inputTokens, maxOutputTokens, tenant, session }: RouteQuestion): RoutingQuestion {
  return {
    inputTokens,
    ...(model === undefined ? {} : { model }),
    ...(maxOutputTokens === undefined ? {} : { maxOutputTokens }),
    ...(tenant === undefined ? {} : { tenant }),
    ...(session === undefined ? {} : { session }),
  };
}
