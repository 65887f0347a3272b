import { context, type Context } from "@opentelemetry/api";
import { errorFacts } from "../../core/facts.ts";
import type { Call, Layer, Next } from "../../core/layer.ts";
import type { SpanTracer } from "./tracer.ts";

/** Runs calls in the context of their span, so that what they start is shown below it. Absent while nobody records. */
export class TraceLayer implements Layer {
  readonly name = "trace";
  readonly #tracer: SpanTracer;

  constructor(tracer: SpanTracer) {
    this.#tracer = tracer;
  }

  handle(call: Call, next: Next): AsyncIterable<unknown> {
    if (!this.#tracer.active) return next(call);
    const ofRun = this.#tracer.contextOf(call.facts);
    if (ofRun) return partsIn(ofRun, next(call));
    return call.facts.kind === "embeddings" ? this.#ownSpan(call, next) : next(call);
  }

  async *#ownSpan(call: Call, next: Next): AsyncGenerator<unknown> {
    const span = this.#tracer.startCall(call.facts);
    try {
      yield* partsIn(span.context, next(call));
    } catch (error) {
      call.facts.error ??= errorFacts(error);
      throw error;
    } finally {
      span.end();
    }
  }
}

function partsIn(inside: Context, parts: AsyncIterable<unknown>): AsyncIterable<unknown> {
  const iterator = context.with(inside, () => parts[Symbol.asyncIterator]());
  return {
    [Symbol.asyncIterator]: () => ({
      next: () => context.with(inside, () => iterator.next()),
      return: (value?: unknown) => (iterator.return ? context.with(inside, () => (iterator.return as NonNullable<typeof iterator.return>)(value)) : Promise.resolve({ done: true as const, value })),
    }),
  };
}
