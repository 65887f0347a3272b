import type { Clock } from "../../core/clock.ts";
import type { Usage } from "../../core/facts.ts";
import type { Price } from "../../core/price.ts";
import { SlidingCount } from "../../core/sliding-count.ts";
import { FailureRateCircuit, type CircuitOptions, type CircuitState, type Passage } from "./circuit.ts";
import { PeakLatency } from "./latency.ts";
import type { ReportedLoad } from "./reported-load.ts";
import type { Candidate, LatencyEstimate, RouteOutcome, RouteQuestion } from "./strategy.ts";

/** A deployment as its pool's options have it. */
export interface ResolvedDeployment {
  readonly id: string;
  /** What is asked. */
  readonly target: object;
  /** The model's name. */
  readonly model: string | undefined;
  readonly weight: number;
  readonly priority: number;
  readonly contextWindow: number | undefined;
  readonly price: Price | undefined;
  readonly metricsUrl: string | undefined;
  readonly tags: readonly string[];
  /** Its own quotas. */
  readonly limits: { readonly requestsPerMinute: number | undefined; readonly tokensPerMinute: number | undefined; readonly maxConcurrent: number | undefined };
}

/** Why nobody asks a deployment, until when by the monotonic clock. */
interface Aside {
  readonly until: number;
  readonly reason: string;
}

/** What a deployment needs of its pool. */
export interface DeploymentHost {
  readonly clock: Clock;
  /** Absent = it has none. */
  readonly circuit: CircuitOptions | undefined;
  circuitChanged(deployment: Deployment, from: CircuitState, to: CircuitState): void;
  /** Share of the deployment's own quota that is taken. */
  quotaUsed(id: string): number | undefined;
  /** Requests that other processes have under way there. */
  loadElsewhere(id: string): number;
  costOf(deployment: ResolvedDeployment, usage: Usage): number | undefined;
}

/** Of a refusal that does not say when to come back, and the next ones in a row; then doubled each time. */
const FIRST_ASIDE_MS = 1_000;
const MAX_ASIDE_MS = 30_000;
/** Comes after all that people number by hand. */
const LAST_TIER = 1e9;
/** The least share that a deployment has which has just recovered. */
const FIRST_SHARE = 0.1;
/** An answer whose length nobody bounds, tokens. */
const USUAL_ANSWER = 256;

/** A deployment and all that is known of how it is. */
export class Deployment implements Candidate {
  readonly options: ResolvedDeployment;
  readonly index: number;
  latency: LatencyEstimate;
  readonly circuit: FailureRateCircuit | undefined;
  /** Its server's own word on its load. */
  reported: ReportedLoad | undefined;
  /** Requests under way from here. */
  active = 0;
  requests = 0;
  failures = 0;
  /** The last reason for which it could not take a question. */
  lastUnfit: string | undefined;
  /** What the last request that it was to blame for failed of. */
  lastError: string | undefined;
  isDraining = false;
  readonly #host: DeploymentHost;
  readonly #ofLate = new SlidingCount(60_000, 12);
  #aside: Aside | undefined;
  #disabled: Aside | undefined;
  /** Refusals for the rate, in a row. */
  #refusals = 0;
  #recoveredAt = -Infinity;
  #drained: (() => void)[] = [];
  /** Requests that wait for their first content, and since when; the first is the oldest. */
  readonly #silent = new Map<object, number>();

  constructor(options: ResolvedDeployment, index: number, host: DeploymentHost) {
    this.options = options;
    this.index = index;
    this.#host = host;
    this.latency = new PeakLatency(host.clock);
    this.circuit = host.circuit && new FailureRateCircuit(host.circuit, host.clock, (from, to) => {
      if (to === "closed") this.#recoveredAt = host.clock.elapsed();
      host.circuitChanged(this, from, to);
    });
  }

  get id(): string {
    return this.options.id;
  }

  get weight(): number {
    return this.options.weight;
  }

  get inFlight(): number {
    return Math.max(this.active + this.#host.loadElsewhere(this.id), this.reported?.inFlight ?? 0);
  }

  get silentMs(): number {
    for (const since of this.#silent.values()) return this.#host.clock.elapsed() - since;
    return 0;
  }

  get errorRate(): number {
    return this.circuit?.failureRate ?? 0;
  }

  get quotaUsed(): number | undefined {
    return this.#host.quotaUsed(this.id);
  }

  get requestsOfLate(): number {
    return this.#ofLate.total(this.#host.clock.elapsed());
  }

  costOf({ inputTokens, maxOutputTokens = USUAL_ANSWER }: RouteQuestion): number | undefined {
    return this.#host.costOf(this.options, { inputTokens, outputTokens: maxOutputTokens });
  }

  /** Milliseconds until it may be asked; 0 = now, `Infinity` = no time is known. */
  waitMs(now: number): number {
    if (this.isDraining) return Infinity;
    return Math.max(this.asideMs(now), this.circuit?.waitMs ?? 0);
  }

  /** The same because it asked for patience, or is of no use. */
  asideMs(now: number): number {
    return this.#aside ? Math.max(0, this.#aside.until - now) : 0;
  }

  /** Why it is not asked, as people say it; `undefined` = it is. */
  whyNot(now: number): string | undefined {
    if (this.isDraining) return "it is being drained";
    if (this.asideMs(now) > 0) return this.#aside?.reason;
    if ((this.circuit?.waitMs ?? 0) === 0) return undefined;
    return this.circuit?.state === "open" ? "too many of its calls failed (open circuit)" : "one call tries whether it answers again (half-open circuit)";
  }

  /** Nobody asks it for as long as it wanted, or for a time that grows with each refusal. @returns for how long, milliseconds */
  setAside(askedMs: number | undefined, now: number): number {
    // What was sent before it was set aside, and is refused now, says nothing new.
    if (askedMs === undefined && this.asideMs(now) > 0) return this.asideMs(now);
    const forMs = askedMs ?? Math.min(MAX_ASIDE_MS, FIRST_ASIDE_MS * 2 ** this.#refusals);
    // Refusals of what was under way already are one.
    if (this.asideMs(now) === 0) this.#refusals += 1;
    this.waitUntil(now + forMs, "it has refused calls for their rate");
    return forMs;
  }

  waitUntil(until: number, reason: string): void {
    if (!this.#aside || until > this.#aside.until) this.#aside = { until, reason };
  }

  /** The others are asked first. */
  disable(forMs: number, reason: string, now: number): void {
    this.#disabled = { until: now + forMs, reason };
  }

  /** Why the others are asked first; `undefined` = they are not. */
  disabledFor(now: number): string | undefined {
    return this.#disabled && this.#disabled.until > now ? this.#disabled.reason : undefined;
  }

  /** Lower ones are asked first. */
  tier(now: number): number {
    return this.disabledFor(now) === undefined ? this.options.priority : LAST_TIER;
  }

  /** From 0 to 1: how much of its usual share it gets while it warms up again (slow start). */
  share(now: number): number {
    const warmUpMs = this.#host.circuit?.openMs ?? 0;
    const since = now - this.#recoveredAt;
    return since >= warmUpMs ? 1 : Math.max(FIRST_SHARE, since / warmUpMs);
  }

  /** It answers again, as somebody else has found out. */
  recovered(): void {
    this.#disabled = undefined;
    this.circuit?.close();
  }

  /** A request is made of it. */
  begin(): Passage | undefined {
    this.active += 1;
    return this.circuit?.enter();
  }

  /** The request has left for it. @param request stands for it */
  sent(request: object): void {
    if (this.#silent.has(request)) return;
    const now = this.#host.clock.elapsed();
    this.#silent.set(request, now);
    this.#ofLate.add(now);
    this.requests += 1;
  }

  /** There is content, or there will be none. */
  spoke(request: object): void {
    this.#silent.delete(request);
  }

  /** The request has ended. @param isFault whether it counts against the circuit; `undefined` = nothing is known */
  ended(passage: Passage | undefined, question: RouteQuestion, outcome: RouteOutcome, isFault: boolean | undefined): void {
    this.active -= 1;
    if (outcome.end === "failed") this.failures += 1;
    else this.latency.add(question, outcome);
    if (outcome.end === "ok") this.#answered();
    passage?.ended(isFault === undefined ? undefined : !isFault);
    if (this.active === 0) for (const drained of this.#drained.splice(0)) drained();
  }

  #answered(): void {
    this.#refusals = 0;
    this.#disabled = undefined;
  }

  /** Goes on from what was known of the same deployment before. */
  takeOver(before: Deployment): void {
    this.latency = before.latency;
    this.requests = before.requests;
    this.failures = before.failures;
    this.lastError = before.lastError;
    this.#aside = before.#aside;
    this.#disabled = before.#disabled;
    this.#refusals = before.#refusals;
    this.#recoveredAt = before.#recoveredAt;
    if (before.circuit) this.circuit?.goOnFrom(before.circuit);
  }

  /** Settles when nothing is under way there from here. */
  drained(): Promise<void> {
    this.isDraining = true;
    return this.active === 0 ? Promise.resolve() : new Promise((resolve) => void this.#drained.push(resolve));
  }
}
