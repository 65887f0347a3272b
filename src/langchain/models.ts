import { canonical, canonicalWithout, type IdentityFields } from "../core/key.ts";
import type { Completeness, OwnIdentity } from "../core/layer.ts";
import { className, endpointText, hidden, opaqueIdentity } from "./identity.ts";
import { ownerOf, prototypesOf } from "./prototypes.ts";

/** What chat models and LLMs have in common for this room. */
export interface ModelLike {
  model?: unknown;
  modelName?: unknown;
  streaming?: unknown;
  _llmType(): string;
  invocationParams?(options: unknown): Record<string, unknown>;
  _useResponsesApi?(options: unknown): boolean;
}

/** Call options of a model, as they reach its leaf. */
export interface ModelOptions {
  signal?: AbortSignal;
  [option: string]: unknown;
}

/** As much of LangChain's run manager as the adapters use. */
export interface LLMRunManager {
  runId?: string;
  parentRunId?: string;
  handlers: readonly unknown[];
  handleLLMNewToken(token: string, index?: unknown, runId?: string, parentRunId?: string, tags?: string[], fields?: { chunk?: unknown }): Promise<void>;
}

/** The model's name as users know it. */
export function modelName(model: { model?: unknown; modelName?: unknown }): string | undefined {
  const name = model.model ?? model.modelName;
  return typeof name === "string" ? name : undefined;
}

/** Who answers: limits that a provider announces hold for one endpoint, model and account. */
export function targetOf(model: object): string {
  return `${className(model)} ${modelName(model) ?? ""} ${endpointText(model)}${hidden(keyOf(model))}`;
}

/** Whether the requests of both models go to one endpoint, on one account. */
export function shareAccount(one: object, other: object): boolean {
  return one === other || (keyOf(one) === keyOf(other) && endpointText(one) === endpointText(other));
}

function keyOf(model: object): unknown {
  const { apiKey, clientConfig } = model as { apiKey?: unknown; clientConfig?: { apiKey?: unknown } };
  return apiKey ?? clientConfig?.apiKey;
}

/** `{ name }`, or nothing where there is none. */
export function named(name: string | undefined): { name?: string } {
  return name === undefined ? {} : { name };
}

/** Call options that belong to the run, not to the question. */
const RUN_OPTIONS = new Set(["signal", "timeout", "callbacks", "tags", "metadata", "runName", "runId", "configurable", "promptIndex", "maxConcurrency", "recursionLimit", "store", "stream", "stream_options", "maxRetries"]);

/** Tools that run at the provider see a world that changes; a conversation that the provider keeps is not in the request. */
export function dependsOnProvider(params: Record<string, unknown>): boolean {
  if (PROVIDER_STATE.some((name) => params[name] != null)) return true;
  return Array.isArray(params.tools) && params.tools.some((tool: { type?: unknown }) => typeof tool?.type === "string" && !CLIENT_TOOLS.has(tool.type));
}

const PROVIDER_STATE = ["previous_response_id", "conversation", "container", "web_search_options", "mcp_servers"] as const;
const CLIENT_TOOLS = new Set(["function", "custom"]);

/** How the answer travels, not what it is. */
const TRANSPORT = new Set(["stream", "stream_options"]);

/** Whether the model's class says what its answers depend on; LangChain's base classes say nothing. */
function showsParameters(model: ModelLike): boolean {
  const owner = ownerOf(model, "invocationParams");
  return owner !== undefined && !Object.hasOwn(owner, "_generateUncached");
}

const LEAVES = ["_generate", "_streamResponseChunks", "_streamChatModelEvents"];

/** A subclass that answers in its own way may look at more than the parameters that it inherits. */
function answersInItsOwnWay(model: ModelLike): boolean {
  for (const prototype of prototypesOf(model)) {
    if (Object.hasOwn(prototype, "invocationParams")) return false;
    if (LEAVES.some((leaf) => Object.hasOwn(prototype, leaf))) return true;
  }
  return false;
}

const ASKED = ["tools", "tool_choice", "functions", "function_call", "response_format", "stop"] as const;

/** What the caller asked for and the parameters do not show, though the model may well look at it. */
function unshown(options: ModelOptions, params: Record<string, unknown>): string {
  let text = "";
  for (const name of ASKED) {
    const asked = options[name];
    const empty = asked === undefined || (Array.isArray(asked) && asked.length === 0);
    if (!empty && params[name] === undefined) text += `${name}${canonical(asked)}`;
  }
  return text;
}

/** Who is asked and with what parameters; `undefined` when the answer depends on more than the request shows. */
export function modelFields(model: ModelLike, options: ModelOptions, own: OwnIdentity): IdentityFields | undefined {
  if (!showsParameters(model)) {
    return [["model", `${className(model)} ${opaqueIdentity(model, own.id)}`], ["parameters", canonicalWithout(options, RUN_OPTIONS)]];
  }
  const params = model.invocationParams?.(options) ?? {};
  // A key of the user's own is the user's word that the answer may be kept.
  if (own.key === undefined && dependsOnProvider(params)) return undefined;
  // Request options of the provider's SDK (headers, query) change the answer without being parameters.
  const extra = options.options === undefined && options.headers === undefined ? "" : hidden({ options: options.options, headers: options.headers });
  const version = options.outputVersion ?? (model as { outputVersion?: unknown }).outputVersion;
  const itself = answersInItsOwnWay(model) ? ` ${opaqueIdentity(model, own.id)}` : "";
  return [
    ["model", `${className(model)} ${model._llmType()}${version === undefined ? "" : ` ${String(version)}`}${itself}`],
    ["endpoint", endpointText(model) + extra],
    ["parameters", canonicalWithout(params, TRANSPORT) + unshown(options, params)],
  ];
}

const FILTERED = new Set(["content_filter", "safety", "refusal", "blocklist", "prohibited_content", "spii", "recitation", "guardrail_intervened", "content_filtered"]);
const PARTIAL = new Set(["failed", "cancelled", "in_progress", "queued", "incomplete", "error", "network_error", "pause_turn", "malformed_function_call"]);
const REASON_KEYS = ["finish_reason", "finishReason", "stop_reason", "stopReason", "done_reason", "status"] as const;
/** Providers that always say how an answer ended: from them, silence means that the connection was cut. */
const OUTSPOKEN = /(?:^|[_-])(?:openai|azure_openai|anthropic|mistral|groq|deepseek|xai|together|fireworks|openrouter|bedrock|google|vertex|gemini)/i;

/** Whether a model's provider always says how an answer ended. */
export function isOutspoken(model: ModelLike): boolean {
  return OUTSPOKEN.test(model._llmType());
}

/** The first reason in `metadata` why an answer ended. */
export function finishReason(metadata: Record<string, unknown> | undefined): string | undefined {
  if (!metadata) return undefined;
  // Bedrock's streams end in an event of this name, which its class hands on as it is.
  if (typeof metadata.messageStop === "object") return finishReason(metadata.messageStop as Record<string, unknown>);
  for (const key of REASON_KEYS) {
    const reason = metadata[key];
    if (typeof reason !== "string" || reason === "") continue;
    const details = (metadata.incomplete_details as { reason?: unknown } | null | undefined)?.reason;
    return key === "status" && reason === "incomplete" && typeof details === "string" ? details : reason;
  }
  return undefined;
}

/** From the least complete on. */
const RANKS: readonly Completeness[] = ["filtered", "partial", "unknown", "complete"];

/** An answer is as complete as the least complete of its generations, each with its reason to end; without any it is partial. */
export function completenessOf(reasons: readonly (string | undefined)[], model: ModelLike): Completeness {
  if (reasons.length === 0) return "partial";
  return RANKS[Math.min(...reasons.map((reason) => RANKS.indexOf(completenessFor(reason, model))))] as Completeness;
}

function completenessFor(reason: string | undefined, model: ModelLike): Completeness {
  if (reason === undefined) return isOutspoken(model) ? "partial" : "unknown";
  const word = reason.toLowerCase();
  if (FILTERED.has(word)) return "filtered";
  return PARTIAL.has(word) ? "partial" : "complete";
}
