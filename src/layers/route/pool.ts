import type { Alarm } from "../../core/clock.ts";
import { firstLineOf } from "../../core/errors.ts";
import type { Usage } from "../../core/facts.ts";
import type { CircuitOptions, CircuitState } from "./circuit.ts";
import { Deployment, type ResolvedDeployment } from "./deployment.ts";
import { CONSEQUENCES, type FailureKind } from "./failures.ts";
import { Hedging, type HedgeOptions } from "./hedging.ts";
import { ReportedLoad } from "./reported-load.ts";
import { RetryBudget } from "./retry-budget.ts";
import type { HealthNews, SharedHealth } from "../../stores/health.ts";
import type { RouteQuestion, Strategy } from "./strategy.ts";
import type { Patience } from "./trial.ts";

/** When and how often a request is made again. */
export interface RetryRules {
  /** Attempts after the first; `undefined` = as the object that is asked would have it. */
  readonly maxRetries: number | undefined;
  /** At least one for each other deployment: each is asked before a call fails. @default false */
  readonly isForEach?: boolean;
  /** The shortest backoff, milliseconds. */
  readonly baseDelayMs: number;
  /** The longest backoff, and the longest patience that a provider may ask for, milliseconds. */
  readonly maxDelayMs: number;
  /** Share of the calls that may be retries, besides a few. */
  readonly budget: number;
  /** Whether a failure is worth another attempt, instead of what its kind says. */
  readonly on: ((error: unknown) => boolean | undefined) | undefined;
}

/** How the calls of a pool are answered. */
export interface PoolRules {
  readonly retry: RetryRules;
  readonly patience: Patience;
  readonly totalMs: number;
  readonly onInterrupt: "error" | "hold";
  readonly circuit: CircuitOptions | undefined;
  readonly hedge: HedgeOptions | undefined;
  /** Who is asked when a prompt is too long, in this order; `undefined` = whoever has a larger window. */
  readonly contextWindow: readonly string[] | undefined;
  /** Who is asked when an answer was filtered, in this order; none = it stays so. */
  readonly contentFilter: readonly string[];
  readonly cascade: { readonly first: string; accept(answer: unknown, input: unknown): Promise<boolean> } | undefined;
}

/** Deployments that answer the same calls. */
export interface PoolOptions {
  /** Which of a perf's pools it is, from 0; `undefined` = it was named by nobody, and its one deployment is whatever is asked. */
  readonly number: number | undefined;
  takes(model: { name: string; kind: string }): boolean;
  readonly rules: PoolRules;
  readonly strategy: Strategy;
  readonly deployments: readonly ResolvedDeployment[];
}

/** What pools need of their perf. */
export interface PoolHost {
  readonly clock: Alarm;
  random(): number;
  circuitChanged(deployment: Deployment, from: CircuitState, to: CircuitState): void;
  /** Whoever looks after it should know: it is of no use. */
  disabled(deployment: Deployment, kind: FailureKind, error: unknown): void;
  quotaUsed(deployment: string): number | undefined;
  costOf(deployment: ResolvedDeployment, usage: Usage): number | undefined;
  readonly shared: SharedHealth | undefined;
}

/** A wrong key, an empty account, a model that is gone: for so long the others are asked first. */
const DISABLED_MS = 5 * 60_000;

/** What pools share of which one goes on from another. */
interface Members {
  deployments: readonly Deployment[];
  lastIndex: number;
  /** What is heard from others is not told again. */
  isHearing: boolean;
}

/** Deployments that answer the same calls, how, and who of them is asked next. */
export class Pool {
  readonly options: PoolOptions;
  readonly rules: PoolRules;
  readonly budget: RetryBudget;
  readonly hedging: Hedging | undefined;
  readonly #host: PoolHost;
  readonly #members: Members;

  /**
   * @param before a pool whose deployments, where they are the same, go on with what is known of them
   * @param same one that goes on as a whole, by other rules of retries and of time
   */
  constructor(options: PoolOptions, host: PoolHost, before?: Pool, same?: Pool) {
    this.options = options;
    this.rules = options.rules;
    this.#host = host;
    this.budget = new RetryBudget(options.rules.retry.budget, host.clock);
    this.hedging = same ? same.hedging : options.rules.hedge && new Hedging(options.rules.hedge);
    this.#members = same ? same.#members : { deployments: [], lastIndex: 0, isHearing: false };
    if (!same) for (const deployment of options.deployments) this.add(deployment, before?.find(deployment.id));
  }

  /** The same deployments, with all that is known of them, by other rules of retries and of time. */
  goOn(rules: Pick<PoolRules, "retry" | "patience" | "totalMs">): Pool {
    return new Pool({ ...this.options, rules: { ...this.rules, ...rules } }, this.#host, undefined, this);
  }

  get isNamed(): boolean {
    return this.options.number !== undefined;
  }

  get deployments(): readonly Deployment[] {
    return this.#members.deployments;
  }

  find(id: string): Deployment | undefined {
    return this.deployments.find((deployment) => deployment.id === id);
  }

  add(options: ResolvedDeployment, before?: Deployment): void {
    const { circuit } = this.rules;
    const { clock, shared, quotaUsed, costOf } = this.#host;
    const deployment = new Deployment(options, this.#members.lastIndex, {
      clock, circuit, quotaUsed, costOf,
      loadElsewhere: (id) => shared?.load(id) ?? 0,
      circuitChanged: (...change) => this.#circuitChanged(...change),
    });
    this.#members.lastIndex += 1;
    if (before?.options.target === options.target) deployment.takeOver(before);
    if (options.metricsUrl !== undefined) deployment.reported = new ReportedLoad(options.metricsUrl);
    this.#members.deployments = [...this.deployments, deployment];
  }

  /** Nobody asks it any more. @returns when nothing is under way there */
  async drain(deployment: Deployment): Promise<void> {
    await deployment.drained();
    this.#members.deployments = this.deployments.filter((other) => other !== deployment);
    deployment.reported?.close();
    this.hedging?.forget(deployment.id);
  }

  /** Who is asked next of those that are wanted and can be asked now: of the first tier that has any, whom the strategy picks. */
  pick(question: RouteQuestion, isWanted: (deployment: Deployment) => boolean): Deployment | undefined {
    const now = this.#host.clock.elapsed();
    let candidates: Deployment[] = [];
    let tier = Infinity;
    for (const deployment of this.deployments) {
      const own = deployment.tier(now);
      if (own > tier || !isWanted(deployment) || deployment.waitMs(now) > 0) continue;
      if (own < tier) candidates = [];
      tier = own;
      candidates.push(deployment);
    }
    if (candidates.length <= 1) return candidates[0];
    // One call tries whether it answers again, and it should not have to wait until the strategy likes it.
    const probed = candidates.find(({ circuit }) => circuit?.state === "half-open");
    if (probed) return probed;
    const warm = this.#warm(candidates, now);
    return warm.length === 1 ? warm[0] : this.options.strategy.pick(warm, question);
  }

  /** When one of those that are wanted can be asked that is not asked because it wanted patience, milliseconds; `Infinity` = none of them is there. */
  soonestMs(isWanted: (deployment: Deployment) => boolean): number {
    const now = this.#host.clock.elapsed();
    let soonest = Infinity;
    for (const deployment of this.deployments) {
      if (!deployment.isDraining && (deployment.circuit?.waitMs ?? 0) === 0 && isWanted(deployment)) soonest = Math.min(soonest, deployment.asideMs(now));
    }
    return soonest;
  }

  /** What follows from a failure for the calls to come. */
  failed(deployment: Deployment, kind: FailureKind, error: unknown, retryAfterMs: number | undefined): void {
    if (!this.isNamed) return;
    const now = this.#host.clock.elapsed();
    const { isFault, disables } = CONSEQUENCES[kind];
    if (isFault || disables || kind === "rate-limited") deployment.lastError = `${kind}: ${firstLineOf(error)}`;
    if (kind === "rate-limited") {
      const forMs = deployment.setAside(retryAfterMs, now);
      this.#host.shared?.tell({ deployment: deployment.id, kind: "aside", untilMs: forMs, reason: "rate limited" });
    } else if (disables) {
      deployment.disable(DISABLED_MS, kind, now);
      this.#host.disabled(deployment, kind, error);
      this.#host.shared?.tell({ deployment: deployment.id, kind: "disabled", untilMs: DISABLED_MS, reason: kind });
    }
  }

  /** Another process has found something out. */
  hear({ deployment: id, kind, untilMs, reason }: HealthNews): void {
    const deployment = this.find(id);
    if (!deployment) return;
    const now = this.#host.clock.elapsed();
    this.#members.isHearing = true;
    if (kind === "open") deployment.circuit?.open(untilMs);
    else if (kind === "closed") deployment.recovered();
    else if (kind === "aside") deployment.waitUntil(now + (untilMs ?? 0), `${reason}, as another process was told`);
    else deployment.disable(untilMs ?? DISABLED_MS, reason, now);
    this.#members.isHearing = false;
  }

  #circuitChanged(deployment: Deployment, from: CircuitState, to: CircuitState): void {
    const { shared, circuitChanged } = this.#host;
    circuitChanged(deployment, from, to);
    if (this.#members.isHearing || to === "half-open") return;
    const news = { deployment: deployment.id, reason: "its calls fail too often" };
    shared?.tell(to === "open" ? { ...news, kind: "open", untilMs: this.rules.circuit?.openMs ?? 0 } : { ...news, kind: "closed" });
  }

  close(): void {
    for (const { reported } of this.deployments) reported?.close();
  }

  /** Slow start: who has just recovered is a candidate as often as its share says. */
  #warm(candidates: Deployment[], now: number): Deployment[] {
    const warm = candidates.filter((deployment) => {
      const share = deployment.share(now);
      return share >= 1 || this.#host.random() < share;
    });
    return warm.length > 0 ? warm : candidates;
  }
}
