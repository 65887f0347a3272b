import { perfBehind, wrap, type WrappingPerf } from "./langchain/proxy.ts";
import { createPerf, isPerf, type Perf } from "./perf.ts";
import type { PerfOptions } from "./options.ts";

/**
 * The same program, made faster: a Runnable, agent, graph, model, embeddings, retriever, vector store or tool with the same
 * type, methods and results. Everything that it calls goes through the perf.
 * @param perf a perf of your own, to share or to close; or options for a new one. @default { cache: true, coalesce: true, trace: true }
 * @throws OptionError when `target` is nothing of LangChain's, or an option is wrong
 */
export function withPerf<T extends object>(target: T, perf?: Perf | PerfOptions): T {
  return wrap(target, perf !== undefined && isPerf(perf) ? perf : (createPerf(perf as PerfOptions | undefined) as Perf & WrappingPerf));
}

/** The perf behind a wrapped object, to read, flush or close it. */
export function perfOf(target: object): Perf | undefined {
  return perfBehind(target) as Perf | undefined;
}
