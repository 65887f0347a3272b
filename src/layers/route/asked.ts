import type { Passage } from "./circuit.ts";
import type { Deployment } from "./deployment.ts";
import { CONSEQUENCES, type FailureKind } from "./failures.ts";
import type { RouteOutcome, RouteQuestion, Strategy } from "./strategy.ts";
import type { RouteTools } from "./tools.ts";
import type { Trial } from "./trial.ts";

/** A request that was made of a deployment, which hears how it ended. */
export class Asked {
  readonly trial: Trial;
  readonly deployment: Deployment;
  readonly #question: RouteQuestion;
  readonly #strategy: Strategy;
  readonly #tools: Pick<RouteTools, "costOf">;
  readonly #passage: Passage | undefined;
  isOpen = true;

  constructor(trial: Trial, deployment: Deployment, question: RouteQuestion, strategy: Strategy, tools: Pick<RouteTools, "costOf">) {
    this.trial = trial;
    this.deployment = deployment;
    this.#question = question;
    this.#strategy = strategy;
    this.#tools = tools;
    this.#passage = deployment.begin();
  }

  /** The request has left. */
  sent(): void {
    this.deployment.sent(this.trial.facts);
    this.#strategy.sent?.(this.deployment, this.#question);
  }

  /** It has ended. @param kind what it failed of; `abandoned` = nobody waited for its end; `undefined` = it answered */
  end(kind: FailureKind | "abandoned" | undefined): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    const { trial, deployment } = this;
    trial.close(kind);
    const outcome = this.#outcome(kind);
    deployment.spoke(trial.facts);
    deployment.ended(this.#passage, this.#question, outcome, this.#isFault(kind));
    this.#strategy.ended?.(deployment, this.#question, outcome);
  }

  /** Breaks it off; nothing is waited for that may never come. */
  leave(reason: string): PromiseLike<unknown> | undefined {
    this.end("abandoned");
    return this.trial.leave(new DOMException(reason, "AbortError"));
  }

  /** Whether it speaks against the deployment; `undefined` = it says nothing: it never left, or was not waited for. */
  #isFault(kind: FailureKind | "abandoned" | undefined): boolean | undefined {
    const { trial, deployment: { latency } } = this;
    if (kind === "abandoned" || !trial.hasBegun) return undefined;
    // A caller in a hurry, whom others have answers in good time, must not take it from them.
    if (trial.late === "call" && latency.isKnown && trial.elapsedMs < latency.cautiousMs(this.#question)) return undefined;
    return kind !== undefined && CONSEQUENCES[kind].isFault;
  }

  #outcome(kind: FailureKind | "abandoned" | undefined): RouteOutcome {
    const { trial, deployment } = this;
    const usage = trial.hasEnded ? trial.usage : undefined;
    return {
      end: kind === "abandoned" || !trial.hasBegun ? "left" : kind === undefined ? "ok" : "failed",
      firstMs: trial.firstMs,
      totalMs: trial.hasBegun ? trial.elapsedMs : 0,
      usage,
      costUsd: usage && this.#tools.costOf(deployment.options, usage),
      inParts: trial.answer.mode !== "invoke",
    };
  }
}
