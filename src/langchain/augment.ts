import Module from "node:module";
import { fileURLToPath } from "node:url";
import { getCallSites } from "node:util";
import { Runnable } from "@langchain/core/runnables";

/** What `.withPerf(perf)` does with the object that it is called on. */
export type Wrap = (target: object, perf: never) => object;

const METHOD = "withPerf";
/** The copies of core whose `isRunnable` is watched, whichever copy of this package watches it. */
const WATCHED = Symbol.for("langchain-perf/register@1");
const shared = globalThis as { [WATCHED]?: WeakSet<object> };
const watched = (shared[WATCHED] ??= new WeakSet());

/** Gives `.withPerf()` to every Runnable and every agent: of this package's own copy of core, and of CommonJS ones that somebody required. */
export function augment(wrap: Wrap): void {
  augmentCore(Runnable, wrap);
  for (const exports of requiredCores()) {
    const { Runnable: required } = exports as { Runnable?: typeof Runnable };
    if (typeof required === "function") augmentCore(required, wrap);
  }
}

function augmentCore(runnable: typeof Runnable, wrap: Wrap): void {
  addMethod(runnable.prototype, wrap);
  watchForAgents(runnable, wrap);
}

function addMethod(prototype: object, wrap: Wrap): void {
  if (Object.hasOwn(prototype, METHOD)) return;
  const value = function withPerf(this: object, perf?: unknown): object {
    return wrap(this, perf as never);
  };
  Object.defineProperty(prototype, METHOD, { value, writable: true, configurable: true, enumerable: false });
}

function requiredCores(): unknown[] {
  const { _cache: cache = {} } = Module as unknown as { _cache?: Record<string, { exports?: unknown }> };
  const files = Object.keys(cache).filter((file) => /[\\/]@langchain[\\/]core[\\/]dist[\\/]runnables[\\/]index\.cjs$/.test(file));
  return files.map((file) => cache[file]?.exports ?? {});
}

/**
 * `ReactAgent`, the class of `createAgent`'s agents, is no Runnable, is not exported, and `langchain` may be absent or unused: importing
 * it here would cost a quarter of a second. But whoever creates an agent builds a graph of nodes of langchain's own classes, and the graph
 * asks core about each of them: `Runnable.isRunnable(node)`. When it asks about a class for the first time and langchain is among the
 * callers, then langchain is loaded, its file is known, and requiring that file again yields the very copy that is creating the agent.
 * In a bundle there is no such file: there, `withPerf(agent)` is the way.
 */
function watchForAgents(runnable: typeof Runnable, wrap: Wrap): void {
  if (watched.has(runnable)) return;
  watched.add(runnable);
  const { isRunnable } = runnable;
  const asked = new WeakSet<object>();
  const watching = function (this: unknown, thing: unknown): boolean {
    const answer = isRunnable.call(this, thing);
    const kind = answer ? (thing as object).constructor : undefined;
    if (kind && !asked.has(kind)) {
      asked.add(kind);
      augmentCallingAgent(wrap);
    }
    return answer;
  };
  Object.defineProperty(runnable, "isRunnable", { value: watching, writable: true, configurable: true, enumerable: false });
}

const CALLERS = 12;
const augmented = new Set<string>();

function augmentCallingAgent(wrap: Wrap): void {
  // Raw positions: with source maps, a frame would name a file that langchain does not ship.
  for (const { scriptName } of getCallSites(CALLERS, { sourceMap: false })) {
    const [, folder, extension] = /^(.+[\\/]node_modules[\\/]langchain[\\/]dist[\\/]).+\.(c?js)$/.exec(scriptName) ?? [];
    if (folder === undefined) continue;
    const index = `${folder}index.${extension}`;
    if (augmented.has(index)) return;
    augmented.add(index);
    const prototype = agentPrototype(index);
    if (prototype) addMethod(prototype, wrap);
    return;
  }
}

/** The class behind `createAgent`, found through an agent that never runs: its model is a name that is only looked up when it does. */
function agentPrototype(index: string): object | undefined {
  const file = index.startsWith("file:") ? fileURLToPath(index) : index;
  try {
    const { createAgent } = Module.createRequire(file)(file) as { createAgent(options: object): object };
    return Object.getPrototypeOf(createAgent({ model: "langchain-perf:none", tools: [] })) as object;
  } catch {
    // An agent without the method is a clear error where it is used; the program's own agent must not fail here.
    return undefined;
  }
}
