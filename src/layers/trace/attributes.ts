import { SpanKind, type Attributes } from "@opentelemetry/api";
import type { CallFacts, KindName } from "../../core/facts.ts";
import type { RunStart } from "../../core/runs.ts";

/** OpenTelemetry's GenAI semantic conventions, 1.41. */
const OPERATIONS: Readonly<Record<KindName, string | undefined>> = {
  chat: "chat",
  llm: "text_completion",
  embeddings: "embeddings",
  retriever: "retrieval",
  tool: "execute_tool",
  chain: undefined,
  function: undefined,
};

const AGENT = "invoke_agent";

export interface SpanShape {
  readonly name: string;
  readonly kind: SpanKind;
  readonly attributes: Attributes;
}

/** The span of a run as it starts. `agent`: the run is an agent's whole turn. */
export function shapeOf(run: RunStart, agent: boolean): SpanShape {
  const { metadata = {}, parameters = {} } = run;
  const operation = agent ? AGENT : OPERATIONS[run.kind];
  const model = text(parameters.model) ?? text(parameters.model_name) ?? text(metadata.ls_model_name);
  const subject = run.kind === "chat" || run.kind === "llm" ? model : run.name;
  const remote = run.kind !== "tool" && run.kind !== "chain";
  return {
    name: operation && subject ? `${operation} ${subject}` : (operation ?? run.name),
    kind: remote ? SpanKind.CLIENT : SpanKind.INTERNAL,
    attributes: defined({
      "gen_ai.operation.name": operation,
      "gen_ai.provider.name": operation === undefined || run.kind === "tool" || run.kind === "retriever" ? undefined : (text(metadata.ls_provider) ?? "unknown"),
      "gen_ai.conversation.id": text(metadata.thread_id) ?? text(metadata.session_id),
      ...(agent ? { "gen_ai.agent.name": text(metadata.lc_agent_name) ?? run.name } : {}),
      ...(run.kind === "tool" ? { "gen_ai.tool.name": run.name, "gen_ai.tool.call.id": run.toolCallId, "gen_ai.tool.type": "function" } : {}),
      ...(run.kind === "retriever" ? { "gen_ai.data_source.id": run.name } : {}),
      ...(model === undefined ? {} : requestAttributes(model, parameters)),
      "perf.tags": run.tags?.length ? [...run.tags] : undefined,
    }),
  };
}

function requestAttributes(model: string, parameters: Readonly<Record<string, unknown>>): Attributes {
  const stop = parameters.stop ?? parameters.stop_sequences;
  return {
    "gen_ai.request.model": model,
    "gen_ai.request.stream": parameters.stream === true ? true : undefined,
    "gen_ai.request.temperature": number(parameters.temperature),
    "gen_ai.request.top_p": number(parameters.top_p),
    "gen_ai.request.max_tokens": number(parameters.max_tokens ?? parameters.max_completion_tokens),
    "gen_ai.request.seed": number(parameters.seed),
    "gen_ai.request.stop_sequences": Array.isArray(stop) ? stop.map(String) : undefined,
  };
}

/** LangChain makes no run for calls of these kinds, and so nobody else gives them a span. */
export function hasNoRun(kind: KindName): boolean {
  return kind === "embeddings" || kind === "function";
}

/** A call that LangChain makes no run for. */
export function shapeOfCall(facts: CallFacts): SpanShape {
  const operation = OPERATIONS[facts.kind];
  if (operation === undefined) return { name: facts.name ?? facts.kind, kind: SpanKind.INTERNAL, attributes: {} };
  return {
    name: facts.model === undefined ? operation : `${operation} ${facts.model}`,
    kind: SpanKind.CLIENT,
    attributes: defined({ "gen_ai.operation.name": operation, "gen_ai.provider.name": "unknown", "gen_ai.request.model": facts.model }),
  };
}

/** What the layers know of the call. */
export function factAttributes(facts: CallFacts): Attributes {
  const { cache } = facts;
  return defined({
    "perf.call.id": facts.id,
    "perf.cache.status": cache?.status,
    "perf.cache.tier": cache?.tier,
    "perf.cache.age_ms": cache?.ageMs,
    "perf.cache.items": cache?.items?.total,
    "perf.cache.item_hits": cache?.items?.hits,
    "perf.coalesced": facts.coalesced,
    "perf.limit.wait_ms": facts.waitMs,
    "perf.deployment": facts.deployment,
    "perf.attempt": facts.attempts.length > 0 ? facts.attempts.length : undefined,
    "perf.hedged": facts.hedged,
    // The span began with the model that was asked; another one has answered.
    "gen_ai.response.model": facts.requestedModel === undefined ? undefined : facts.model,
    "perf.batch.size": facts.batchSize,
    "perf.cost_usd": facts.costUsd,
    "perf.saved_usd": facts.savedUsd,
    "gen_ai.request.stream": facts.mode === "stream" ? true : undefined,
    "gen_ai.response.time_to_first_chunk": facts.timeToFirstTokenMs === undefined ? undefined : facts.timeToFirstTokenMs / 1000,
  });
}

interface AnsweredMessage {
  id?: unknown;
  response_metadata?: Record<string, unknown>;
  usage_metadata?: {
    input_tokens?: number;
    output_tokens?: number;
    input_token_details?: { cache_read?: number; cache_creation?: number };
    output_token_details?: { reasoning?: number };
  };
}

interface Generation {
  message?: AnsweredMessage;
  generationInfo?: Record<string, unknown>;
}

/** What a model's result says about itself. */
export function answerAttributes(output: unknown): Attributes {
  const generations = ((output as { generations?: Generation[][] } | undefined)?.generations ?? []).flat().filter(Boolean);
  const [first] = generations;
  if (!first) return {};
  const metadata = { ...first.generationInfo, ...first.message?.response_metadata };
  const reasons = generations.map(({ generationInfo, message }) => text(generationInfo?.finish_reason ?? message?.response_metadata?.finish_reason ?? message?.response_metadata?.stop_reason));
  const usage = first.message?.usage_metadata;
  return defined({
    "gen_ai.response.id": text(first.message?.id),
    "gen_ai.response.model": text(metadata.model_name) ?? text(metadata.model),
    "gen_ai.response.finish_reasons": reasons.every((reason) => reason !== undefined) ? (reasons as string[]) : undefined,
    "gen_ai.usage.input_tokens": usage?.input_tokens,
    "gen_ai.usage.output_tokens": usage?.output_tokens,
    "gen_ai.usage.cache_read.input_tokens": usage?.input_token_details?.cache_read,
    "gen_ai.usage.cache_creation.input_tokens": usage?.input_token_details?.cache_creation,
    "gen_ai.usage.reasoning.output_tokens": usage?.output_token_details?.reasoning,
  });
}

function text(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}

function number(value: unknown): number | undefined {
  return typeof value === "number" ? value : undefined;
}

function defined(attributes: Attributes): Attributes {
  for (const key of Object.keys(attributes)) if (attributes[key] === undefined) delete attributes[key];
  return attributes;
}
