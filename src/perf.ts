import { systemClock, type Alarm } from "./core/clock.ts";
import { resolveControl, type CallControl, type CallWishes } from "./core/control.ts";
import { Engine } from "./core/engine.ts";
import { OptionError, StoreError } from "./core/errors.ts";
import { Events, type PerfEvents } from "./events.ts";
import type { CallFacts, TierName } from "./core/facts.ts";
import type { Layer } from "./core/layer.ts";
import type { EngineCall } from "./core/request.ts";
import type { RunTracer } from "./core/runs.ts";
import { warn } from "./core/warn.ts";
import { cachedFunction, type CachedOptions } from "./langchain/cached.ts";
import { PerfCallbackHandler, type RunSink } from "./langchain/handler.ts";
import { install } from "./langchain/install.ts";
import { kindNamed } from "./langchain/kinds/all.ts";
import type { WrappingPerf } from "./langchain/proxy.ts";
import { inScope, outerControl, rootScope, type RunConfig } from "./langchain/scope.ts";
import { Batch } from "./layers/batch/layer.ts";
import { Split } from "./layers/batch/split.ts";
import { PerfCache } from "./layers/cache/admin.ts";
import { Cache } from "./layers/cache/cache.ts";
import { callConcern, type CallConcern } from "./layers/cache/concern.ts";
import { keySpace, tenantBy } from "./layers/cache/coverage.ts";
import { Lifetimes } from "./layers/cache/lifetimes.ts";
import type { ResolvedCache } from "./layers/cache/options.ts";
import { createSealer, type Sealer } from "./layers/cache/seal.ts";
import { frameSealer } from "./layers/cache/seal-frames.ts";
import { ClusterCoalesce } from "./layers/coalesce-cluster/layer.ts";
import { Coalesce } from "./layers/coalesce.ts";
import type { RunGate } from "./layers/limit/run-gate.ts";
import { TraceLayer } from "./layers/trace/layer.ts";
import { runTracer, SpanTracer } from "./layers/trace/tracer.ts";
import { mapInputs, type MapOptions, type MapResult } from "./map.ts";
import { openLimits, type OpenLimits } from "./open-limits.ts";
import { openTiers } from "./open-tiers.ts";
import { resolveOptions, type PerfOptions, type ResolvedOptions } from "./options.ts";
import { redisLeases } from "./stores/redis.ts";
import { addCost } from "./telemetry/cost.ts";
import { StatsWindow, type PerfSnapshot } from "./telemetry/window.ts";

/** A set of layers, and everything that is known of the calls that went through them. Made by `createPerf`. */
export interface Perf extends AsyncDisposable {
  readonly name: string;
  /**
   * Every LangChain call made inside `work`, now or later, goes through this perf.
   * @param wishes what would stand in `configurable.perf`
   */
  run<T>(work: () => T, wishes?: CallWishes): T;
  /**
   * Any async function (a SQL query, an HTTP request, a whole chain) through the same cache and coalescing, timed and traced.
   * @param name stands for the function in keys, in every process that shares a tier
   */
  cached<A extends unknown[], R>(name: string, work: (...args: A) => Promise<R>, options?: CachedOptions<A, R>): (...args: A) => Promise<R>;
  /**
   * Runs a program for each of many inputs, some at a time, through this perf; memory stays bounded however many there are, and nothing happens before somebody
   * reads: `for await (const result of perf.map(chain, inputs)) …`.
   * @throws OptionError for a bad option
   */
  map<I, O>(target: MapTarget<I, O>, inputs: Iterable<I> | AsyncIterable<I>, options?: MapOptions): AsyncIterable<MapResult<I, O>>;
  /** Nothing wrapped: tracing and facts alone and, with a `rateLimit`, delayed or refused starts of chat and LLM runs. `chain.invoke(input, { callbacks: [perf.handler] })`. */
  readonly handler: PerfCallbackHandler;
  readonly cache: PerfCache;
  /** What happened in the last minute. */
  stats(): PerfSnapshot;
  /** Hears of every call that ends, or of every failure of a tier. @returns a function that ends the hearing */
  on<E extends keyof PerfEvents>(event: E, listener: (event: PerfEvents[E]) => void): () => void;
  /** Waits for pending writes and telemetry, as far as they can be delivered now. */
  flush(): Promise<void>;
  /** Flushes, and disconnects what it opened itself; calls made later go straight to the model. What the far tiers hold stays. */
  close(): Promise<void>;
}

/** What `perf.map` runs: a Runnable, an agent, or anything else that is invoked. */
export interface MapTarget<I, O> {
  invoke(input: I, config?: object): Promise<O>;
}

/** The cache of a perf, and the way to the calls of other processes. */
interface OpenCache {
  readonly layers: Cache;
  readonly cluster: ClusterCoalesce | undefined;
  readonly concern: CallConcern;
  close(): Promise<void>;
}

const MARK = Symbol.for("langchain-perf/perf@1");

class LangChainPerf implements Perf, WrappingPerf {
  readonly [MARK] = true;
  readonly name: string;
  readonly engine: Engine;
  readonly cache: PerfCache;
  readonly handler: PerfCallbackHandler;
  readonly clock: Alarm;
  readonly tracer: RunTracer;
  readonly #options: ResolvedOptions;
  readonly #tenantOf: ReturnType<typeof tenantBy>;
  readonly #window: StatsWindow;
  readonly #cache: OpenCache | undefined;
  readonly #limits: OpenLimits | undefined;
  readonly #events: Events;
  readonly #warned = new Set<TierName>();
  readonly #forget = (keys: readonly string[]): void => {
    this.#cache?.cluster?.retire(({ key }) => key !== undefined && keys.includes(key));
    this.#cache?.layers.tiers.forget(keys);
  };
  closed = false;

  constructor(options: ResolvedOptions, clock: Alarm) {
    this.name = options.name;
    this.clock = clock;
    this.#options = options;
    this.#events = new Events(options.name);
    this.#tenantOf = tenantBy(options.cache);
    this.#window = new StatsWindow(clock);
    this.tracer = runTracer(options.trace);
    this.#cache = options.cache && this.#openCache(options.cache);
    this.cache = this.#cache?.layers.admin ?? new PerfCache();
    this.#limits = options.rateLimit && openLimits(options.rateLimit, options);
    this.engine = new Engine({
      layers: layersOf(options, this.#cache, this.tracer),
      upstream: upstreamLayersOf(options, this.#limits, clock),
      keys: keySpace(options.cache),
      clock,
      idleConsumerMs: options.idleConsumerMs,
      finished: (facts, elapsed) => this.finished(facts, elapsed),
      itemFinished: (facts) => this.#cache?.layers.heard(facts),
    });
    this.handler = new PerfCallbackHandler(this as RunSink);
  }

  get observing(): boolean {
    return this.#events.isHeard("call") || this.tracer.active;
  }

  run<T>(work: () => T, wishes?: CallWishes): T {
    install();
    const scope = rootScope(this, this.controlFor(wishes === undefined ? {} : { configurable: { perf: wishes } }, outerControl(this)));
    return scope ? inScope(scope, work) : work();
  }

  cached<A extends unknown[], R>(name: string, work: (...args: A) => Promise<R>, options?: CachedOptions<A, R>): (...args: A) => Promise<R> {
    return cachedFunction(this, name, work, options);
  }

  map<I, O>(target: MapTarget<I, O>, inputs: Iterable<I> | AsyncIterable<I>, options?: MapOptions): AsyncIterable<MapResult<I, O>> {
    if (typeof (target as Partial<typeof target> | null)?.invoke !== "function") throw new OptionError("map.target", "an object with invoke(input, config)", target);
    return mapInputs((input: I, config) => this.run(() => target.invoke(input, config)), inputs, options);
  }

  controlFor(config: RunConfig | undefined, outer: CallControl): CallControl {
    const wishes = config?.configurable?.perf;
    const control = wishes === undefined ? outer : resolveControl(wishes, outer, this.clock.elapsed());
    if (!this.#tenantOf || (control.tenant !== undefined && !control.tenantDerived)) return control;
    const { tenant: outerTenant, tenantDerived: _derived, ...wished } = control;
    const tenant = this.#tenantOf(wished, config ?? {}) ?? outerTenant;
    return tenant === outerTenant ? control : { ...control, tenant, tenantDerived: true };
  }

  get forget(): ((keys: readonly string[]) => void) | undefined {
    return this.#options.cache && this.#forget;
  }

  within<T>(runId: string | undefined, work: () => T): T {
    return this.tracer.active ? this.tracer.within(runId, work) : work();
  }

  finished(facts: CallFacts, elapsed = this.clock.elapsed()): void {
    if (this.#options.pricing.size > 0) addCost(facts, this.#options.pricing);
    this.#window.add(facts, elapsed);
    this.#cache?.layers.heard(facts);
    if (this.tracer.active) this.tracer.annotate(facts);
    if (this.#events.isHeard("call")) this.#events.tell("call", facts);
  }

  #openCache(options: ResolvedCache): OpenCache {
    const { clock } = this;
    const { encryptionKey, compressAboveBytes } = options;
    const sealer = createSealer({ encryptionKey, compressAboveBytes });
    const { waitUntil } = this.#options;
    const open = openTiers(options, { clock, waitUntil, failed: (tier, error) => this.#storeFailed(tier, error) });
    const layers = new Cache(options, open, {
      clock,
      sealer,
      kindOf: kindNamed,
      ask: (call) => this.engine.refresh(call as EngineCall),
      waitUntil,
      run: (work) => this.run(work),
    });
    const cluster = this.#options.coalesce?.scope === "cluster" ? this.#clusterLayer(options, open, sealer) : undefined;
    const close = async (): Promise<void> => {
      await cluster?.close();
      await layers.close();
      open.redis?.close();
    };
    return { layers, cluster, concern: callConcern(options, sealer), close };
  }

  #clusterLayer(options: ResolvedCache, open: ReturnType<typeof openTiers>, sealer: Sealer): ClusterCoalesce | undefined {
    if (!options.redis || !open.redis || !open.bus) return undefined;
    // The worst luck and no demand: no entry's time is shorter.
    const least = new Lifetimes(options, { hits: () => 0, hitRate: () => 0 }, () => 1);
    return new ClusterCoalesce({
      leases: redisLeases(open.redis, open.bus),
      sealer: frameSealer(sealer, options.namespace),
      clock: this.clock,
      timeoutMs: options.redis.timeoutMs,
      // A whole answer is resumed where the cache could have given it, and no longer than that.
      freshMs: ({ control, facts, kind }) =>
        control.cache === "use" && facts.cache?.status === "miss" ? least.of(kind.name, facts.cache.key ?? "", control).freshMs : 0,
      waitUntil: this.#options.waitUntil,
      failed: (error) => this.#storeFailed("redis", error instanceof StoreError ? error : new StoreError("redis", "lease", error)),
    });
  }

  #storeFailed(tier: TierName, error: StoreError): void {
    this.#events.tell("store-error", { tier, operation: error.operation, error, at: this.clock.now() });
    // An entry that cannot be read or written says nothing of its tier: a key was exchanged, say, or a result is no plain data.
    if (error.operation === "decode" || error.operation === "encode" || this.#warned.has(tier)) return;
    this.#warned.add(tier);
    warn(`the ${tier} tier of perf "${this.name}" fails and is gone without until it recovers (said once; the event "store-error" has every failure)`, error.message);
  }

  stats(): PerfSnapshot {
    return { ...this.#window.snapshot(), ...(this.#limits ? { limits: this.#limits.status() } : {}) };
  }

  get gate(): RunGate | undefined {
    return this.#limits?.gate;
  }

  on<E extends keyof PerfEvents>(event: E, listener: (event: PerfEvents[E]) => void): () => void {
    return this.#events.on(event, listener);
  }

  async flush(): Promise<void> {
    await this.#cache?.layers.flush();
  }

  async close(): Promise<void> {
    this.closed = true;
    await this.#cache?.close();
    await this.#limits?.close();
    this.#events.clear();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** The layers of a perf, outermost first: this array is their order. */
function layersOf(options: ResolvedOptions, cache: OpenCache | undefined, tracer: RunTracer): Layer[] {
  return [
    tracer instanceof SpanTracer && new TraceLayer(tracer),
    cache?.layers.near,
    options.coalesce && coalesceLayer(cache),
    cache?.layers.behind,
    cache?.cluster,
  ].filter((layer) => layer !== undefined && layer !== false);
}

/** What happens to the requests of a perf that leave for whoever answers, outermost first. */
function upstreamLayersOf({ batch }: ResolvedOptions, limits: OpenLimits | undefined, clock: Alarm): Layer[] {
  return [...(batch ? [new Batch(batch, clock, limits?.tokensPerMinute)] : limits ? [new Split()] : []), ...(limits?.layers ?? [])];
}

/** What was asked for before an invalidation must not answer who asks after it. */
function coalesceLayer(cache: OpenCache | undefined): Layer {
  const coalesce = new Coalesce();
  if (cache) {
    cache.layers.tiers.invalidations.onAdd = (invalidation = { all: true }) => {
      const isConcerned = cache.concern(invalidation);
      coalesce.retire(isConcerned);
      cache.cluster?.retire(isConcerned);
    };
  }
  return coalesce;
}

/**
 * A perf with these options. An absent option is an absent layer; no options at all are
 * `{ cache: true, coalesce: true, trace: true }`.
 * @throws OptionError for an unknown option, a wrong type or a value out of range
 */
export function createPerf(options: PerfOptions = { cache: true, coalesce: true, trace: true }): Perf {
  return new LangChainPerf(resolveOptions(options), systemClock);
}

/** Whether a value is a perf, made by whichever copy of the package. */
export function isPerf(value: unknown): value is Perf & WrappingPerf {
  return typeof value === "object" && value !== null && MARK in value;
}
