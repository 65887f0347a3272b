import type { CallControl } from "../core/control.ts";
import { NO_WISHES } from "../core/control.ts";
import { OptionError } from "../core/errors.ts";
import { withHandler, withoutWishes } from "./config.ts";
import { PerfCallbackHandler, type RunSink } from "./handler.ts";
import { prepare } from "./install.ts";
import { asGenerator, isAsyncGenerator, kindOf, scopedGenerator } from "./patches.ts";
import { currentScope, inScope, rootScope, type PerfRuntime, type RunConfig, type Scope } from "./scope.ts";

/** What a wrapped object needs of its perf. */
export interface WrappingPerf extends PerfRuntime, RunSink {
  /** Whether somebody wants to know of every run of the tree: spans are recorded, or calls are listened to. */
  readonly observing: boolean;
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

const wrapped = new WeakMap<object, Wrapped<WrappingPerf>>();

/** The perf behind a wrapped object. */
export function perfBehind(object: object): WrappingPerf | undefined {
  return wrapped.get(object)?.perf;
}

/**
 * The same object to whoever looks: class, fields, names and types are the target's. Whatever its methods call runs in the
 * perf's scope, and what they return is wrapped in turn. Wrapped again, the last perf holds.
 */
export function wrap<T extends object>(target: T, perf: WrappingPerf): T {
  const inner = (wrapped.get(target)?.target ?? target) as T;
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
  return function (this: unknown, ...args: unknown[]): unknown {
    const self = this === proxy() ? target : this;
    const configAt = Object.hasOwn(RUNS, name) ? RUNS[name] : undefined;
    const release = STREAMS.has(name) ? new AbortController() : undefined;
    let scope: Scope | undefined;
    try {
      scope = enter(perf, configAt, args, release?.signal);
    } catch (error) {
      // What would have been a promise stays one.
      if (PLAIN.has(name) || name === "stream") return Promise.reject(error);
      throw error;
    }
    if (!scope) return method.apply(self, args);
    const result = inScope(scope, () => method.apply(self, args));
    return PLAIN.has(name) ? result : scopedResult(result, { scope, perf, release });
  };
}

/** The scope of a run that starts at a wrapped object; moves the caller's wishes out of the config into it. */
function enter(perf: WrappingPerf, configAt: number | undefined, args: unknown[], released: AbortSignal | undefined): Scope | undefined {
  const given = configAt === undefined ? undefined : args[configAt];
  const several = Array.isArray(given);
  const outer = outerControl(perf);
  const control = several ? outer : perf.controlFor(given as RunConfig | undefined, outer);
  const scope = rootScope(perf, control, released);
  if (!scope || configAt === undefined) return scope;
  if (several) {
    args[configAt] = given.map((config: RunConfig | undefined) => ownConfig(perf, config, { ...scope, control: perf.controlFor(config, outer) }));
  } else {
    const config = ownConfig(perf, given as RunConfig | undefined, scope);
    if (config !== given) args[configAt] = config;
  }
  return scope;
}

/** A nested wrapped object of the same perf keeps the wishes of the call around it. */
function outerControl(perf: WrappingPerf): CallControl {
  const around = currentScope();
  return around?.perf === perf ? around.control : NO_WISHES;
}

/** The config of one run: without our wishes, and with a handler where runs are observed or wishes must survive a lost context. */
function ownConfig(perf: WrappingPerf, config: RunConfig | undefined, scope: Scope): RunConfig | undefined {
  const own = withoutWishes(config);
  const isOurs = (handler: unknown): boolean => handler instanceof PerfCallbackHandler && handler.sink === perf;
  if (!perf.observing && scope.control === NO_WISHES) return own;
  return withHandler(own, new PerfCallbackHandler(perf, scope), isOurs);
}

interface Entered {
  readonly scope: Scope;
  readonly perf: WrappingPerf;
  readonly release: AbortController | undefined;
}

function scopedResult(result: unknown, entered: Entered): unknown {
  if (result instanceof Promise) return result.then((value) => scopedResult(value, entered));
  if (typeof result !== "object" || result === null) return result;
  if (result instanceof ReadableStream) return scopedStream(result, entered);
  if (isAsyncGenerator(result)) return releasable(result, entered);
  return rewrap(result, entered.perf);
}

/** A stream of the same class, with the same fields, whose every part is made inside the scope. */
function scopedStream(stream: ReadableStream, entered: Entered): ReadableStream {
  const { fromAsyncGenerator } = stream.constructor as unknown as { fromAsyncGenerator?: (generator: AsyncGenerator) => ReadableStream };
  const parts = releasable(partsOf(stream), entered);
  const scoped = fromAsyncGenerator ? fromAsyncGenerator.call(stream.constructor, parts) : (ReadableStream.from(parts) as ReadableStream);
  // LangGraph's subclass inherits a factory that makes the base class.
  if (scoped.constructor !== stream.constructor) Object.setPrototypeOf(scoped, Object.getPrototypeOf(stream) as object);
  for (const [field, value] of Object.entries(stream)) if (field !== "reader") (scoped as unknown as Record<string, unknown>)[field] = value;
  return scoped;
}

function partsOf(stream: ReadableStream): AsyncGenerator {
  const reader = stream.getReader();
  return asGenerator({
    next: () => reader.read() as Promise<IteratorResult<unknown>>,
    return: (value) => reader.cancel(value).then(() => ({ done: true, value: undefined })),
    throw: (error) => reader.cancel(error).then(() => Promise.reject(error)),
  });
}

/**
 * The generator in its scope. LangChain's generators queue a `return()` behind a part that may never come; here it first
 * releases the calls that wait, so that what they hold is free at once.
 */
function releasable(generator: AsyncGenerator, { scope, release }: Entered): AsyncGenerator {
  const parts = scopedGenerator(generator, scope);
  let pending = 0;
  const onEnd = (): void => {
    pending -= 1;
  };
  return asGenerator({
    next: () => {
      pending += 1;
      const part = parts.next();
      part.then(onEnd, onEnd);
      return part;
    },
    return: (value) => {
      if (pending > 0) release?.abort(new DOMException("The consumer closed the stream.", "AbortError"));
      return parts.return(value);
    },
    throw: (error) => {
      if (pending > 0) release?.abort(error);
      return parts.throw(error);
    },
  });
}
