import { AsyncLocalStorage } from "node:async_hooks";
import type { CallControl } from "../core/control.ts";
import type { Engine } from "../core/engine.ts";
import type { KindName } from "../core/facts.ts";

/** What patched LangChain classes need of a perf. Its shape is part of the scope's version. */
export interface PerfRuntime {
  readonly engine: Engine;
  /** A closed perf is a pass-through. */
  readonly closed: boolean;
  /** The wishes of a call with this LangChain config, over those of the surrounding call. */
  controlFor(config: RunConfig | undefined, outer: CallControl): CallControl;
  /** Runs `work` so that HTTP requests made in it are shown below this run. */
  within<T>(runId: string | undefined, work: () => T): T;
}

/** As much of LangChain's RunnableConfig as this room reads. */
export interface RunConfig {
  callbacks?: unknown;
  configurable?: Record<string, unknown>;
  signal?: AbortSignal;
}

/** The leaf inside which code runs: the calls of the same kind that it makes are its own affair. */
export interface LeafMark {
  /** `undefined` once the code inside has started a run of its own. */
  readonly kind: KindName | undefined;
  /** Keys of the calls that wait for what runs here. */
  readonly held: readonly string[];
}

/** What surrounds the code that runs now. It holds no call, no facts and no parts: sockets and timers keep scopes alive. */
export interface Scope {
  readonly perf: PerfRuntime;
  readonly control: CallControl;
  readonly leaf: LeafMark | undefined;
  /** Aborts when the root stream of this scope is closed while it waits. */
  readonly released: AbortSignal | undefined;
}

const STORAGE = Symbol.for("langchain-perf/scope@1");
const shared = globalThis as { [STORAGE]?: AsyncLocalStorage<Scope> };
const storage = (shared[STORAGE] ??= new AsyncLocalStorage<Scope>());

/** `LANGCHAIN_PERF=off` turns everything into a pass-through; read at each entry, so that it can be changed at run time. */
function isOff(): boolean {
  return process.env.LANGCHAIN_PERF === "off";
}

export function currentScope(): Scope | undefined {
  return storage.getStore();
}

/** Runs `work` inside `scope`. */
export function inScope<T>(scope: Scope, work: () => T): T {
  return storage.run(scope, work);
}

/** A scope at the top of a program, or `undefined` when everything is switched off. */
export function rootScope(perf: PerfRuntime, control: CallControl, released?: AbortSignal): Scope | undefined {
  if (perf.closed || isOff()) return undefined;
  const outer = currentScope();
  // Keys held further out stay held: the outer call still waits for them.
  const leaf = outer?.leaf && outer.perf === perf ? { kind: undefined, held: outer.leaf.held } : undefined;
  return { perf, control, leaf, released: released ?? outer?.released };
}

/** The scope of the real work of a call of this kind. */
export function leafScope(scope: Scope, kind: KindName, key: string | undefined): Scope {
  const held = scope.leaf?.held ?? [];
  return { ...scope, leaf: { kind, held: key === undefined ? held : [...held, key] } };
}

/** The scope of a run that starts inside a leaf: calls in it are seen again. */
export function runScope(scope: Scope): Scope {
  return scope.leaf?.kind === undefined ? scope : { ...scope, leaf: { kind: undefined, held: scope.leaf.held } };
}
