import { context, type Context } from "@opentelemetry/api";
import { errorFacts } from "../../core/facts.ts";
import type { Call, Layer, Next } from "../../core/layer.ts";
import { fromNext } from "../../core/parts.ts";
import { hasNoRun } from "./attributes.ts";
import type { SpanTracer } from "./tracer.ts";

/** Runs calls in the context of their span, so that what they start is shown below it. Absent while nobody records. */
export class TraceLayer implements Layer {
  readonly name = "trace";
  readonly #tracer: SpanTracer;

  constructor(tracer: SpanTracer) {
    this.#tracer = tracer;
  }

  handle(call: Call, next: Next): AsyncIterable<unknown> {
    if (!this.#tracer.active || call.isItem) return next(call);
    const ofRun = this.#tracer.contextOf(call.facts);
    if (ofRun) return partsIn(ofRun, () => next(call));
    return hasNoRun(call.facts.kind) ? this.#ownSpan(call, next) : next(call);
  }

  async *#ownSpan(call: Call, next: Next): AsyncGenerator<unknown> {
    const span = this.#tracer.startCall(call.facts);
    try {
      yield* partsIn(span.context, () => next(call));
    } catch (error) {
      call.facts.error ??= errorFacts(error);
      throw error;
    } finally {
      span.end();
    }
  }
}

/** The call is made, and each of its parts, in this context. */
function partsIn(inside: Context, open: () => AsyncIterable<unknown>): AsyncIterable<unknown> {
  const parts = context.with(inside, () => open()[Symbol.asyncIterator]());
  return fromNext(
    () => context.with(inside, () => parts.next()),
    () => context.with(inside, () => parts.return?.()),
  );
}
