import type { Tracer } from "@opentelemetry/api";
import type { OptionReader } from "../../core/options.ts";

export interface TraceOptions {
  /** Put prompts, answers, arguments and results into spans. @default false */
  captureContent?: boolean;
  /** Applied to every captured text before it leaves the process. */
  redact?(text: string): string;
  /** @default the tracer "langchain-perf" of the globally registered provider */
  tracer?: Tracer;
}

export function resolveTrace(read: OptionReader): TraceOptions {
  const captureContent = read.boolean("captureContent", false);
  const redact = read.function<NonNullable<TraceOptions["redact"]>>("redact");
  const tracer = read.objectWith<Tracer>("tracer", ["startSpan"]);
  return { captureContent, ...(redact ? { redact } : {}), ...(tracer ? { tracer } : {}) };
}
