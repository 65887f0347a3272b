import fc from "fast-check";
import { PeakLatency } from "../../../../src/layers/route/latency.ts";
import { strategyNamed, type StrategyName, type StrategySettings } from "../../../../src/layers/route/strategies/all.ts";
import type { Candidate, RouteOutcome, RouteQuestion, Strategy } from "../../../../src/layers/route/strategy.ts";
import { seededRandom } from "../../../../src/testing/random.ts";

type Known = Partial<Pick<Candidate, "weight" | "inFlight" | "errorRate" | "quotaUsed" | "requestsOfLate" | "silentMs">> & { cost?: number | undefined };
type WorldSettings = StrategySettings & { seed?: number };

/** A deployment that is as the test says. */
export class FakeDeployment implements Candidate {
  readonly id: string;
  readonly index: number;
  readonly latency: PeakLatency;
  weight: number;
  inFlight: number;
  errorRate: number;
  quotaUsed: number | undefined;
  requestsOfLate: number;
  silentMs: number;
  /** USD of any question. */
  cost: number | undefined;
  picks = 0;

  constructor(world: World, index: number, { weight = 1, inFlight = 0, errorRate = 0, quotaUsed, requestsOfLate = 0, silentMs = 0, cost }: Known) {
    this.id = `deployment ${index}`;
    this.index = index;
    this.latency = new PeakLatency(world);
    this.weight = weight;
    this.inFlight = inFlight;
    this.errorRate = errorRate;
    this.quotaUsed = quotaUsed;
    this.requestsOfLate = requestsOfLate;
    this.silentMs = silentMs;
    this.cost = cost;
  }

  costOf(): number | undefined {
    return this.cost;
  }
}

/** A strategy with deployments to choose from, a clock that stands until it is moved, and numbers by seed. */
export class World {
  now = 0;
  readonly random: () => number;
  readonly strategy: Strategy;
  readonly deployments: FakeDeployment[];

  constructor(name: StrategyName, deployments: readonly Known[], { seed = 1, ...settings }: WorldSettings = {}) {
    this.random = seededRandom(seed);
    this.strategy = strategyNamed(name, { elapsed: () => this.now, random: this.random }, settings);
    this.deployments = deployments.map((known, index) => new FakeDeployment(this, index, known));
  }

  elapsed(): number {
    return this.now;
  }

  /** Asks, and counts. */
  ask(question: RouteQuestion = questionOf({}), candidates: readonly FakeDeployment[] = this.deployments): FakeDeployment {
    const picked = this.strategy.pick(candidates, question);
    this.strategy.sent?.(picked, question);
    picked.picks += 1;
    picked.requestsOfLate += 1;
    return picked;
  }

  /** An answer has come. */
  ended(deployment: FakeDeployment, outcome: Partial<RouteOutcome> & { totalMs: number }, question: RouteQuestion = questionOf({})): void {
    const full = outcomeOf(outcome);
    deployment.latency.add(question, full);
    this.strategy.ended?.(deployment, question, full);
  }

  /** Picks of each since the last time. */
  counts(times: number, question?: () => RouteQuestion): number[] {
    for (const deployment of this.deployments) deployment.picks = 0;
    for (let time = 0; time < times; time++) this.ask(question?.());
    return this.deployments.map(({ picks }) => picks);
  }
}

export function questionOf(known: Partial<RouteQuestion>): RouteQuestion {
  return { texts: [], inputTokens: 100, maxOutputTokens: undefined, session: undefined, tenant: undefined, model: undefined, ...known };
}

export function outcomeOf(known: Partial<RouteOutcome> & { totalMs: number }): RouteOutcome {
  return { end: "ok", firstMs: undefined, usage: { inputTokens: 100, outputTokens: 100 }, costUsd: undefined, inParts: false, ...known };
}

const chance = fc.double({ min: 0, max: 1, noNaN: true });

/** Deployments as they may be. */
export const someDeployments = fc.array(
  fc.record({
    weight: fc.double({ min: 0.001, max: 1_000, noNaN: true }),
    inFlight: fc.nat(1_000),
    errorRate: chance,
    quotaUsed: fc.option(chance, { nil: undefined }),
    requestsOfLate: fc.nat(10_000),
    cost: fc.option(fc.double({ min: 0, max: 10, noNaN: true }), { nil: undefined }),
  }),
  { minLength: 1, maxLength: 6 },
);
