import { CircuitOpenError, DeadlineError, forTheNext, NoDeploymentError } from "../../core/errors.ts";
import { Unfit, type Call } from "../../core/layer.ts";
import { pause } from "../../core/pause.ts";
import type { Deployment } from "./deployment.ts";
import { CONSEQUENCES, type Consequence, type FailureKind } from "./failures.ts";
import type { Pool } from "./pool.ts";
import type { RouteQuestion } from "./strategy.ts";
import type { RouteTools } from "./tools.ts";

/** A request that brought no answer. */
export interface Failure {
  readonly deployment: Deployment;
  readonly kind: FailureKind;
  readonly error: unknown;
  /** When whoever refused wants to be asked again, milliseconds. */
  readonly retryAfterMs: number | undefined;
  /** How often the object that was asked would have tried again by itself; `undefined` = not at all. */
  readonly told: number | undefined;
}

/** A failure, and what follows from it. */
interface Judged extends Failure {
  readonly consequence: Consequence;
}

/** Decorrelated jitter: each pause is drawn from the shortest one to three times the last (M. Brooker, Exponential Backoff and Jitter, AWS 2015). */
const JITTER = 3;

/** Where one call goes: to whom first, and after each failure to whom next, and when. */
export class Itinerary {
  readonly #call: Call;
  readonly #pool: Pool;
  readonly #question: RouteQuestion;
  readonly #tools: RouteTools;
  readonly #deadlineAt: number;
  readonly #failures: Judged[] = [];
  readonly #inputs = new Map<Deployment, unknown>();
  readonly #unfit = new Map<Deployment, string>();
  /** Those that are of no more use to this call. */
  readonly #spent = new Set<Deployment>();
  /** Those whose limits would have made it wait. */
  readonly #busy = new Set<Deployment>();
  /** Those that it waits for, if it must. */
  readonly #awaited = new Set<Deployment>();
  /** The only ones that may help, in this order. */
  #listed: readonly Deployment[] | undefined;
  #retries = 0;
  #lastPauseMs = 0;
  /** What its limits refused it with, though it would have waited. */
  #refusal: { readonly error: Error } | undefined;
  /** Whether the last failure has been thought about. */
  #isDecided = true;

  constructor(call: Call, pool: Pool, question: RouteQuestion, deadlineAt: number, tools: RouteTools) {
    this.#call = call;
    this.#pool = pool;
    this.#question = question;
    this.#tools = tools;
    this.#deadlineAt = deadlineAt;
  }

  /** Whoever is asked next: at once, or when the time has come. @throws what the call fails with, when there is nobody */
  next(): Deployment | Promise<Deployment> {
    if (this.#refusal) throw this.#failures.length > 0 ? this.#final() : this.#refusal.error;
    // Where there are limits, they say so themselves.
    if (!this.#isInTime(0) && (this.#failures.length > 0 || !this.#tools.isLimited)) throw this.#failures.length > 0 ? this.#final() : new DeadlineError("The call's time was up before a request could be made (timeouts.totalMs, or the call's deadlineMs).");
    const last = this.#isDecided ? undefined : this.#failures.at(-1);
    const isRetry = last !== undefined && this.#decide(last);
    const same = last && this.#same(last);
    const other = same ? undefined : this.#pick((deployment) => !this.#hasFailed(deployment));
    // Whoever is well is not harmed by one call more: the budget keeps retries from those that are not.
    if (isRetry && !(other && isWell(other)) && !this.#pool.budget.take()) throw this.#final();
    return same ? this.#sameAgain(same, last) : (other ?? this.#again(last));
  }

  /** Not at once: whoever has just had an accident may need a moment. */
  async #sameAgain(deployment: Deployment, last: Failure): Promise<Deployment> {
    const backoffMs = this.#backoffMs(last);
    const hasTime = this.#isInTime(backoffMs);
    if (hasTime) await this.#pause(backoffMs);
    if (hasTime && this.#canBeAsked(deployment)) return deployment;
    return this.#pick((other) => !this.#hasFailed(other)) ?? this.#again(last);
  }

  /** The question as it is asked there. */
  inputFor(deployment: Deployment): unknown {
    return this.#inputs.get(deployment);
  }

  /** The deployment of this name, if it may be asked first. */
  firstOf(id: string): Deployment | undefined {
    const deployment = this.#pool.find(id);
    return deployment && this.#isAllowed(deployment) && this.#canBeAsked(deployment) && this.#fits(deployment) ? deployment : undefined;
  }

  /** Whoever is asked besides. */
  second(primary: Deployment): Deployment | undefined {
    return this.#pick((deployment) => deployment !== primary && !this.#hasFailed(deployment) && !this.#busy.has(deployment) && isAsFast(deployment, primary, this.#question));
  }

  /** Whether a request to this deployment need not wait for its limits, because another can be asked. */
  hasOthers(deployment: Deployment): boolean {
    const now = this.#tools.clock.elapsed();
    const hasOthers = this.#pool.deployments.some((other) => other !== deployment && this.#isAllowed(other) && !this.#hasFailed(other) && !this.#busy.has(other) && other.waitMs(now) === 0);
    if (!hasOthers) this.#awaited.add(deployment);
    return hasOthers;
  }

  failed(failure: Failure): void {
    const consequence = this.#consequence(failure);
    this.#failures.push({ ...failure, consequence });
    this.#isDecided = false;
    this.#busy.clear();
    if (consequence.again === "never") this.#spent.add(failure.deployment);
  }

  /** The limits would have made the request wait, or cannot let it go at all. */
  refused(deployment: Deployment, error: Error): void {
    if (!this.#tools.isLimited || this.#awaited.has(deployment)) this.#refusal = { error };
    this.#busy.add(deployment);
  }

  /** Whether the call goes on after this failure, and with whom. @returns whether that is a retry */
  #decide(failure: Judged): boolean {
    this.#isDecided = true;
    const { retry } = this.#pool.rules;
    const { again, elsewhere } = failure.consequence;
    if (again === "never" && elsewhere === "none") throw this.#final();
    if (elsewhere === "listed") {
      this.#listed = this.#helpers(failure);
      return false;
    }
    // Asking the others is what a cascade is for, and no retry.
    if (failure.kind === "not-accepted") return false;
    // Where nobody said otherwise, the object's own rules hold.
    const asked = retry.maxRetries ?? failure.told ?? 0;
    const maxRetries = retry.isForEach ? Math.max(asked, this.#pool.deployments.length - 1) : asked;
    if (this.#retries >= maxRetries) throw this.#final();
    this.#retries += 1;
    return true;
  }

  #consequence({ kind, error, told }: Failure): Consequence {
    const usual = CONSEQUENCES[kind];
    const { retry } = this.#pool.rules;
    if (retry.maxRetries === undefined) return { ...usual, again: told === undefined ? "never" : "last", elsewhere: "none" };
    const wanted = kind === "not-accepted" ? undefined : retry.on?.(error);
    // That an attempt at the same is worth nothing is the very reason for a fallback.
    if (wanted === undefined || (!wanted && usual.elsewhere === "listed")) return usual;
    return { ...usual, again: !wanted ? "never" : usual.again === "never" && kind !== "timeout" ? "last" : usual.again, elsewhere: wanted ? "any" : "none" };
  }

  /** Who may help: those with larger windows, or those that the user names. */
  #helpers({ kind, deployment }: Failure): readonly Deployment[] {
    const { contextWindow, contentFilter } = this.#pool.rules;
    const named = kind === "context-length" ? contextWindow : contentFilter;
    if (named) return named.map((id) => this.#pool.find(id)).filter((found) => found !== undefined);
    const { contextWindow: tooSmall = 0 } = deployment.options;
    return this.#pool.deployments.filter(({ options }) => (options.contextWindow ?? 0) > tooSmall);
  }

  /** A first accident does not send a call away from who knows its prompt. */
  #same(last: Judged): Deployment | undefined {
    const { deployment } = last;
    const isFirst = this.#failures.filter((failure) => failure.deployment === deployment).length === 1;
    return isFirst && last.consequence.again === "first" && this.#isAllowed(deployment) && this.#canBeAsked(deployment) ? deployment : undefined;
  }

  /** Of those that are wanted one whose limits have not refused the call, if there is one. */
  #pick(isWanted: (deployment: Deployment) => boolean): Deployment | undefined {
    const wanted = (deployment: Deployment): boolean => this.#isAllowed(deployment) && isWanted(deployment);
    const free = (deployment: Deployment): boolean => wanted(deployment) && !this.#busy.has(deployment);
    const find = (which: typeof wanted): Deployment | undefined =>
      this.#listed ? this.#listed.find((deployment) => which(deployment) && this.#canBeAsked(deployment)) : this.#pool.pick(this.#question, which);
    for (;;) {
      const picked = find(free) ?? (this.#busy.size > 0 ? find(wanted) : undefined);
      if (!picked || this.#fits(picked)) return picked;
    }
  }

  /** One that has failed, or that has asked for patience, when it can be asked. */
  async #again(last: Failure | undefined): Promise<Deployment> {
    for (let backoffMs = last ? this.#backoffMs(last) : 0; ; backoffMs = 0) {
      const asideMs = this.#pool.soonestMs((deployment) => this.#isAllowed(deployment) && this.#fits(deployment));
      const waitMs = asideMs > 0 ? asideMs : backoffMs;
      const isTooLong = waitMs > this.#pool.rules.retry.maxDelayMs || !this.#isInTime(waitMs);
      const isRefused = asideMs > 0 || last?.kind === "rate-limited";
      if (isTooLong || (this.#call.control.hasSubstitute && isRefused && waitMs > 0)) throw this.#final();
      await this.#pause(waitMs);
      const picked = this.#pick(() => true);
      if (picked) return picked;
      // Others were faster, or it is of no use any more.
      if (waitMs === 0) throw this.#final();
    }
  }

  #pause(waitMs: number): Promise<void> {
    return waitMs > 0 ? pause(waitMs, this.#call.signal, this.#tools.clock) : Promise.resolve();
  }

  #backoffMs({ kind, retryAfterMs }: Failure): number {
    const { baseDelayMs, maxDelayMs } = this.#pool.rules.retry;
    // One of several is set aside for as long as it wants, and limits wait by themselves.
    if (kind === "rate-limited" && !this.#pool.isNamed && (retryAfterMs !== undefined || this.#tools.isLimited)) return this.#tools.isLimited ? 0 : (retryAfterMs ?? 0);
    const most = Math.max(baseDelayMs, this.#lastPauseMs) * JITTER;
    this.#lastPauseMs = Math.min(maxDelayMs, baseDelayMs + this.#tools.random() * (most - baseDelayMs));
    return this.#lastPauseMs;
  }

  /** Whether there is time left after a pause of so long. */
  #isInTime(pauseMs: number): boolean {
    return this.#tools.clock.elapsed() + pauseMs < this.#deadlineAt;
  }

  #canBeAsked(deployment: Deployment): boolean {
    return deployment.waitMs(this.#tools.clock.elapsed()) === 0;
  }

  #hasFailed(deployment: Deployment): boolean {
    return this.#failures.some((failure) => failure.deployment === deployment);
  }

  #isAllowed(deployment: Deployment): boolean {
    const { deployment: pinned } = this.#call.control;
    if (this.#spent.has(deployment) || this.#unfit.has(deployment)) return false;
    if (this.#listed && !this.#listed.includes(deployment)) return false;
    return pinned === undefined || pinned === deployment.id || !this.#pool.find(pinned);
  }

  /** Whether it can take the question; if so, the question is made ready for it. */
  #fits(deployment: Deployment): boolean {
    if (this.#inputs.has(deployment)) return true;
    if (this.#unfit.has(deployment)) return false;
    const { kind, input } = this.#call;
    const bound = this.#pool.isNamed && kind.routing ? kind.routing.rebind(input, deployment.options.target) : input;
    if (!(bound instanceof Unfit)) this.#inputs.set(deployment, bound);
    else {
      deployment.lastUnfit = bound.reason;
      this.#unfit.set(deployment, bound.reason);
    }
    return !(bound instanceof Unfit);
  }

  /** What the call fails with. */
  #final(): unknown {
    const last = this.#failures.at(-1);
    const { deployments } = this.#pool;
    // One that there is no way around, or nobody to go to: the error is what it was.
    if (last && (deployments.length === 1 || last.consequence.elsewhere !== "any" || !this.#isInTime(0))) return last.error;
    const now = this.#tools.clock.elapsed();
    const [only] = deployments;
    if (only && deployments.length === 1 && !this.#unfit.has(only)) return new CircuitOpenError(only.id, only.whyNot(now) ?? "it is not to be asked", only.waitMs(now));
    const errors = this.#errors(now);
    if (last && errors.length === 1) return last.error;
    return new NoDeploymentError(errors, this.#unfit.size < deployments.length);
  }

  /** Of each deployment what it failed of, or why it was not asked. */
  #errors(now: number): NoDeploymentError["errors"] {
    const errors = new Map<Deployment, Error>();
    for (const { deployment, error } of this.#failures) errors.set(deployment, error instanceof Error ? error : new Error(String(error)));
    for (const deployment of this.#pool.deployments) {
      if (errors.has(deployment)) continue;
      const unfit = this.#unfit.get(deployment);
      const whyNot = deployment.whyNot(now);
      if (unfit !== undefined) errors.set(deployment, new Error(`not asked, it ${unfit}`));
      else if (whyNot !== undefined) errors.set(deployment, new Error(`not asked${forTheNext(deployment.waitMs(now))}, ${whyNot}`));
    }
    return [...errors].map(([{ id }, error]) => ({ deployment: id, error }));
  }
}

/** With more failures of late nobody counts as well. */
const WELL = 0.1;

/** Without a circuit nothing is known of how a deployment has been. */
function isWell({ circuit, errorRate }: Deployment): boolean {
  return circuit?.state === "closed" && errorRate < WELL;
}

/** A hedge must not win the first content and lose the answer: whoever takes much longer for the whole is no help (it may, where nothing is known). */
function isAsFast(deployment: Deployment, primary: Deployment, question: RouteQuestion): boolean {
  if (!deployment.latency.isKnown || !primary.latency.isKnown) return true;
  return deployment.latency.expectedMs(question) <= SLOWER * primary.latency.expectedMs(question);
}

const SLOWER = 1.5;
