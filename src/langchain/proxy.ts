import { NO_WISHES } from "../core/control.ts";
import { OptionError } from "../core/errors.ts";
import { failedCall } from "../core/engine.ts";
import { carriedScope, inheriting, withHandler, withoutWishes } from "./config.ts";
import { PerfCallbackHandler, type RunSink } from "./handler.ts";
import { prepare } from "./install.ts";
import { kindOf } from "./patches.ts";
import { isAsyncGenerator, keptGenerator, keptStream, type StreamKeeper } from "./streams.ts";
import { changedScope, inScope, outerControl, rootScope, type PerfRuntime, type RunConfig, type Scope } from "./scope.ts";

/** What a wrapped object needs of its perf. */
export interface WrappingPerf extends PerfRuntime, RunSink {
  /** Whether somebody wants to know of every run of the tree: spans are recorded, or calls are listened to. */
  readonly observing: boolean;
  /** Drops answers from the cache; absent where there is none. */
  readonly forget: ((keys: readonly string[]) => void) | undefined;
}

/** Methods that run something, and where their config stands. */
const RUNS: Readonly<Record<string, number>> = {
  invoke: 1, batch: 1, stream: 1, streamEvents: 1, streamLog: 1, transform: 1, streamV2: 1,
  generate: 1, generatePrompt: 1, call: 1, similaritySearch: 3, similaritySearchWithScore: 3,
};
/** Methods whose result is read part by part. */
const STREAMS = new Set(["stream", "streamEvents", "streamLog", "transform", "streamV2"]);
/** Methods whose promise is already what the caller gets: no stream and nothing to wrap in it. */
const PLAIN = new Set(["invoke", "batch", "generate", "generatePrompt", "call", "embedQuery", "embedDocuments", "similaritySearch", "similaritySearchWithScore"]);

interface Wrapped<P extends WrappingPerf> {
  readonly target: object;
  readonly perf: P;
}

// Shared by all copies of this package in the process: what one has wrapped, another must not wrap around.
const WRAPPED = Symbol.for("langchain-perf/wrapped@1");
const shared = globalThis as { [WRAPPED]?: WeakMap<object, Wrapped<WrappingPerf>> };
const wrapped = (shared[WRAPPED] ??= new WeakMap<object, Wrapped<WrappingPerf>>());

/** The perf behind a wrapped object. */
export function perfBehind(object: object): WrappingPerf | undefined {
  return wrapped.get(object)?.perf;
}

/** The object itself, where it is a wrapped one. */
export function unwrapped(object: object): object {
  return wrapped.get(object)?.target ?? object;
}

/**
 * The same object to whoever looks: class, fields, names and types are the target's. Whatever its methods call runs in the
 * perf's scope, and what they return is wrapped in turn. Wrapped again, the last perf holds.
 */
export function wrap<T extends object>(target: T, perf: WrappingPerf): T {
  const inner = unwrapped(target) as T;
  if (!isWrappable(inner)) {
    throw new OptionError("withPerf", "a Runnable, agent, graph, model, embeddings, retriever, vector store or tool of LangChain", target);
  }
  prepare(inner);
  return proxyOf(inner, perf);
}

function isWrappable(value: unknown): value is object {
  if (typeof value !== "object" || value === null) return false;
  if ((value as { lc_runnable?: unknown }).lc_runnable === true || kindOf(value) !== undefined) return true;
  const { graph, invoke } = value as { graph?: unknown; invoke?: unknown };
  return typeof invoke === "function" && typeof graph === "object" && graph !== null;
}

const proxies = new WeakMap<WrappingPerf, WeakMap<object, object>>();

function proxyOf<T extends object>(target: T, perf: WrappingPerf): T {
  let known = proxies.get(perf);
  if (!known) proxies.set(perf, (known = new WeakMap()));
  const existing = known.get(target);
  if (existing) return existing as T;
  const methods = new Map<PropertyKey, { original: unknown; scoped: unknown }>();
  const proxy: T = new Proxy(target, {
    get(_target, property) {
      const value: unknown = Reflect.get(target, property, target);
      if (typeof value === "function") {
        if (property === "constructor" || !isMethod(target, property)) return value;
        const before = methods.get(property);
        if (before?.original === value) return before.scoped;
        const scoped = scopedMethod(value as Method, String(property), () => proxy, target, perf);
        methods.set(property, { original: value, scoped });
        return scoped;
      }
      return isFixed(target, property) ? value : rewrap(value, perf);
    },
    set: (_target, property, value) => Reflect.set(target, property, value, target),
  });
  known.set(target, proxy);
  wrapped.set(proxy, { target, perf });
  return proxy;
}

type Method = (this: unknown, ...args: unknown[]) => unknown;

/** A function that is mere data of the object (a callback, a test's spy on something else) is handed out as it is. */
function isMethod(target: object, property: PropertyKey): boolean {
  if (!Object.hasOwn(target, property)) return true;
  return typeof property === "string" && (property in RUNS || PLAIN.has(property));
}

/** A proxy must report a fixed property as it is. */
function isFixed(target: object, property: PropertyKey): boolean {
  const descriptor = Reflect.getOwnPropertyDescriptor(target, property);
  return descriptor !== undefined && !descriptor.configurable && !descriptor.writable;
}

function rewrap(value: unknown, perf: WrappingPerf): unknown {
  return isWrappable(value) && !wrapped.has(value) ? proxyOf(value, perf) : value;
}

function scopedMethod(method: Method, name: string, proxy: () => object, target: object, perf: WrappingPerf): Method {
  const configAt = Object.hasOwn(RUNS, name) ? RUNS[name] : undefined;
  const plain = PLAIN.has(name);
  const streams = STREAMS.has(name);
  return function (this: unknown, ...args: unknown[]): unknown {
    const self = this === proxy() ? target : this;
    const release = streams ? new AbortController() : undefined;
    let scope: Scope | undefined;
    try {
      scope = enter(perf, configAt, args, { released: release?.signal, answered: perf.forget && configAt !== undefined ? [] : undefined });
    } catch (error) {
      // What would have been a promise stays one.
      if (plain || name === "stream") return Promise.reject(error);
      throw error;
    }
    if (!scope) return method.apply(self, args);
    const result = inScope(scope, () => method.apply(self, args));
    if (plain && !perf.forget) return result;
    const entered = new Entered(scope, perf, release);
    const heard = perf.forget && result instanceof Promise ? result.catch((error: unknown) => entered.refuse(error)) : result;
    return plain ? heard : scopedResult(heard, entered);
  };
}

/** The scope of a run that starts at a wrapped object; moves the caller's wishes out of the config into it. */
function enter(perf: WrappingPerf, configAt: number | undefined, args: unknown[], run: Parameters<typeof rootScope>[2]): Scope | undefined {
  const given = configAt === undefined ? undefined : args[configAt];
  const several = Array.isArray(given);
  const outer = outerControl(perf);
  const control = several ? outer : perf.controlFor(given as RunConfig | undefined, outer);
  const scope = rootScope(perf, control, run);
  if (configAt === undefined) return scope;
  if (!scope) {
    if (given !== undefined) args[configAt] = several ? given.map(withoutWishes) : withoutWishes(given as RunConfig);
    return undefined;
  }
  if (several) {
    args[configAt] = given.map((config: RunConfig | undefined) => ownConfig(perf, config, changedScope(scope, { control: perf.controlFor(config, outer) })));
  } else {
    const config = ownConfig(perf, given as RunConfig | undefined, scope);
    if (config !== given) args[configAt] = config;
  }
  return scope;
}

/** The config of one run: without our wishes, and with a handler where runs are observed or wishes must survive a lost context. */
function ownConfig(perf: WrappingPerf, config: RunConfig | undefined, scope: Scope): RunConfig | undefined {
  const own = withoutWishes(config);
  const isOurs = (handler: unknown): boolean => (handler as Partial<PerfCallbackHandler>).sink === perf;
  // Callbacks that carry another perf's scope would take this program's calls back to it.
  const foreign = carriedScope(inheriting(own));
  if (!perf.observing && scope.control === NO_WISHES && (foreign === undefined || foreign.perf === perf)) return own;
  return withHandler(own, new PerfCallbackHandler(perf, scope), isOurs);
}

/** A root run that has been entered. */
class Entered implements StreamKeeper {
  readonly scope: Scope;
  readonly perf: WrappingPerf;
  readonly release: AbortController | undefined;

  constructor(scope: Scope, perf: WrappingPerf, release: AbortController | undefined) {
    this.scope = scope;
    this.perf = perf;
    this.release = release;
  }

  refuse(error: unknown): never {
    this.failed(error);
    throw error;
  }

  /** A program that fails by itself, e.g. because its parser refuses, could not use its answers: they must not answer it the next time. */
  failed(error: unknown): void {
    if (!isCallsOwn(error)) this.perf.forget?.(this.scope.answered ?? []);
  }
}

/** An error that a call itself ended with, or somebody's wish to end it. */
function isCallsOwn(error: unknown): boolean {
  const { name } = (error ?? {}) as { name?: unknown };
  return failedCall(error) || name === "AbortError" || name === "TimeoutError";
}

function scopedResult(result: unknown, entered: Entered): unknown {
  if (result instanceof Promise) return result.then((value) => scopedResult(value, entered));
  if (typeof result !== "object" || result === null) return result;
  if (result instanceof ReadableStream) return keptStream(result, entered.scope, entered);
  if (isAsyncGenerator(result)) return keptGenerator(result, entered.scope, () => entered);
  return rewrap(result, entered.perf);
}
