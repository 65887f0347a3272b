import { context, ProxyTracerProvider, SpanStatusCode, trace, type Context, type Span, type SpanContext, type Tracer } from "@opentelemetry/api";
import { errorFacts, type CallFacts, type KindName } from "../../core/facts.ts";
import type { RunEnd, RunStart, RunTracer } from "../../core/runs.ts";
import { answerAttributes, factAttributes, hasNoRun, shapeOf, shapeOfCall, type SpanShape } from "./attributes.ts";
import { ContentCapture } from "./content.ts";
import type { TraceOptions } from "./options.ts";

interface OpenSpan {
  readonly span: Span;
  readonly context: Context;
  readonly kind: KindName;
  /** The run is part of an agent's turn. */
  readonly inAgent: boolean;
}

/** Leaders whose span a follower may still link to. */
const REMEMBERED_CALLS = 1_000;

/** Every run of a program as one span, nested as the program is. */
export class SpanTracer implements RunTracer {
  readonly #tracer: Tracer | undefined;
  readonly #content: ContentCapture;
  readonly #runs = new Map<string, OpenSpan>();
  readonly #calls = new Map<string, SpanContext>();
  readonly #own = new WeakSet<Span>();

  constructor(options: TraceOptions) {
    this.#tracer = options.tracer;
    this.#content = new ContentCapture(options);
  }

  get active(): boolean {
    return this.#tracer !== undefined || providerIsRegistered();
  }

  start(run: RunStart): void {
    const parent = run.parentRunId === undefined ? undefined : this.#runs.get(run.parentRunId);
    const inAgent = run.metadata?.ls_integration === "langchain_create_agent";
    const shape = shapeOf(run, inAgent && !parent?.inAgent && run.kind === "chain");
    const open = this.#open(shape, parent?.context ?? context.active(), run.kind, inAgent);
    open.span.setAttributes(this.#content.input(run.kind, run.input));
    this.#runs.set(run.runId, open);
  }

  end(runId: string, { error, output }: RunEnd): void {
    const open = this.#runs.get(runId);
    if (!open) return;
    this.#runs.delete(runId);
    open.span.setAttributes({ ...answerAttributes(output), ...this.#content.output(open.kind, output) });
    close(open.span, error === undefined ? undefined : errorFacts(error));
  }

  annotate(facts: CallFacts): void {
    const span = facts.runId === undefined ? undefined : this.#runs.get(facts.runId)?.span;
    if (span) this.#describe(span, facts);
    // A hit never came to the layer that gives embeddings their span.
    else if (hasNoRun(facts.kind) && facts.cache?.tier === "memory") this.startCall(facts).end();
  }

  within<T>(runId: string | undefined, work: () => T): T {
    const open = runId === undefined ? undefined : this.#runs.get(runId);
    return open ? context.with(open.context, work) : work();
  }

  /** A span for a call that LangChain makes no run for. @returns the context to make the call in, and how to end the span */
  startCall(facts: CallFacts): { readonly context: Context; end(): void } {
    const { span, context: inside } = this.#open(shapeOfCall(facts), this.#parentOf(facts), facts.kind, false);
    this.#remember(facts, span.spanContext());
    return {
      context: inside,
      end: () => {
        this.#describe(span, facts);
        close(span, facts.error);
      },
    };
  }

  /** The context of the run that makes this call, and a note of its span for those who will share it. */
  contextOf(facts: CallFacts): Context | undefined {
    const open = facts.runId === undefined ? undefined : this.#runs.get(facts.runId);
    if (open) this.#remember(facts, open.span.spanContext());
    return open?.context;
  }

  /** What is active, if it is a run of ours that set it; else the run that LangChain says surrounds the call. */
  #parentOf({ parentRunId }: CallFacts): Context {
    const active = context.active();
    const span = trace.getSpan(active);
    if (span && this.#own.has(span)) return active;
    return (parentRunId === undefined ? undefined : this.#runs.get(parentRunId)?.context) ?? active;
  }

  #remember(facts: CallFacts, span: SpanContext): void {
    this.#calls.set(facts.id, span);
    if (this.#calls.size > REMEMBERED_CALLS) this.#calls.delete(this.#calls.keys().next().value as string);
  }

  #open({ name, kind, attributes }: SpanShape, parent: Context, runKind: KindName, inAgent: boolean): OpenSpan {
    const tracer = this.#tracer ?? trace.getTracer("langchain-perf");
    const span = tracer.startSpan(name, { kind, attributes }, parent);
    this.#own.add(span);
    return { span, context: trace.setSpan(parent, span), kind: runKind, inAgent };
  }

  #describe(span: Span, facts: CallFacts): void {
    span.setAttributes(factAttributes(facts));
    const leader = facts.leaderId === undefined ? undefined : this.#calls.get(facts.leaderId);
    if (leader) span.addLink({ context: leader, attributes: { "perf.link": "leader" } });
  }
}

function close(span: Span, error: { code: string; message: string } | undefined): void {
  if (error) {
    span.setAttribute("error.type", error.code);
    span.setStatus({ code: SpanStatusCode.ERROR, message: error.message });
  }
  span.end();
}

const nowhere = new ProxyTracerProvider().getDelegate();

/** Whether a program has an OpenTelemetry SDK: without one the API hands out a proxy with nothing behind it. */
function providerIsRegistered(): boolean {
  const provider = trace.getTracerProvider();
  return !(provider instanceof ProxyTracerProvider) || provider.getDelegate() !== nowhere;
}

/** What stands in where tracing is off. */
const silent: RunTracer = { active: false, start: () => {}, end: () => {}, annotate: () => {}, within: (_runId, work) => work() };

export function runTracer(options: TraceOptions | undefined): RunTracer {
  return options ? new SpanTracer(options) : silent;
}
