import { Assembly, type AssemblyHost } from "./assembly.ts";
import { systemClock, type Alarm } from "./core/clock.ts";
import { resolveControl, type CallControl, type CallWishes } from "./core/control.ts";
import { ignore } from "./core/abort.ts";
import { withDeadline } from "./core/deadline.ts";
import type { Engine } from "./core/engine.ts";
import { OptionError, type StoreError } from "./core/errors.ts";
import { Events, type PerfEvents } from "./events.ts";
import type { CallFacts, TierName } from "./core/facts.ts";
import { isRecord, resolveWith } from "./core/options.ts";
import type { RunTracer } from "./core/runs.ts";
import { warn } from "./core/warn.ts";
import { cachedFunction, type CachedOptions } from "./langchain/cached.ts";
import { PerfCallbackHandler, type RunSink } from "./langchain/handler.ts";
import { install } from "./langchain/install.ts";
import type { WrappingPerf } from "./langchain/proxy.ts";
import { inScope, outerControl, rootScope, type RunConfig } from "./langchain/scope.ts";
import type { PerfCache } from "./layers/cache/admin.ts";
import type { RunGate } from "./layers/limit/run-gate.ts";
import type { DeploymentStatus } from "./layers/route/status.ts";
import { mapInputs, type MapOptions, type MapResult } from "./map.ts";
import type { Deployment, OpenRouting } from "./open-routing.ts";
import { resolveOptions, type PerfOptions } from "./options.ts";
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
  /** How every deployment of `routing` is: circuit, load, latency, errors, quota left. */
  deployments(): DeploymentStatus[];
  /**
   * One deployment more, from the next call on.
   * @param options `pool`: which of several `routing`s it joins, from 0. @default 0
   * @throws OptionError
   */
  addDeployment(deployment: Deployment, options?: { pool?: number }): void;
  /**
   * One deployment less: no new call is asked there, and those under way end as they would have.
   * @returns when the last one has ended
   * @throws OptionError for an id that no deployment has
   */
  drainDeployment(id: string): Promise<void>;
  /**
   * Exchanges options, each named one as a whole (`undefined` takes it away), without dropping a call: those that run end with the layers they began with, all later ones
   * have the new ones. What is not named goes on as it was, with all that it has kept and counted; deployments whose `id` and `model` stay keep what is known of them.
   * @throws OptionError, and then nothing has changed
   */
  reconfigure(changes: Partial<PerfOptions>): Promise<void>;
  /** Hears of every call that ends, every failure of a tier, every change of a circuit, or of what somebody should see to. @returns a function that ends the hearing */
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

/** What was exchanged, and has calls that run, holds up the end for so long. */
const RETIRED_TIMEOUT_MS = 1_000;
const MARK = Symbol.for("langchain-perf/perf@1");

class LangChainPerf implements Perf, WrappingPerf {
  readonly [MARK] = true;
  readonly clock: Alarm;
  readonly #window: StatsWindow;
  readonly #events: Events;
  readonly #warned = new Set<TierName>();
  readonly #host: AssemblyHost;
  /** The options as they were given. */
  #given: PerfOptions;
  #now: Assembly;
  #handler: PerfCallbackHandler;
  readonly #forget = (keys: readonly string[]): void => this.#now.cache?.forget(keys);
  /** Settles when all that was exchanged has ended its calls. */
  #retired: Promise<unknown> = Promise.resolve();
  closed = false;

  constructor(given: PerfOptions, clock: Alarm) {
    const options = resolveOptions(given);
    this.#given = given;
    this.clock = clock;
    this.#events = new Events(options.name);
    this.#window = new StatsWindow(clock);
    this.#host = {
      clock,
      events: this.#events,
      engine: () => this.#now.engine,
      pricing: () => this.#now.options.pricing,
      waitUntil: (work) => (this.#now ?? { options }).options.waitUntil(work),
      run: (work) => this.run(work),
      failed: (tier, error) => this.#storeFailed(tier, error),
      finished: (facts, elapsed) => this.finished(facts, elapsed),
    };
    this.#now = new Assembly(options, this.#host);
    this.#handler = new PerfCallbackHandler(this as RunSink);
  }

  get name(): string {
    return this.#now.options.name;
  }

  get engine(): Engine {
    return this.#now.engine;
  }

  get tracer(): RunTracer {
    return this.#now.tracer;
  }

  get cache(): PerfCache {
    return this.#now.admin;
  }

  get handler(): PerfCallbackHandler {
    return this.#handler;
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
    const wished = wishes === undefined ? outer : resolveControl(wishes, outer, this.clock.elapsed());
    const control = this.#now.options.routing.length > 0 ? inSession(wished, config) : wished;
    const { tenantOf } = this.#now;
    if (!tenantOf || (control.tenant !== undefined && !control.tenantDerived)) return control;
    const { tenant: outerTenant, tenantDerived: _derived, ...underived } = control;
    const tenant = tenantOf(underived, config ?? {}) ?? outerTenant;
    return tenant === outerTenant ? control : { ...control, tenant, tenantDerived: true };
  }

  get forget(): ((keys: readonly string[]) => void) | undefined {
    return this.#now.options.cache && this.#forget;
  }

  within<T>(runId: string | undefined, work: () => T): T {
    return this.tracer.active ? this.tracer.within(runId, work) : work();
  }

  finished(facts: CallFacts, elapsed = this.clock.elapsed()): void {
    const { cache, routing, tracer, options: { pricing } } = this.#now;
    const price = routing?.priceOf(facts);
    if (price || pricing.size > 0) addCost(facts, pricing, price);
    this.#window.add(facts, elapsed);
    cache?.layers.heard(facts);
    if (tracer.active) tracer.annotate(facts);
    if (this.#events.isHeard("call")) this.#events.tell("call", facts);
  }

  #storeFailed(tier: TierName, error: StoreError): void {
    this.#events.tell("store-error", { tier, operation: error.operation, error, at: this.clock.now() });
    // An entry that cannot be read or written says nothing of its tier: a key was exchanged, say, or a result is no plain data.
    if (error.operation === "decode" || error.operation === "encode" || this.#warned.has(tier)) return;
    this.#warned.add(tier);
    warn(`the ${tier} tier of perf "${this.name}" fails and is gone without until it recovers (said once; the event "store-error" has every failure)`, error.message);
  }

  stats(): PerfSnapshot {
    const { limits } = this.#now;
    const status = limits?.status() ?? [];
    return { ...this.#window.snapshot(), ...(status.length > 0 ? { limits: status } : {}) };
  }

  deployments(): DeploymentStatus[] {
    return this.#now.routing?.deployments() ?? [];
  }

  addDeployment(deployment: Deployment, options: { pool?: number } = {}): void {
    this.#routing.add(deployment, resolveWith("addDeployment", options, (read) => read.number("pool", { default: 0, min: 0, integer: true })));
  }

  async drainDeployment(id: string): Promise<void> {
    await this.#routing.drain(id);
  }

  get #routing(): OpenRouting {
    const { routing } = this.#now;
    if (!routing) throw new OptionError("routing", "deployments, so that there can be one more or one less", undefined);
    return routing;
  }

  get gate(): RunGate | undefined {
    const { limits, options } = this.#now;
    return options.rateLimit && limits?.gate;
  }

  on<E extends keyof PerfEvents>(event: E, listener: (event: PerfEvents[E]) => void): () => void {
    return this.#events.on(event, listener);
  }

  async reconfigure(changes: Partial<PerfOptions>): Promise<void> {
    if (this.closed) throw new OptionError("reconfigure", "a perf that is not closed", this.name);
    if (!isRecord(changes)) throw new OptionError("reconfigure", "an object of options", changes);
    const given = { ...this.#given, ...changes };
    const before = this.#now;
    this.#now = new Assembly(resolveOptions(given), this.#host, before, new Set(Object.keys(changes) as (keyof PerfOptions)[]));
    this.#given = given;
    if (this.gate !== this.#handler.gate) this.#handler = new PerfCallbackHandler(this as RunSink);
    const successor = this.#now;
    // In order: what one goes on with it may share with those before it.
    this.#retired = Promise.all([this.#retired, before.engine.idle()]).then(() => before.close(successor)).catch((error: unknown) => warn("what was exchanged was not closed", error));
  }

  async flush(): Promise<void> {
    await this.#now.cache?.layers.flush();
  }

  async close(): Promise<void> {
    this.closed = true;
    await this.#now.close();
    await withDeadline(this.#retired, RETIRED_TIMEOUT_MS, "it goes on by itself", false).catch(ignore);
    this.#events.clear();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** The conversation that a run belongs to, as LangGraph calls it, where nobody wished for another. */
function inSession(control: CallControl, config: RunConfig | undefined): CallControl {
  const thread = config?.configurable?.thread_id;
  return control.session !== undefined || typeof thread !== "string" || thread === "" ? control : { ...control, session: thread };
}

/**
 * A perf with these options. An absent option is an absent layer; no options at all are
 * `{ cache: true, coalesce: true, trace: true }`.
 * @throws OptionError for an unknown option, a wrong type or a value out of range
 */
export function createPerf(options: PerfOptions = { cache: true, coalesce: true, trace: true }): Perf {
  return new LangChainPerf(options, systemClock);
}

/** Whether a value is a perf, made by whichever copy of the package. */
export function isPerf(value: unknown): value is Perf & WrappingPerf {
  return typeof value === "object" && value !== null && MARK in value;
}
