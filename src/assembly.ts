import type { Alarm } from "./core/clock.ts";
import { Engine } from "./core/engine.ts";
import type { CallFacts } from "./core/facts.ts";
import type { Layer } from "./core/layer.ts";
import type { RunTracer } from "./core/runs.ts";
import type { Events } from "./events.ts";
import type { DeploymentLimits } from "./deployment-quotas.ts";
import { Batch } from "./layers/batch/layer.ts";
import { Split } from "./layers/batch/split.ts";
import { PerfCache } from "./layers/cache/admin.ts";
import { keySpace, tenantBy } from "./layers/cache/coverage.ts";
import { TraceLayer } from "./layers/trace/layer.ts";
import { runTracer, SpanTracer } from "./layers/trace/tracer.ts";
import { coalesceLayer, OpenCache, type OpenCacheHost } from "./open-cache.ts";
import { openLimits, type OpenLimits } from "./open-limits.ts";
import { deploymentLimits, OpenRouting } from "./open-routing.ts";
import type { PerfOptions, ResolvedOptions } from "./options.ts";

/** What an assembly needs of its perf. */
export interface AssemblyHost extends OpenCacheHost {
  readonly clock: Alarm;
  readonly events: Events;
  /** Prices as they are now. */
  pricing(): ResolvedOptions["pricing"];
  finished(facts: CallFacts, elapsed: number): void;
}

/** Those options of a perf on which a part of it depends. */
const CACHE = ["cache"] as const;
const COALESCE = ["cache", "coalesce"] as const;
const LIMITS = ["rateLimit", "name"] as const;
const ROUTES = ["routing", "name"] as const;

/** A perf's options as they are now, opened: the layers and the engine that runs calls through them. */
export class Assembly {
  readonly options: ResolvedOptions;
  readonly tenantOf: ReturnType<typeof tenantBy>;
  readonly tracer: RunTracer;
  readonly cache: OpenCache | undefined;
  readonly admin: PerfCache;
  readonly limits: OpenLimits | undefined;
  readonly routing: OpenRouting | undefined;
  readonly engine: Engine;
  readonly #coalesce: Layer | undefined;

  /** @param before what it takes the place of, and goes on from in all that has not changed */
  constructor(options: ResolvedOptions, host: AssemblyHost, before?: Assembly, changed: ReadonlySet<keyof PerfOptions> = new Set()) {
    const goesOn = (parts: readonly (keyof PerfOptions)[]): Assembly | undefined => (before && !parts.some((part) => changed.has(part)) ? before : undefined);
    this.options = options;
    this.tenantOf = tenantBy(options.cache);
    this.tracer = goesOn(["trace"])?.tracer ?? runTracer(options.trace);
    const cached = goesOn(CACHE);
    this.cache = cached ? cached.cache : options.cache && new OpenCache(options.cache, host);
    this.admin = this.cache?.layers.admin ?? cached?.admin ?? new PerfCache();
    const coalesced = goesOn(COALESCE);
    this.#coalesce = coalesced ? coalesced.#coalesce : options.coalesce && coalesceLayer(this.cache);
    const routed = goesOn(ROUTES);
    const quotas = routed?.routing?.limits() ?? deploymentLimits(options.routing);
    this.limits = this.#openLimits(quotas, host, goesOn(LIMITS));
    this.routing = this.#openRouting(host.events, before, routed !== undefined);
    this.engine = new Engine({
      layers: this.#layers(),
      upstream: this.#upstreamLayers(host.clock),
      keys: keySpace(options.cache),
      clock: host.clock,
      idleConsumerMs: options.timeouts.idleConsumerMs,
      finished: (facts, elapsed) => host.finished(facts, elapsed),
      itemFinished: (facts) => this.cache?.layers.heard(facts),
    });
    // Last, when nothing can be wrong any more: what was taken of quotas that stay stays taken.
    if (this.limits && this.limits === before?.limits && !routed) this.limits.deployments.goOnWith(quotas);
  }

  /** Lets go of what it has opened. @param successor goes on with some of it, which stays open */
  async close(successor?: Assembly): Promise<void> {
    if (this.cache !== successor?.cache) await this.cache?.close();
    await this.routing?.close(successor?.routing);
    if (this.limits !== successor?.limits) await this.limits?.close();
  }

  #openLimits(deployments: readonly DeploymentLimits[], { pricing }: AssemblyHost, before: Assembly | undefined): OpenLimits | undefined {
    const { rateLimit, timeouts: { idleConsumerMs }, name } = this.options;
    if (!rateLimit && deployments.length === 0) return undefined;
    return before?.limits ?? openLimits(rateLimit, { name, pricing, idleConsumerMs, deployments });
  }

  #openRouting(events: Events, before: Assembly | undefined, isSame: boolean): OpenRouting | undefined {
    const { name, routing, retry, timeouts, pricing, routesAll } = this.options;
    if (routing.length === 0 && !routesAll) return undefined;
    return new OpenRouting({ name, routing, retry, timeouts, pricing, routesAll }, this.limits, events, before?.routing, isSame);
  }

  /** What happens to every call, outermost first: this array is the order. */
  #layers(): Layer[] {
    const { cache, tracer, options } = this;
    return [tracer instanceof SpanTracer && new TraceLayer(tracer), cache?.layers.near, this.#coalesce, cache?.layers.behind, options.coalesce?.scope === "cluster" && cache?.cluster()].filter(
      (layer) => layer !== undefined && layer !== false,
    );
  }

  /** What happens to the requests that leave for whoever answers, outermost first. */
  #upstreamLayers(clock: Alarm): Layer[] {
    const { limits, routing, options: { batch } } = this;
    return [batch ? new Batch(batch, clock, limits?.tokensPerMinute) : limits && new Split(), routing?.layer, limits?.layer].filter((layer) => layer !== undefined);
  }
}
