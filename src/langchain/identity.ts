import { atOnce } from "../core/callback.ts";
import { canonical, digest, instanceId, type Rename } from "../core/key.ts";
import type { OwnIdentity } from "../core/layer.ts";
import { ID_KEYS, ID_MAPS, isEmpty, TOOL_BLOCKS } from "./messages.ts";

/** As much of a message as a provider may see. */
interface SeenMessage {
  type?: string;
  getType?(): string;
  _getType?(): string;
  id?: string;
  role?: string;
  name?: string;
  content: unknown;
  status?: string;
  tool_call_id?: string;
  tool_calls?: { id?: string; name?: string; args?: unknown }[];
  invalid_tool_calls?: { id?: string }[];
  additional_kwargs?: Record<string, unknown>;
  response_metadata?: { id?: unknown; output?: unknown; output_version?: unknown };
}

/** One field per message, named by position and role, so that `explain` can say which one differs. */
export function messageFields(messages: readonly unknown[], providerState: boolean): [name: string, text: string][] {
  const rename = numberIds(messages as readonly SeenMessage[], providerState);
  return (messages as readonly SeenMessage[]).map((message, at) => {
    const type = message.type ?? message.getType?.() ?? message._getType?.() ?? "unknown";
    return [`message ${at} (${type})`, messageText(message, providerState, rename)];
  });
}

function messageText(message: SeenMessage, providerState: boolean, rename: Rename | undefined): string {
  let text = contentText(message.content, rename);
  const { role, name, status, tool_call_id: answers, tool_calls: calls, invalid_tool_calls: invalid, additional_kwargs: kwargs } = message;
  const { output, output_version: version } = message.response_metadata ?? {};
  if (role !== undefined) text += `role${canonical(role)}`;
  if (name !== undefined) text += `name${canonical(name)}`;
  if (status !== undefined) text += `status${canonical(status)}`;
  if (answers !== undefined) text += `answers${canonical(answers, rename, "tool_call_id")}`;
  if (calls?.length) text += `calls${canonical(calls, rename)}`;
  if (invalid?.length) text += `invalid${canonical(invalid, rename)}`;
  if (version !== undefined) text += `version${canonical(version)}`;
  // The responses API is sent its own earlier output, found in the metadata, and then nothing else of the message.
  if (output !== undefined) text += `output${canonical(output, rename)}`;
  if (providerState) text += `id${canonical(message.id, rename, "id")}`;
  if (kwargs && !isEmpty(kwargs) && !(providerState && output !== undefined)) text += `kwargs${kwargsText(kwargs, rename)}`;
  return text;
}

/** Ids are looked for in the blocks of tools alone: elsewhere an id is part of the question, e.g. a file's. */
function contentText(content: unknown, rename: Rename | undefined): string {
  if (!rename || !Array.isArray(content)) return canonical(content);
  let text = "[";
  for (const block of content as { type?: string }[]) text += canonical(block, TOOL_BLOCKS.has(block?.type ?? "") ? rename : undefined);
  return `${text}]`;
}

function kwargsText(kwargs: Record<string, unknown>, rename: Rename | undefined): string {
  if (!rename) return canonical(kwargs);
  const rest = Object.fromEntries(Object.entries(kwargs).filter(([key]) => key !== "tool_calls" && !ID_MAPS.has(key)));
  return `${canonical(rest)}${canonical(kwargs.tool_calls, rename)}`;
}

/**
 * Generated ids are numbered by first appearance: two conversations that differ in them alone are the same question.
 * Only the places where ids stand are touched, never text that happens to equal one.
 */
function numberIds(messages: readonly SeenMessage[], providerState: boolean): Rename | undefined {
  const ids = new Map<string, string>();
  const add = (id: unknown): void => {
    if (typeof id === "string" && id !== "" && !ids.has(id)) ids.set(id, `#${ids.size};`);
  };
  for (const message of messages) {
    for (const call of message.tool_calls ?? []) add(call.id);
    for (const call of message.invalid_tool_calls ?? []) add(call.id);
    add(message.tool_call_id);
    if (!providerState) continue;
    add(message.id);
    const { output } = message.response_metadata ?? {};
    if (!Array.isArray(output)) continue;
    for (const item of output as { id?: unknown; call_id?: unknown }[]) {
      add(item?.id);
      add(item?.call_id);
    }
  }
  if (ids.size === 0) return undefined;
  return (key, value) => (ID_KEYS.has(key) ? ids.get(value) : undefined);
}

const ENDPOINT_FIELDS = [
  "baseURL", "baseUrl", "basePath", "endpoint", "endpointUrl", "apiUrl", "anthropicApiUrl", "region", "location", "apiVersion",
  "azureOpenAIEndpoint", "azureOpenAIBasePath", "azureOpenAIApiInstanceName", "azureOpenAIApiDeploymentName", "azureOpenAIApiVersion",
] as const;

/** Where a model's or embeddings' requests go and what else rides on them. */
export function endpointText(model: object): string {
  const fields = model as Record<string, unknown>;
  let text = "";
  for (const name of ENDPOINT_FIELDS) if (fields[name] !== undefined) text += `${name}${canonical(fields[name])}`;
  const config = (fields.clientConfig ?? fields.clientOptions) as Record<string, unknown> | undefined;
  if (!config) return text;
  for (const name of ["baseURL", "organization", "project"]) if (config[name] != null) text += `${name}${canonical(config[name])}`;
  for (const name of ["defaultHeaders", "defaultQuery"]) if (config[name] != null) text += `${name}${hidden(config[name])}`;
  return text;
}

/** What may hold a secret, e.g. headers: equal for equal values, and never shown. */
export function hidden(value: unknown): string {
  return `${digest(canonical(value))};`;
}

/** How the provider is reached: no part of what is asked. Where requests go is in `endpointText`. */
const CONNECTION: ReadonlySet<string> = new Set(["client", "clientConfig", "clientOptions", "caller"]);
const CREDENTIAL = /(?:api_?key|secret|password|credentials?|access_?token|auth_?token)$/i;
/** Objects that hold settings, by their names. */
const SETTINGS = /(?:options|kwargs|params|config|settings|body|headers)$/i;

/**
 * What an object that shows its parameters in no other way depends on: its plain fields and its settings, hashed. One that holds
 * objects of which we cannot tell what they are for counts by itself, or by the user's id, as well.
 */
export function fieldsText(object: object, stableId: OwnIdentity["id"]): string {
  const shown: Record<string, unknown> = {};
  let isOpaque = stableId !== undefined;
  for (const [name, value] of Object.entries(object)) {
    if (CONNECTION.has(name) || CREDENTIAL.test(name)) continue;
    if (typeof value !== "object" || value === null || SETTINGS.test(name)) shown[name] = value;
    else isOpaque = true;
  }
  return isOpaque ? `${hidden(shown)} ${opaqueIdentity(object, stableId)}` : hidden(shown);
}

/** The class's name, which tells two providers with equal parameters apart. */
export function className(object: object): string {
  return object.constructor.name;
}

/** For an object that shows nothing of what its answers depend on: itself, or the stable id that the user gave. */
export function opaqueIdentity(object: object, stableId: OwnIdentity["id"]): string {
  const id = typeof stableId === "function" ? atOnce(stableId(object)) : stableId;
  return typeof id === "string" && id !== "" ? `id ${id}` : `instance ${instanceId(object)}`;
}
