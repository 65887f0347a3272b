import { BaseCallbackHandler } from "@langchain/core/callbacks/base";
import type { Serialized } from "@langchain/core/load/serializable";
import type { LLMResult } from "@langchain/core/outputs";
import type { Clock } from "../core/clock.ts";
import { errorFacts, nextCallId, NO_ATTEMPTS, type CallFacts, type KindName, type Usage } from "../core/facts.ts";
import type { RequestEstimate } from "../core/layer.ts";
import type { Gate, RunStart, RunTracer } from "../core/runs.ts";
import type { ScopeCarrier } from "./config.ts";
import { usageOf } from "./kinds/chat.ts";
import { chatEstimate, llmEstimate } from "./kinds/estimates.ts";
import type { UsageLike } from "./messages.ts";
import type { ModelLike } from "./models.ts";
import { currentScope, isSwitchedOff, type Scope } from "./scope.ts";

/** What a handler reports to. One per perf. */
export interface RunSink {
  readonly clock: Clock;
  readonly tracer: RunTracer;
  /** Holds runs back that nobody has wrapped; absent without limits. */
  readonly gate?: Gate | undefined;
  /** Nobody is held back any more. */
  readonly closed: boolean;
  finished(facts: CallFacts): void;
}

interface OpenRun {
  readonly facts: CallFacts;
  readonly started: number;
}

/**
 * Follows every run of a program by LangChain's callbacks: spans for all of them, facts for those that no leaf reports. With a `rateLimit` it delays the start of
 * chat and LLM runs until they get their permit, or refuses it with the limiter's error.
 * Use `perf.handler` where nothing is wrapped: `chain.invoke(input, { callbacks: [perf.handler] })`.
 */
export class PerfCallbackHandler extends BaseCallbackHandler implements ScopeCarrier {
  readonly name = "langchain-perf";
  // In the background two concurrent requests land in each other's trace.
  override awaitHandlers = true;
  readonly carriedScope: Scope | undefined;
  readonly sink: RunSink;
  /** What held runs back when it was made. @internal */
  readonly gate: Gate | undefined;
  readonly #runs = new Map<string, OpenRun>();

  /** @param scope the scope of a wrapped program, whose leaves report their own facts */
  constructor(sink: RunSink, scope?: Scope) {
    super();
    this.sink = sink;
    this.carriedScope = scope;
    const { gate } = sink;
    this.gate = gate;
    if (!gate) return;
    // LangChain swallows what a handler throws, and a refused run would start.
    this.raiseError = true;
    this.handleLLMNewToken = (_token, _index, runId) => gate.heard(runId);
  }

  carrying(scope: Scope): PerfCallbackHandler {
    return new PerfCallbackHandler(this.sink, scope);
  }

  override handleChatModelStart(model: Serialized, messages: unknown, runId: string, parent?: string, extra?: Extra, tags?: string[], metadata?: Metadata, name?: string): Promise<void> | void {
    const start = (): void => this.#start("chat", model, messages, { runId, parent, tags, metadata, name, parameters: extra?.invocation_params });
    const [asked = []] = messages as ChatMessages[];
    return this.#gated(runId, start, () => chatEstimate(modelOfRun(extra), asked, extra?.invocation_params ?? {}));
  }

  override handleLLMStart(model: Serialized, prompts: string[], runId: string, parent?: string, extra?: Extra, tags?: string[], metadata?: Metadata, name?: string): Promise<void> | void {
    const start = (): void => this.#start("llm", model, prompts, { runId, parent, tags, metadata, name, parameters: extra?.invocation_params });
    return this.#gated(runId, start, () => llmEstimate(modelOfRun(extra), prompts, extra?.invocation_params ?? {}));
  }

  override handleLLMEnd(output: LLMResult, runId: string): void {
    this.#end(runId, output, undefined, usageOfResult(output));
  }

  override handleLLMError(error: unknown, runId: string): void {
    this.#end(runId, undefined, error);
  }

  override handleChainStart(chain: Serialized, inputs: unknown, runId: string, parent?: string, tags?: string[], metadata?: Metadata, _type?: string, name?: string): void {
    this.#start("chain", chain, inputs, { runId, parent, tags, metadata, name });
  }

  override handleChainEnd(output: unknown, runId: string): void {
    this.#end(runId, output);
  }

  override handleChainError(error: unknown, runId: string): void {
    this.#end(runId, undefined, error);
  }

  override handleToolStart(tool: Serialized, input: unknown, runId: string, parent?: string, tags?: string[], metadata?: Metadata, name?: string, toolCallId?: string): void {
    this.#start("tool", tool, input, { runId, parent, tags, metadata, name, toolCallId });
  }

  override handleToolEnd(output: unknown, runId: string): void {
    this.#end(runId, output);
  }

  override handleToolError(error: unknown, runId: string): void {
    this.#end(runId, undefined, error);
  }

  override handleRetrieverStart(retriever: Serialized, query: string, runId: string, parent?: string, tags?: string[], metadata?: Metadata, name?: string): void {
    this.#start("retriever", retriever, query, { runId, parent, tags, metadata, name });
  }

  override handleRetrieverEnd(documents: unknown, runId: string): void {
    this.#end(runId, documents);
  }

  override handleRetrieverError(error: unknown, runId: string): void {
    this.#end(runId, undefined, error);
  }

  /** Starts at once where no limit is; a wrapped program's own calls have their limits further down. */
  #gated(runId: string, start: () => void, estimate: () => RequestEstimate): Promise<void> | void {
    const { gate, closed } = this.sink;
    if (!gate || closed || this.carriedScope || isSwitchedOff() || (currentScope()?.perf as unknown) === this.sink) return start();
    return gate.enter(runId, estimate()).then(start);
  }

  #start(kind: KindName, serialized: Serialized | undefined, input: unknown, run: RunArguments): void {
    const name = run.name ?? nameOf(serialized) ?? kind;
    // LangChain reuses a parent's id for its child in places; a run is never its own parent.
    const parentRunId = run.parent === run.runId ? undefined : run.parent;
    const start: RunStart = {
      runId: run.runId, parentRunId, kind, name, input,
      ...(run.parameters ? { parameters: run.parameters } : {}),
      ...(run.metadata ? { metadata: run.metadata } : {}),
      ...(run.tags ? { tags: run.tags } : {}),
      ...(run.toolCallId === undefined ? {} : { toolCallId: run.toolCallId }),
    };
    const { clock, tracer } = this.sink;
    if (tracer.active) tracer.start(start);
    // A leaf knows more of its call than the callbacks do.
    if (this.carriedScope && kind !== "chain") return;
    const facts: CallFacts = { id: nextCallId(), runId: run.runId, kind, mode: "invoke", name, startedAt: clock.now(), durationMs: 0, attempts: NO_ATTEMPTS };
    if (parentRunId !== undefined) facts.parentRunId = parentRunId;
    const model = run.parameters?.model ?? run.parameters?.model_name;
    if (typeof model === "string") facts.model = model;
    this.#runs.set(run.runId, { facts, started: clock.elapsed() });
  }

  #end(runId: string, output: unknown, error?: unknown, usage?: Usage): void {
    const { clock, tracer, gate } = this.sink;
    gate?.ended(runId, usage, error);
    const run = this.#runs.get(runId);
    if (run) {
      this.#runs.delete(runId);
      run.facts.durationMs = clock.elapsed() - run.started;
      if (usage) run.facts.usage = usage;
      if (error !== undefined) run.facts.error = errorFacts(error);
      this.sink.finished(run.facts);
    }
    tracer.end(runId, { output, ...(error === undefined ? {} : { error }) });
  }
}

type Metadata = Record<string, unknown>;
type Extra = { invocation_params?: Record<string, unknown> };

interface RunArguments {
  runId: string;
  parent: string | undefined;
  tags: string[] | undefined;
  metadata: Metadata | undefined;
  name: string | undefined;
  parameters?: Record<string, unknown> | undefined;
  toolCallId?: string | undefined;
}

type ChatMessages = Parameters<typeof chatEstimate>[1];

/** As much of a model as its callbacks tell. */
function modelOfRun(extra: Extra | undefined): ModelLike {
  return (extra?.invocation_params ?? {}) as unknown as ModelLike;
}

function nameOf(serialized: Serialized | undefined): string | undefined {
  return serialized?.id?.at(-1);
}

function usageOfResult(output: LLMResult): Usage | undefined {
  const [generation] = output.generations?.flat() ?? [];
  return usageOf((generation as { message?: { usage_metadata?: UsageLike } } | undefined)?.message?.usage_metadata);
}
