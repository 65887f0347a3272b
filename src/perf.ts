import { systemClock, type Clock } from "./core/clock.ts";
import { resolveControl, type CallControl, type CallWishes } from "./core/control.ts";
import { Engine } from "./core/engine.ts";
import { OptionError } from "./core/errors.ts";
import type { CallFacts } from "./core/facts.ts";
import type { Layer } from "./core/layer.ts";
import type { RunTracer } from "./core/runs.ts";
import { warn } from "./core/warn.ts";
import { PerfCallbackHandler, type RunSink } from "./langchain/handler.ts";
import { install } from "./langchain/install.ts";
import type { WrappingPerf } from "./langchain/proxy.ts";
import { inScope, outerControl, rootScope, type RunConfig } from "./langchain/scope.ts";
import { PerfCache } from "./layers/cache/admin.ts";
import { MemoryCache } from "./layers/cache/memory.ts";
import { QuestionLog } from "./layers/cache/questions.ts";
import { coveredBy, keySpace, wantedBy, type CacheOptions, type ResolvedCache } from "./layers/cache/options.ts";
import { Coalesce } from "./layers/coalesce.ts";
import { TraceLayer } from "./layers/trace/layer.ts";
import { runTracer, SpanTracer } from "./layers/trace/tracer.ts";
import { resolveOptions, type PerfOptions, type ResolvedOptions } from "./options.ts";
import { addCost } from "./telemetry/cost.ts";
import { StatsWindow, type PerfSnapshot } from "./telemetry/window.ts";
import { memoryStore } from "./stores/memory.ts";

/** Events of a perf, by name. */
export interface PerfEvents {
  /** A call has ended. With a listener, the runs of chains are reported too. */
  call: CallFacts;
}

/** A set of layers, and everything that is known of the calls that went through them. Made by `createPerf`. */
export interface Perf extends AsyncDisposable {
  readonly name: string;
  /**
   * Every LangChain call made inside `work`, now or later, goes through this perf.
   * @param wishes what would stand in `configurable.perf`
   */
  run<T>(work: () => T, wishes?: CallWishes): T;
  /** Tracing and facts alone, nothing wrapped: `chain.invoke(input, { callbacks: [perf.handler] })`. */
  readonly handler: PerfCallbackHandler;
  readonly cache: PerfCache;
  /** What happened in the last minute. */
  stats(): PerfSnapshot;
  /** Hears of every call that ends. @returns a function that ends the hearing */
  on<E extends keyof PerfEvents>(event: E, listener: (event: PerfEvents[E]) => void): () => void;
  /** Waits for pending writes and telemetry. */
  flush(): Promise<void>;
  /** Flushes and lets go of everything; calls made later go straight to the model. */
  close(): Promise<void>;
}

const MARK = Symbol.for("langchain-perf/perf@1");

class LangChainPerf implements Perf, WrappingPerf {
  readonly [MARK] = true;
  readonly name: string;
  readonly engine: Engine;
  readonly cache: PerfCache;
  readonly handler: PerfCallbackHandler;
  readonly clock: Clock;
  readonly tracer: RunTracer;
  readonly #options: ResolvedOptions;
  readonly #window: StatsWindow;
  readonly #listeners = new Set<(facts: CallFacts) => void>();
  readonly #forget = (keys: readonly string[]): void => {
    for (const key of keys) this.cache.store.delete(key);
  };
  closed = false;

  constructor(options: ResolvedOptions, clock: Clock) {
    this.name = options.name;
    this.clock = clock;
    this.#options = options;
    this.#window = new StatsWindow(clock);
    this.tracer = runTracer(options.trace);
    this.cache = new PerfCache(options.cache && memoryStore(options.cache.memory), new QuestionLog());
    this.engine = new Engine({
      layers: layersOf(options, this.cache, this.tracer, clock),
      keys: keySpace(options.cache),
      clock,
      idleConsumerMs: options.idleConsumerMs,
      finished: (facts, elapsed) => this.finished(facts, elapsed),
    });
    this.handler = new PerfCallbackHandler(this as RunSink);
  }

  get observing(): boolean {
    return this.#listeners.size > 0 || this.tracer.active;
  }

  run<T>(work: () => T, wishes?: CallWishes): T {
    install();
    const scope = rootScope(this, this.controlFor(wishes === undefined ? {} : { configurable: { perf: wishes } }, outerControl(this)));
    return scope ? inScope(scope, work) : work();
  }

  controlFor(config: RunConfig | undefined, outer: CallControl): CallControl {
    const wishes = config?.configurable?.perf;
    const control = wishes === undefined ? outer : resolveControl(wishes, outer);
    const tenantOf = this.#options.cache?.tenant;
    if (!tenantOf || (control.tenant !== undefined && !control.tenantDerived)) return control;
    const { tenant: outerTenant, tenantDerived: _derived, ...wished } = control;
    const tenant = this.#tenantOf(tenantOf, wished, config) ?? outerTenant;
    return tenant === outerTenant ? control : { ...control, tenant, tenantDerived: true };
  }

  /** A tenant function that fails yields no tenant, and so no shared entry. */
  #tenantOf(tenantOf: NonNullable<CacheOptions["tenant"]>, control: CallControl, config: RunConfig | undefined): string | undefined {
    try {
      return tenantOf(control, config ?? {});
    } catch (error) {
      warn("cache.tenant failed, and the call goes past the cache", error);
      return undefined;
    }
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
    if (this.tracer.active) this.tracer.annotate(facts);
    for (const listener of this.#listeners) {
      try {
        listener(facts);
      } catch (error) {
        // A listener is the user's code, and the call is over: its failure must not become the call's.
        process.emitWarning(`A listener of perf "${this.name}" failed: ${String(error)}`);
      }
    }
  }

  stats(): PerfSnapshot {
    return this.#window.snapshot();
  }

  on<E extends keyof PerfEvents>(event: E, listener: (event: PerfEvents[E]) => void): () => void {
    if (event !== "call") throw new OptionError("on", 'the event "call"', event);
    if (typeof listener !== "function") throw new OptionError("on", "a function that hears of the event", listener);
    const heard = (facts: CallFacts): void => listener(facts);
    this.#listeners.add(heard);
    return () => this.#listeners.delete(heard);
  }

  async flush(): Promise<void> {}

  async close(): Promise<void> {
    this.closed = true;
    await this.flush();
    await this.cache.clear();
    this.#listeners.clear();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** The layers of a perf, outermost first: this array is their order. */
function layersOf(options: ResolvedOptions, cache: PerfCache, tracer: RunTracer, clock: Clock): Layer[] {
  return [
    tracer instanceof SpanTracer && new TraceLayer(tracer),
    options.cache && memoryLayer(options.cache, cache, clock),
    options.coalesce && coalesceLayer(cache),
  ].filter((layer) => layer !== undefined && layer !== false);
}

/** What was asked for before an invalidation must not answer who asks after it. */
function coalesceLayer(cache: PerfCache): Layer {
  const coalesce = new Coalesce();
  cache.invalidations.onAdd = () => coalesce.retire();
  return coalesce;
}

function memoryLayer(options: ResolvedCache, cache: PerfCache, clock: Clock): Layer {
  return new MemoryCache({
    store: cache.store,
    questions: cache.questions,
    invalidations: cache.invalidations,
    clock,
    namespace: options.namespace,
    ttlOf: (kind) => options.kinds[kind]?.ttlMs ?? options.ttlMs,
    covers: coveredBy(options),
    wanted: wantedBy(options),
  });
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
