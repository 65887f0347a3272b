import { randomUUID } from "node:crypto";

/** As much of LangChain's messages as copying and re-issuing touches. */
export interface MessageLike {
  id?: string;
  content: unknown;
  tool_calls?: ToolCallLike[];
  invalid_tool_calls?: ToolCallLike[];
  tool_call_chunks?: ToolCallLike[];
  usage_metadata?: UsageLike;
  additional_kwargs: Record<string, unknown>;
  response_metadata: Record<string, unknown>;
  lc_kwargs: Record<string, unknown>;
}

export interface ToolCallLike {
  id?: string;
}

/** LangChain's `UsageMetadata`. */
export interface UsageLike {
  input_tokens?: number;
  output_tokens?: number;
  total_tokens?: number;
  input_token_details?: { cache_read?: number };
}

/** Where ids of tool calls stand. */
export const ID_KEYS: ReadonlySet<string> = new Set(["id", "call_id", "tool_call_id", "tool_use_id"]);
/** Content blocks that carry such ids. */
export const TOOL_BLOCKS: ReadonlySet<string> = new Set(["tool_use", "tool_result", "tool_call", "tool_call_chunk", "invalid_tool_call", "function_call"]);
/** Fields in which `@langchain/openai` keeps other ids by tool call id. */
export const ID_MAPS: ReadonlySet<string> = new Set(["__openai_function_call_ids__", "__openai_custom_tool_call_ids__"]);
/** What a tool call is about: an id in there is the user's. */
const PAYLOADS: ReadonlySet<string> = new Set(["args", "input", "parsed", "parsed_arguments"]);
const USAGE_KEYS = ["tokenUsage", "estimatedTokenUsage", "usage"] as const;

/** New ids for the tool calls of one receiver: LangGraph's ToolNode skips ids that it has answered before. */
export type FreshIds = Map<string, string>;

/**
 * A deep copy of plain data, messages and documents; other objects are kept as they are, since only their class knows how to copy them.
 * With `ids`, generated ids are exchanged on the way.
 */
export function deepCopy<T>(value: T, ids?: FreshIds): T {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map((item) => deepCopy(item, ids)) as T;
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === Object.prototype || prototype === null) return copyFields(value as Record<string, unknown>, ids) as T;
  if (isMessage(value)) return copyMessage(value, ids) as T;
  if (isDocument(value)) return Object.assign(Object.create(prototype as object) as object, copyFields(value as unknown as Record<string, unknown>, ids)) as T;
  // A Buffer's own slice would share its bytes.
  if (ArrayBuffer.isView(value) && !(value instanceof DataView)) return Uint8Array.prototype.slice.call(value) as T;
  if (prototype === Map.prototype) return new Map(deepCopy([...(value as unknown as Map<unknown, unknown>)])) as T;
  if (prototype === Set.prototype) return new Set(deepCopy([...(value as unknown as Set<unknown>)])) as T;
  if (prototype === URL.prototype) return new URL(String(value)) as T;
  return isCloned(value, prototype) ? structuredClone(value) : value;
}

const ERRORS: ReadonlySet<unknown> = new Set([Error, TypeError, RangeError, SyntaxError, ReferenceError, EvalError, URIError].map((each) => each.prototype));

/** What the runtime copies without loss: an error only as long as it has neither a class nor fields of its own. */
function isCloned(value: object, prototype: unknown): boolean {
  if (ERRORS.has(prototype)) return Object.keys(value).length === 0 && !Object.hasOwn(value, "cause");
  return prototype === Date.prototype || prototype === ArrayBuffer.prototype || prototype === RegExp.prototype || value instanceof DataView;
}

/** Whether a deep copy shares nothing with the value: no function is in it, and no object of a class that we cannot copy. What goes in circles has no copy. */
export function isCopiable(value: unknown): boolean {
  try {
    return holdsData(value);
  } catch {
    return false;
  }
}

function holdsData(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return typeof value !== "function";
  if (Array.isArray(value)) return value.every(holdsData);
  if (ArrayBuffer.isView(value)) return true;
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === Map.prototype || prototype === Set.prototype) return [...(value as Iterable<unknown>)].every(holdsData);
  if (prototype === URL.prototype || isCloned(value, prototype)) return true;
  const isPlain = (prototype === Object.prototype || prototype === null) && Object.getOwnPropertySymbols(value).length === 0;
  return (isPlain || isMessage(value) || isDocument(value)) && Object.values(value).every(holdsData);
}

function isDocument(value: object): value is { pageContent: string; metadata: object } {
  return "pageContent" in value && "metadata" in value;
}

function copyFields(value: Record<string, unknown>, ids: FreshIds | undefined): Record<string, unknown> {
  const copy: Record<string, unknown> = {};
  for (const key in value) {
    const field = value[key];
    if (typeof field === "string") copy[key] = ids && ID_KEYS.has(key) ? (ids.get(field) ?? field) : field;
    else if (typeof field !== "object" || field === null) copy[key] = field;
    else if (ids && ID_MAPS.has(key)) copy[key] = Object.fromEntries(Object.entries(field).map(([id, other]) => [ids.get(id) ?? id, other]));
    else copy[key] = deepCopy(field, PAYLOADS.has(key) ? undefined : ids);
  }
  return copy;
}

/** Without making a list of its keys. */
export function isEmpty(object: object | undefined): boolean {
  for (const _ in object) return false;
  return true;
}

export function isMessage(value: object): value is MessageLike {
  return "lc_kwargs" in value && "content" in value && "additional_kwargs" in value && "response_metadata" in value;
}

/** Copied apart, and never written to. */
const CONSTANT: ReadonlySet<string> = new Set(["lc_kwargs", "lc_namespace"]);

/** A message of the same class with fields of its own. */
export function copyMessage<M extends MessageLike>(message: M, ids?: FreshIds): M {
  const copy = Object.assign(Object.create(Object.getPrototypeOf(message) as object), message) as M & Record<string, unknown>;
  for (const key of Object.keys(message)) {
    const field = copy[key];
    if (typeof field === "object" && field !== null && !CONSTANT.has(key)) (copy as Record<string, unknown>)[key] = deepCopy(field, ids);
  }
  copy.lc_kwargs = copyKwargs(message, copy, ids);
  return copy;
}

/** `lc_kwargs` repeats the fields for serialisation; the copy's repeat the copy's. */
function copyKwargs(message: MessageLike, copy: MessageLike, ids: FreshIds | undefined): Record<string, unknown> {
  const kwargs: Record<string, unknown> = {};
  for (const key in message.lc_kwargs) {
    const value = message.lc_kwargs[key];
    const same = typeof value !== "object" || value === (message as unknown as Record<string, unknown>)[key];
    kwargs[key] = same && key in copy ? (copy as unknown as Record<string, unknown>)[key] : deepCopy(value, ids);
  }
  return kwargs;
}

/** A copy for somebody who did not pay for it: new message id, new tool-call ids, no usage. */
export function reissueMessage<M extends MessageLike>(message: M, id: string | undefined, ids: FreshIds): M {
  learnToolCallIds(message, ids);
  const copy = copyMessage(message, ids.size > 0 ? ids : undefined);
  setField(copy, "id", id);
  copy.response_metadata = withoutSpentUsage(copy.response_metadata);
  if (copy.usage_metadata) {
    copy.response_metadata.perf = { ...(copy.response_metadata.perf as object | undefined), cached: true, usage: copy.usage_metadata };
    setField(copy, "usage_metadata", zeroed(copy.usage_metadata));
  }
  setField(copy, "response_metadata", copy.response_metadata);
  return copy;
}

/** Writes who gave the answer under `perf` of its metadata. */
export function signMessage(message: MessageLike, by: object): void {
  setField(message, "response_metadata", signed(message.response_metadata, by));
}

/** Metadata with a signature. */
export function signed(metadata: Record<string, unknown> | undefined, by: object): Record<string, unknown> {
  return { ...metadata, perf: { ...(metadata?.perf as object | undefined), ...by } };
}

function setField<K extends keyof MessageLike>(message: MessageLike, key: K, value: MessageLike[K]): void {
  message[key] = value;
  message.lc_kwargs[key] = value;
}

/** Gives each tool call that this message starts an id of its own. */
export function learnToolCallIds(message: MessageLike, ids: FreshIds): void {
  for (const call of message.tool_calls ?? []) freshId(call.id, ids);
  for (const call of message.invalid_tool_calls ?? []) freshId(call.id, ids);
  for (const call of message.tool_call_chunks ?? []) freshId(call.id, ids);
  if (!Array.isArray(message.content)) return;
  for (const block of message.content as { type?: string; id?: string; call_id?: string }[]) {
    if (block?.type && TOOL_BLOCKS.has(block.type)) freshId(block.call_id ?? block.id, ids);
  }
}

/** The id that this receiver gets instead of `id`. */
export function freshId(id: string | undefined, ids: FreshIds): void {
  if (typeof id !== "string" || id === "" || ids.has(id)) return;
  ids.set(id, `call_${randomUUID().replaceAll("-", "")}`);
}

/** Provider metadata with every count of tokens at zero, so that nothing is counted twice. */
export function withoutSpentUsage<T extends Record<string, unknown>>(metadata: T): T {
  const copy: Record<string, unknown> = { ...metadata };
  for (const key of USAGE_KEYS) if (copy[key] !== undefined) copy[key] = zeroed(copy[key]);
  return copy as T;
}

/** The same shape with every number zero. */
export function zeroed<T>(value: T): T {
  if (typeof value === "number") return 0 as T;
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, field]) => [key, zeroed(field)])) as T;
}

const STRING_BYTES = 24;
const OBJECT_BYTES = 56;
/** What a message object costs beyond its fields: hidden class slots, empty arrays, `lc_kwargs`. Measured with `bench overhead`. */
const MESSAGE_BYTES = 1_250;

/** Bytes that plain data and messages take in memory, estimated. */
export function estimateBytes(value: unknown): number {
  if (typeof value === "string") return STRING_BYTES + value.length;
  if (typeof value !== "object" || value === null) return 8;
  if (ArrayBuffer.isView(value)) return OBJECT_BYTES + value.byteLength;
  if (Array.isArray(value)) {
    if (typeof value[0] === "number") return OBJECT_BYTES + 8 * value.length;
    return value.reduce<number>((sum, item) => sum + 8 + estimateBytes(item), OBJECT_BYTES);
  }
  let bytes = isMessage(value) ? MESSAGE_BYTES : OBJECT_BYTES;
  for (const key in value) if (!CONSTANT.has(key)) bytes += 8 + estimateBytes((value as Record<string, unknown>)[key]);
  return bytes;
}
