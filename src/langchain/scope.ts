import { AsyncLocalStorage } from "node:async_hooks";
import { NO_WISHES, type CallControl } from "../core/control.ts";
import type { Engine } from "../core/engine.ts";
import type { KindName } from "../core/facts.ts";
import type { Attempt } from "../core/layer.ts";
import type { Provenance } from "../core/provenance.ts";

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
  /** Of the function whose result is being made here. */
  readonly within?: Provenance | undefined;
  /** What surrounds this leaf's own request. */
  readonly attempt?: Attempt | undefined;
  /** Whether a request around what runs here holds a permit. */
  readonly hasPermit?: boolean | undefined;
}

/** What surrounds the code that runs now. It holds no call, no facts and no parts: sockets and timers keep scopes alive. */
export interface Scope {
  readonly perf: PerfRuntime;
  readonly control: CallControl;
  readonly leaf: LeafMark | undefined;
  /** Aborts when the root stream of this scope is closed while it waits. */
  readonly released: AbortSignal | undefined;
  /** Keys of the answers that the root run has had so far. */
  readonly answered: string[] | undefined;
}

const STORAGE = Symbol.for("langchain-perf/scope@1");
const shared = globalThis as { [STORAGE]?: AsyncLocalStorage<Scope> };
const storage = (shared[STORAGE] ??= new AsyncLocalStorage<Scope>());

let off = false;

/**
 * `LANGCHAIN_PERF=off` turns everything into a pass-through. Looked up whenever something is wrapped or a `perf.run` begins, not
 * at each call: reading the environment takes longer than the rest of entering a scope.
 */
export function readSwitch(): void {
  off = process.env.LANGCHAIN_PERF === "off";
}

/** Whether everything is a pass-through, as the environment has it now. */
export function isSwitchedOff(): boolean {
  readSwitch();
  return off;
}

/** The scope around the code that runs now; one whose perf was closed meanwhile is none. */
export function currentScope(): Scope | undefined {
  const scope = storage.getStore();
  return scope?.perf.closed ? undefined : scope;
}

/** The wishes of the call around, if it is this perf's. */
export function outerControl(perf: PerfRuntime): CallControl {
  const around = currentScope();
  return around?.perf === perf ? around.control : NO_WISHES;
}

/** Runs `work` inside `scope`. */
export function inScope<T>(scope: Scope, work: () => T): T {
  return storage.run(scope, work);
}

/** A scope at the top of a program, or `undefined` when everything is switched off. */
export function rootScope(perf: PerfRuntime, control: CallControl, run: { released?: AbortSignal | undefined; answered?: string[] | undefined } = {}): Scope | undefined {
  if (perf.closed || off) return undefined;
  const outer = currentScope();
  // Keys held further out stay held: the outer call still waits for them.
  const leaf = outer?.leaf && outer.perf === perf ? outside(outer.leaf) : undefined;
  return { perf, control, leaf, released: either(run.released, outer?.released), answered: run.answered };
}

/** What remains of a leaf for a run that starts inside it. */
function outside({ held, within, hasPermit }: LeafMark): LeafMark {
  return { kind: undefined, held, within, hasPermit };
}

/** A stream inside a stream ends with either. */
function either(own: AbortSignal | undefined, outer: AbortSignal | undefined): AbortSignal | undefined {
  return own && outer ? AbortSignal.any([own, outer]) : (own ?? outer);
}

/** What a leaf is told of the call that it works for. */
export interface LeafWork {
  readonly kind: KindName;
  /** Set when others may wait for this call too: what it starts then ends with the last of them, not with the first one's stream. */
  readonly shared: { readonly key: string; readonly signal: AbortSignal | undefined } | undefined;
  readonly within?: Provenance | undefined;
  readonly attempt?: Attempt | undefined;
}

/** The scope of the real work of a call. */
export function leafScope(scope: Scope, { kind, shared, within = scope.leaf?.within, attempt }: LeafWork): Scope {
  const held = scope.leaf?.held ?? NOTHING_HELD;
  const mark = { kind, held: shared ? [...held, shared.key] : held, within, attempt, hasPermit: attempt?.hasPermit ?? scope.leaf?.hasPermit };
  return new LeafScope(scope, mark, shared ? shared.signal : scope.released);
}

/** The same scope with changes. */
export function changedScope(scope: Scope, changes: Partial<Scope>): Scope {
  const { perf, control, leaf, released, answered } = scope;
  return { perf, control, leaf, released, answered, ...changes };
}

/** The scope of a run that starts inside a leaf: calls in it are seen again. */
export function runScope(scope: Scope): Scope {
  return scope.leaf?.kind === undefined ? scope : changedScope(scope, { leaf: outside(scope.leaf) });
}

const NOTHING_HELD: readonly string[] = [];
const refs = new WeakMap<PerfRuntime, WeakRef<PerfRuntime>>();
/** Stands for a perf that nobody holds any more. */
const gone = { closed: true } as PerfRuntime;

/**
 * Inside a leaf connections are opened, and a connection that is kept alive keeps the scope in which it was opened: this one
 * does not keep its perf, with all its cache. While the call lasts, the engine that waits for it does.
 */
class LeafScope implements Scope {
  readonly control: CallControl;
  readonly leaf: LeafMark;
  readonly released: AbortSignal | undefined;
  readonly answered: string[] | undefined;
  readonly #perf: WeakRef<PerfRuntime>;

  constructor({ perf, control, answered }: Scope, leaf: LeafMark, released: AbortSignal | undefined) {
    let ref = refs.get(perf);
    if (!ref) refs.set(perf, (ref = new WeakRef(perf)));
    this.#perf = ref;
    this.control = control;
    this.leaf = leaf;
    this.released = released;
    this.answered = answered;
  }

  get perf(): PerfRuntime {
    return this.#perf.deref() ?? gone;
  }
}
