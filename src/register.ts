import type { RunnableConfig } from "@langchain/core/runnables";
import type { AgentTypeConfig } from "langchain";
import { augment } from "./langchain/augment.ts";
import type { PerfOptions } from "./options.ts";
import type { Perf } from "./perf.ts";
import { withPerf } from "./with-perf.ts";

declare module "@langchain/core/runnables" {
  interface Runnable<RunInput, RunOutput, CallOptions extends RunnableConfig> {
    /**
     * The same program, made faster: same type, methods and results, every call in it through the perf.
     * @param perf a perf of your own, to share or to close; or options for a new one. @default { cache: true, coalesce: true, trace: true }
     * @throws OptionError when an option is wrong
     */
    withPerf(perf?: Perf | PerfOptions): this;
  }
}

declare module "langchain" {
  interface ReactAgent<Types extends AgentTypeConfig> {
    /**
     * The same agent, made faster: same type, methods and results, every call in it through the perf.
     * @param perf a perf of your own, to share or to close; or options for a new one. @default { cache: true, coalesce: true, trace: true }
     * @throws OptionError when an option is wrong
     */
    withPerf(perf?: Perf | PerfOptions): this;
  }
}

augment(withPerf);
