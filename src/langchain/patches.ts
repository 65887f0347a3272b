import { AsyncResource } from "node:async_hooks";
import { awaitMessageStream, carriedScope, recarried, withoutWishes } from "./config.ts";
import { interceptLeaf, LEAVES, type LeafKind } from "./leaves.ts";
import { ownerOf } from "./prototypes.ts";
import { generatorIn, isAsyncGenerator, scopedGenerator, scopedStreams } from "./streams.ts";
import { changedScope, currentScope, inScope, runScope, type RunConfig, type Scope } from "./scope.ts";

type Method = (this: object, ...args: unknown[]) => unknown;

/** What one process, however many copies of this package it holds, has patched so far. */
interface Registry {
  /** Prototypes of LangChain's base classes: their own leaves are defaults, never patched. */
  readonly bases: WeakSet<object>;
  /** Functions that are already ours. */
  readonly ours: WeakSet<object>;
  /** Classes whose leaves have been seen to, by prototype. */
  readonly ready: WeakMap<object, ReadyClass>;
}

interface ReadyClass {
  /** The leaves as they were when they had been seen to. */
  readonly leaves: readonly (readonly [method: string, leaf: unknown])[];
  readonly isModel: boolean;
}

const REGISTRY = Symbol.for("langchain-perf/patches@1");
const shared = globalThis as { [REGISTRY]?: Registry };
const registry: Registry = (shared[REGISTRY] ??= { bases: new WeakSet(), ours: new WeakSet(), ready: new WeakMap() });

/** What an object is to us, judged by its shape: classes of another copy of LangChain are as good. */
export function kindOf(object: object): LeafKind | "vectorstore" | undefined {
  const shape = object as Record<string, unknown>;
  if (typeof shape._modelType === "function") return typeof shape._llmType !== "function" ? undefined : (shape._modelType as () => string)().includes("chat") ? "chat" : "llm";
  if (typeof shape.embedQuery === "function" && typeof shape.embedDocuments === "function") return "embeddings";
  if (typeof shape._getRelevantDocuments === "function") return "retriever";
  if (typeof shape.similaritySearch === "function" && typeof shape.addDocuments === "function") return "vectorstore";
  if (typeof shape._call === "function" && "schema" in shape && typeof shape.invoke === "function") return "tool";
  return undefined;
}

/** Makes sure that the object's calls are seen: its class's leaves, and the embeddings that it uses. */
export function ensureLeaves(object: object): void {
  const ready = registry.ready.get(Object.getPrototypeOf(object) as object);
  if (!ready || !isAsItWas(object, ready.leaves)) patchLeaves(object);
  // A model has none, and looking for what is not there takes longest: this is asked at each call.
  if (!ready?.isModel) ensureEmbeddingsOf(object);
}

function patchLeaves(object: object): void {
  const kind = kindOf(object);
  if (kind === undefined || kind === "vectorstore") return;
  const methods = Object.keys(LEAVES[kind]);
  const prototype = Object.getPrototypeOf(object) as Record<string, unknown>;
  for (const owner of [prototype, object]) for (const method of methods) patchLeaf(owner, kind, method);
  registry.ready.set(prototype, { leaves: methods.map((method) => [method, prototype[method]]), isModel: kind === "chat" || kind === "llm" });
}

function ensureEmbeddingsOf(object: object): void {
  const { vectorStore, embeddings } = object as { vectorStore?: { embeddings?: object }; embeddings?: object };
  if (vectorStore?.embeddings) ensureLeaves(vectorStore.embeddings);
  if (embeddings && typeof embeddings === "object") ensureLeaves(embeddings);
}

/** A leaf that is not as it was is a test's spy or a user's override: on the instance itself, or put on its class later. */
function isAsItWas(object: object, leaves: ReadyClass["leaves"]): boolean {
  for (const [method, leaf] of leaves) if ((object as Record<string, unknown>)[method] !== leaf) return false;
  return true;
}

function patchLeaf(object: object, kind: LeafKind, method: string): void {
  const owner = ownerOf(object, method);
  if (!owner || registry.bases.has(owner)) return;
  const original = (owner as Record<string, unknown>)[method] as Method;
  if (registry.ours.has(original)) return;
  const intercepted = interceptLeaf(kind, method, original);
  // A function with properties keeps its face: a spy must still answer for its calls.
  const replacement = Object.keys(original).length > 0 ? new Proxy(original, { apply: (_target, self, args) => intercepted.apply(self as object, args) }) : intercepted;
  replaceMethod(owner, method, replacement);
}

function replaceMethod(owner: object, method: string, replacement: Method): void {
  registry.ours.add(replacement);
  Object.defineProperty(owner, method, { value: replacement, writable: true, configurable: true, enumerable: Object.prototype.propertyIsEnumerable.call(owner, method) });
}

/** The scope in which a run with this config belongs: what its callbacks carry beats what surrounds it, its own wishes beat both. */
function scopeOfRun(config: RunConfig | undefined): Scope | undefined {
  const scope = carriedScope(config) ?? currentScope();
  if (!scope) return undefined;
  const control = config?.configurable ? scope.perf.controlFor(config, scope.control) : scope.control;
  return runScope(control === scope.control ? scope : changedScope(scope, { control }));
}

/** A trampoline: patched on LangChain's base class, it sees to the concrete class and enters the run's scope. */
function trampoline(original: Method, method: string, configAt: number): Method {
  const asksModel = method === "generate" || method === "_streamIterator";
  return function (this: object, ...args: unknown[]): unknown {
    const config = args[configAt] as RunConfig | undefined;
    let scope: Scope | undefined;
    try {
      scope = scopeOfRun(config);
    } catch (error) {
      // What would have been a promise stays one.
      if (method.startsWith("_stream") || method === "streamEvents") throw error;
      return Promise.reject(error);
    }
    if (!scope) return original.apply(this, args);
    ensureLeaves(this);
    if (asksModel) awaitMessageStream(config);
    if (config?.configurable?.perf !== undefined) args[configAt] = withoutWishes(config);
    if (scope === currentScope()) return original.apply(this, args);
    const result = inScope(scope, () => original.apply(this, args));
    return isAsyncGenerator(result) ? scopedGenerator(result, scope) : result;
  };
}

/** LangChain's base classes that are patched, by the name under which core exports them: method → position of its config. */
const TRAMPOLINES: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  BaseChatModel: { generate: 1, _streamIterator: 1, streamEvents: 1 },
  BaseLLM: { generate: 1, _streamIterator: 1 },
  BaseRetriever: { invoke: 1 },
  VectorStore: { similaritySearch: 3, similaritySearchWithScore: 3 },
  StructuredTool: { call: 1 },
  RunnableLambda: { invoke: 1 },
};

/** Attempts after the first, by the config that `RunnableRetry` makes for them. */
const laterAttempts = new WeakSet<object>();

/** Patches the classes among `exports` of one copy of LangChain's core, once. */
export function patchCore(exports: Readonly<Record<string, unknown>>): void {
  for (const [name, methods] of Object.entries(TRAMPOLINES)) {
    const prototype = prototypeOf(exports[name]);
    if (!prototype) continue;
    registry.bases.add(prototype);
    for (const [method, configAt] of Object.entries(methods)) patchOnce(prototype, method, (original) => trampoline(original, method, configAt));
  }
  patchLambda(prototypeOf(exports.RunnableLambda));
  patchRetry(prototypeOf(exports.RunnableRetry), prototypeOf(exports.RunnableBinding));
  patchFallbacks(prototypeOf(exports.RunnableWithFallbacks));
  if (typeof exports.IterableReadableStream === "function") patchOnce(exports.IterableReadableStream, "fromAsyncGenerator", scopedStreams);
  const caller = prototypeOf(exports.AsyncCaller);
  if (caller) patchOnce(caller, "callWithRetries", retriedOutside);
}

function prototypeOf(exported: unknown): object | undefined {
  return typeof exported === "function" ? (exported.prototype as object) : undefined;
}

function patchOnce(prototype: object, method: string, make: (original: Method) => Method): void {
  const original = (prototype as Record<string, unknown>)[method];
  if (typeof original !== "function" || registry.ours.has(original)) return;
  replaceMethod(prototype, method, make(original as Method));
}

/** A user's function has no leaf of its own: what it starts (a request, a bare embedding) belongs below its run's span. */
function patchLambda(lambda: object | undefined): void {
  if (!lambda) return;
  patchOnce(lambda, "_invoke", (original) => function (...args) {
    const scope = currentScope();
    const { runId } = (args[2] ?? {}) as { runId?: string };
    return scope && runId !== undefined ? scope.perf.within(runId, () => original.apply(this, args)) : original.apply(this, args);
  });
  patchOnce(lambda, "_transform", (original) => function (...args) {
    const scope = currentScope();
    const { runId } = (args[1] ?? {}) as { runId?: string };
    const parts = original.apply(this, args) as AsyncGenerator;
    return scope && runId !== undefined ? generatorIn(parts, (work) => scope.perf.within(runId, work)) : parts;
  });
}

/** A retry by the user's own code must not be answered with what it has just refused. */
function patchRetry(retry: object | undefined, binding: object | undefined): void {
  if (!retry || !binding) return;
  patchOnce(retry, "_patchConfigForRetry", (original) => function (attempt, ...rest) {
    const config = original.call(this, attempt, ...rest);
    if ((attempt as number) > 1 && currentScope()) laterAttempts.add(config as object);
    return config;
  });
  for (const method of ["invoke", "batch"]) {
    patchOnce(binding, method, (original) => function (...args) {
      const scope = currentScope();
      const config = Array.isArray(args[1]) ? (args[1][0] as unknown) : args[1];
      if (!scope || !config || !laterAttempts.has(config as object) || scope.control.cache !== "use") return original.apply(this, args);
      const again = changedScope(scope, { control: { ...scope.control, cache: "refresh" } });
      args[1] = Array.isArray(args[1]) ? args[1].map((one: RunConfig) => recarried(one, again)) : recarried(config as RunConfig, again);
      return inScope(again, () => original.apply(this, args));
    });
  }
}

interface Runnable {
  invoke: Method;
  stream: Method;
  batch: Method;
}

/** All but the last of a fallback's runnables have a substitute: their calls need not wait. */
function patchFallbacks(fallbacks: object | undefined): void {
  if (!fallbacks) return;
  patchOnce(fallbacks, "runnables", (original) => function* () {
    const runnables = [...(original.call(this) as Iterable<Runnable>)];
    const last = runnables.pop();
    for (const runnable of runnables) yield currentScope() ? substitutable(runnable) : runnable;
    yield last;
  });
}

function substitutable(runnable: Runnable): Runnable {
  const hurried = (method: keyof Runnable): Method => (input, config, ...rest) => {
    const scope = currentScope();
    if (!scope) return runnable[method](input, config, ...rest);
    const inner = changedScope(scope, { control: { ...scope.control, hasSubstitute: true } });
    const carried = Array.isArray(config) ? config.map((one: RunConfig) => recarried(one, inner)) : recarried(config as RunConfig, inner);
    return inScope(inner, () => runnable[method](input, carried, ...rest));
  };
  return { invoke: hurried("invoke"), stream: hurried("stream"), batch: hurried("batch") };
}

interface Caller {
  readonly maxConcurrency?: number;
  onFailedAttempt?(error: unknown): unknown;
}

/**
 * A queue runs its jobs in the context of whoever set it going: a queued job keeps its own. And where a layer makes failed requests again, the caller tells it of
 * failures and does nothing of its own: otherwise a permit would be held while the caller waits, and not asked for when it tries again.
 */
function retriedOutside(original: Method): Method {
  return function (this: Caller, retries, callable, args) {
    const scope = currentScope();
    if (!scope) return original.call(this, retries, callable, args);
    const job = this.maxConcurrency === Infinity ? callable : AsyncResource.bind(callable as () => unknown);
    const { attempt } = scope.leaf ?? {};
    if (!attempt?.failed) return original.call(this, retries, job, args);
    // What is no number of times stays none, so that the caller says so.
    return original.call(telling(this, (error) => attempt.failed?.(error, retries as number)), Math.min(0, retries as number), job, args);
  };
}

/** The same caller, which tells of each failure that it, or the user's handler, does not take for final. */
function telling(caller: Caller, failed: (error: unknown) => void): Caller {
  const onFailedAttempt = async (error: unknown): Promise<void> => {
    try {
      await caller.onFailedAttempt?.(error);
    } catch (final) {
      if (isBareRefusal(final)) failed(final);
      throw final;
    }
    if (!(error instanceof TypeError) || FETCH_FAILURES.has(error.message)) failed(error);
  };
  return Object.create(caller, { onFailedAttempt: { value: onFailedAttempt } }) as Caller;
}

/** Messages of the TypeErrors that are Node's `fetch`'s: any other is a program's mistake, and LangChain's caller does not try again. */
const FETCH_FAILURES: ReadonlySet<string> = new Set(["fetch failed", "terminated"]);

/** A 429 that does not say when to come back is final to LangChain; but here the limits have learned from it. */
function isBareRefusal(error: unknown): boolean {
  return (error as { rateLimitReason?: unknown } | null)?.rateLimitReason === "headerless_429";
}
