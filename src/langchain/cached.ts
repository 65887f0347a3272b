import { atOnce } from "../core/callback.ts";
import { OptionError } from "../core/errors.ts";
import { resolveWith } from "../core/options.ts";
import { install } from "./install.ts";
import { functionKind } from "./kinds/plain.ts";
import { heldIn, inLeaf } from "./leaf-work.ts";
import { currentScope, outerControl, rootScope, type PerfRuntime } from "./scope.ts";

/** The same type, in a place that says nothing of what it is: the function alone does, and these may take fewer arguments. */
type Given<T> = [T][T extends unknown ? 0 : never];

/** How the results of a function are kept. */
export interface CachedOptions<A extends unknown[], R> {
  /** How long a result is fresh, milliseconds. @default the cache's `ttlMs` */
  ttlMs?: number;
  /** Tags of the results, for `perf.cache.invalidate({ tags })`; also by what a result is, e.g. the ids of the documents in it. */
  tags?: string[] | ((result: Given<R>, ...args: Given<A>) => string[]);
  /** What a result depends on, told at once; `undefined` = this call shares nothing. @default all arguments */
  key?(...args: Given<A>): unknown;
}

/**
 * The same function through a perf's cache and coalescing, timed and traced. Its results are known by `name` in every process that
 * shares a tier: exchange the name when the function changes its mind. LangChain calls inside go through the perf as well.
 * @throws OptionError
 */
export function cachedFunction<A extends unknown[], R>(perf: PerfRuntime, name: string, work: (...args: A) => Promise<R>, options: CachedOptions<A, R> = {}): (...args: A) => Promise<R> {
  if (typeof name !== "string" || name === "") throw new OptionError("cached.name", "a string that is not empty", name);
  if (typeof work !== "function") throw new OptionError("cached", "a function", work);
  const { ttlMs, tags, tagsOf, key } = resolveWith("cached", options, (read) => {
    const isFunction = typeof read.raw("tags") === "function";
    return {
      ttlMs: read.number("ttlMs", { default: undefined, min: 0 }),
      tags: isFunction ? undefined : read.strings("tags"),
      tagsOf: isFunction ? read.function<(result: R, ...args: A) => string[]>("tags") : undefined,
      key: read.function<(...args: A) => unknown>("key"),
    };
  });
  install();
  return async (...args) => {
    const around = currentScope();
    const scope = around?.perf === perf ? around : rootScope(perf, perf.controlFor(undefined, outerControl(perf)));
    if (!scope) return work(...args);
    const { control } = scope;
    const ownTags = tags && [...(control.tags ?? []), ...tags];
    const within = scope.leaf?.within;
    const provenance = { isDoubtful: false, around: within };
    return scope.perf.engine.invoke<unknown, R>({
      kind: functionKind as never,
      // Asked for where it may fail: a call without a key goes past the cache.
      input: key ? { name, provenance, get asked() { return atOnce(key(...args)); } } : { name, provenance, asked: args },
      name,
      origin: work,
      backend: {
        invoke: (call) => inLeaf(scope, call, () => work(...args), provenance),
        stream: () => {
          throw new Error("A function has no stream.");
        },
      },
      control: { ...control, ...(ttlMs === undefined ? {} : { ttlMs: control.ttlMs ?? ttlMs }), ...(ownTags ? { tags: ownTags } : {}) },
      held: heldIn(scope),
      within,
      ...(tagsOf ? { tagsOf: (result) => tagsOf(result as R, ...args) } : {}),
    });
  };
}
