import { createPerf, type CallFacts, type Perf, type PerfOptions } from "langchain-perf";

/** A perf and the facts of every call that it saw, in the order of their ends. */
export interface Listening {
  readonly perf: Perf;
  readonly facts: CallFacts[];
}

export function listening(options: PerfOptions = { cache: true, coalesce: true }): Listening {
  const perf = createPerf(options);
  const facts: CallFacts[] = [];
  perf.on("call", (call) => {
    if (call.kind !== "chain") facts.push(call);
  });
  return { perf, facts };
}
