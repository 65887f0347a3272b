import { systemClock } from "./core/clock.ts";
import { firstLineOf, OptionError } from "./core/errors.ts";
import { isHit, type CallFacts, type Usage } from "./core/facts.ts";
import { hasQuotas, type DeploymentLimits } from "./deployment-quotas.ts";
import type { Events } from "./events.ts";
import { deployable, type DeployableModel } from "./langchain/deployable.ts";
import { listenToResponses } from "./langchain/response-headers.ts";
import { hintOf } from "./layers/limit/end.ts";
import { Route } from "./layers/route/layer.ts";
import type { CircuitState } from "./layers/route/circuit.ts";
import type { Deployment as DeploymentState, ResolvedDeployment } from "./layers/route/deployment.ts";
import { resolveDeployment } from "./layers/route/deployment-options.ts";
import { resolveRouting, type ResolvedRouting } from "./layers/route/options.ts";
import { OwnStrategy } from "./layers/route/own-strategy.ts";
import { Pool, type PoolHost, type PoolRules } from "./layers/route/pool.ts";
import type { RetryFor } from "./layers/route/retry-options.ts";
import type { DeploymentOptions, RoutingOptions as RouteOptions, TimeoutOptions } from "./layers/route/routing-options.ts";
import { statusOf, type DeploymentStatus } from "./layers/route/status.ts";
import { strategyNamed } from "./layers/route/strategies/all.ts";
import type { OpenLimits } from "./open-limits.ts";
import { noticeOf, noticeOfError } from "./limits/notice.ts";
import { SharedBoards } from "./shared-boards.ts";
import { RedisConnection, type RedisLike, type RedisSource } from "./stores/redis.ts";
import { costOf, type Price } from "./core/price.ts";

/** See the fields. */
export type Deployment = DeploymentOptions<DeployableModel>;
/** See the fields. */
export interface RoutingOptions extends RouteOptions<DeployableModel> {
  /** A Redis in which all processes with the same `name` tell each other of open circuits, of refusals and of their load: a URL or a client of ioredis. Quotas of deployments are shared by it, too. @default this process alone */
  shared?: string | RedisLike;
}

/** @throws OptionError */
export function resolvePools(raw: unknown): readonly ResolvedRouting[] {
  const pools = resolveRouting(raw, deployable);
  // This opens nothing: what cannot be a Redis must show before anything has changed.
  for (const { shared } of pools) if (shared !== undefined) void new RedisConnection(shared as RedisSource, "routing.shared");
  return pools;
}

/** What routes are made of. */
export interface RoutingSetup {
  readonly name: string;
  readonly routing: readonly ResolvedRouting[];
  readonly retry: RetryFor;
  readonly timeouts: Required<TimeoutOptions>;
  readonly pricing: ReadonlyMap<string, Price>;
  /** Whether calls that no pool takes are routed, to whom they are made of. */
  readonly routesAll: boolean;
}

/** The limits of those deployments that have some. */
export function deploymentLimits(routing: readonly ResolvedRouting[]): DeploymentLimits[] {
  return routing.flatMap(({ deployments, shared }) => deployments.map((deployment) => limitsOf(deployment, shared)).filter(hasQuotas));
}

function limitsOf({ id, limits }: ResolvedDeployment, shared: unknown): DeploymentLimits {
  return { id, limits, shared: shared as RedisSource | undefined };
}

/** What routes look things up in; it changes with the options, and calls that run see it so. */
interface World {
  limits: OpenLimits | undefined;
  pricing: ReadonlyMap<string, Price>;
  /** Of every deployment that ever had one of its own: what ends later has its price, too. */
  readonly prices: Map<string, Price>;
}

/** The routes of a perf. */
export class OpenRouting {
  readonly layer: Route;
  readonly #pools: readonly Pool[];
  readonly #setup: RoutingSetup;
  readonly #world: World;
  readonly #boards: SharedBoards;
  readonly #costOf = ({ price, model }: ResolvedDeployment, usage: Usage): number | undefined => {
    const found = price ?? (model === undefined ? undefined : this.#world.pricing.get(model));
    return found && costOf(usage, found);
  };

  /**
   * @param before whose deployments, where they are the same, go on with what is known of them
   * @param isSame whether `routing` is as it was: then its pools go on as they are, with what was added and drained
   */
  constructor(setup: RoutingSetup, limits: OpenLimits | undefined, events: Events, before?: OpenRouting, isSame = false) {
    listenToResponses();
    this.#setup = setup;
    this.#world = Object.assign(before ? before.#world : { prices: new Map<string, Price>() }, { limits, pricing: setup.pricing });
    this.#boards = isSame && before ? before.#boards : new SharedBoards(setup.name);
    this.#pools = isSame && before ? before.#pools.map((pool) => pool.goOn(this.#callRules(true))) : this.#openPools(events, before);
    this.#listen();
    const tools = { clock: systemClock, random: Math.random, costOf: this.#costOf };
    const pools = setup.routesAll ? [...this.#pools, this.#implicitPool(tools)] : this.#pools;
    this.layer = new Route(pools, { ...tools, isLimited: limits !== undefined, retryAfterMs });
  }

  #openPools(events: Events, before: OpenRouting | undefined): Pool[] {
    const host: Omit<PoolHost, "shared"> = {
      clock: systemClock,
      random: Math.random,
      costOf: this.#costOf,
      quotaUsed: (id) => this.#world.limits?.deployments.used(id),
      circuitChanged: (deployment, from, to) => tellCircuit(events, deployment, from, to),
      disabled: (deployment, kind, error) => tellDisabled(events, deployment, kind, error),
    };
    return this.#setup.routing.map(({ strategy, latencyBoundMs, deployments, takes, rules, shared }, number) => {
      const tools = { elapsed: () => systemClock.elapsed(), random: Math.random };
      const chosen = typeof strategy === "function" ? new OwnStrategy(strategy, systemClock) : strategyNamed(strategy, tools, { latencyBoundMs });
      for (const deployment of deployments) this.#remember(deployment);
      const options = { number, takes, deployments, rules: { ...rules, ...this.#callRules(true) }, strategy: chosen };
      return new Pool(options, { ...host, shared: this.#boards.of(shared as RedisSource | undefined) }, before && before.#pools[number]);
    });
  }

  #remember({ id, price }: ResolvedDeployment): void {
    if (price) this.#world.prices.set(id, price);
    else this.#world.prices.delete(id);
  }

  /** How every deployment is. */
  deployments(): DeploymentStatus[] {
    const now = systemClock.elapsed();
    return this.#pools.flatMap((pool) => pool.deployments.map((deployment) => statusOf(deployment, now)));
  }

  /** The quotas of those deployments that have some, now. */
  limits(): DeploymentLimits[] {
    return this.#pools.flatMap((pool, number) => pool.deployments.filter(({ isDraining }) => !isDraining).map(({ options }) => this.#limitsOf(options, number))).filter(hasQuotas);
  }

  /** What the answer of a call costs by its deployment's own price; a hit's by that of a deployment which has the same model. */
  priceOf({ deployment: id, model, cache }: CallFacts): Price | undefined {
    if (id !== undefined) return this.#world.prices.get(id);
    if (!isHit(cache)) return undefined;
    const alike = this.#pools.flatMap(({ deployments }) => deployments).find(({ options }) => options.model === model && options.price);
    return alike?.options.price;
  }

  /** @throws OptionError */
  add(raw: unknown, number = 0): void {
    const pool = this.#pools[number];
    const wanted = this.#setup.routing[number]?.kind;
    if (!pool) throw new OptionError("addDeployment.pool", `a number below ${this.#pools.length}`, number);
    const { options, kind } = resolveDeployment("deployment", raw, deployable);
    if (this.#find(options.id)) throw new OptionError("deployment.id", "an id of its own", options.id);
    if (kind !== wanted) throw new OptionError("deployment.model", `a model of the pool's kind (${wanted})`, kind);
    const own = this.#limitsOf(options, number);
    const { limits } = this.#world;
    if (hasQuotas(own) && !limits) throw new OptionError("deployment", "no quotas, as long as no other deployment has some and there is no `rateLimit`", raw);
    limits?.deployments.add(own);
    this.#remember(options);
    pool.add(options);
  }

  /** @throws OptionError */
  async drain(id: string): Promise<void> {
    const found = this.#find(id);
    if (!found) throw new OptionError("id", `the id of a deployment (${this.deployments().map((each) => each.id).join(", ")})`, id);
    await found.pool.drain(found.deployment);
    if (!this.#find(id)) this.#world.limits?.deployments.remove(id);
  }

  #listen(): void {
    for (const board of this.#boards.all()) {
      board.hear((news) => this.#find(news.deployment)?.pool.hear(news));
      board.report(() => Object.fromEntries(this.#pools.flatMap((pool) => pool.deployments.map(({ id, active }) => [id, active]))));
    }
  }

  /** @param successor what goes on with its pools stays open for it */
  async close(successor?: OpenRouting): Promise<void> {
    if (successor && successor.#boards === this.#boards) return;
    for (const pool of this.#pools) pool.close();
    await this.#boards.close();
  }

  #limitsOf(deployment: ResolvedDeployment, number: number): DeploymentLimits {
    return limitsOf(deployment, this.#setup.routing[number]?.shared);
  }

  #find(id: string): { pool: Pool; deployment: DeploymentState } | undefined {
    for (const pool of this.#pools) {
      const deployment = pool.find(id);
      if (deployment) return { pool, deployment };
    }
    return undefined;
  }

  #callRules(isNamed: boolean): Pick<PoolRules, "retry" | "patience" | "totalMs"> {
    const { retry, timeouts: { totalMs, ...patience } } = this.#setup;
    return { retry: retry(isNamed), patience, totalMs };
  }

  /** Of all that no pool takes: whatever is asked answers. */
  #implicitPool(host: Pick<PoolHost, "clock" | "random" | "costOf">): Pool {
    const limits = { requestsPerMinute: undefined, tokensPerMinute: undefined, maxConcurrent: undefined };
    const whoeverIsAsked: ResolvedDeployment = {
      id: "itself", target: {}, model: undefined, weight: 1, priority: 0, contextWindow: undefined, price: undefined, metricsUrl: undefined, tags: [], limits,
    };
    const rules: PoolRules = { circuit: undefined, hedge: undefined, cascade: undefined, onInterrupt: "error", contextWindow: undefined, contentFilter: [], ...this.#callRules(false) };
    const strategy = { name: "itself", pick: <C>([only]: readonly C[]): C => only as C };
    const quiet = { shared: undefined, quotaUsed: () => undefined, circuitChanged: () => {}, disabled: () => {} };
    return new Pool({ number: undefined, takes: () => true, deployments: [whoeverIsAsked], rules, strategy }, { ...host, ...quiet });
  }
}

/** When whoever refused wants to be asked again: by its word, or when the quota that is used up is there again. */
function retryAfterMs(error: unknown, status: number | undefined, headers: ReadonlyMap<string, string> | undefined): number | undefined {
  const now = systemClock.now();
  const notice = (status !== undefined && headers ? noticeOf(status, headers, now) : undefined) ?? noticeOfError(error, now);
  const resets = [notice?.requests, notice?.tokens].flatMap((level) => (level?.remaining === 0 && level.resetMs !== undefined ? [level.resetMs] : []));
  return notice?.retryAfterMs ?? hintOf(error) ?? (resets.length > 0 ? Math.max(...resets) : undefined);
}

function tellCircuit(events: Events, { id, errorRate }: DeploymentState, from: CircuitState, to: CircuitState): void {
  events.tell("circuit", { deployment: id, from, to, failureRate: errorRate, at: systemClock.now() });
}

function tellDisabled(events: Events, { id }: DeploymentState, kind: string, error: unknown): void {
  const message = `The deployment "${id}" is asked after all others for five minutes: ${firstLineOf(error)}`;
  events.tell("alert", { rule: "deployment-disabled", severity: "critical", deployment: id, reason: kind, message, at: systemClock.now() });
}
