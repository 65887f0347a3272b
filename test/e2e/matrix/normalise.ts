import { BaseCallbackHandler } from "@langchain/core/callbacks/base";
import { PerfCallbackHandler } from "langchain-perf";

/** What may differ between two runs of one program. */
export interface NormaliseOptions {
  /**
   * Random ids: "number" names each by its first appearance, so that which values share an id is still compared;
   * "erase" gives all the same name, for what arrives in no fixed order and for cache hits, whose ids are new.
   * @default "number"
   */
  ids?: "number" | "erase";
  /** Leaves out token usage and `response_metadata.perf`, in which a cache hit differs. @default false */
  ignoreUsage?: boolean;
}

const UUID = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g;
/** How LangChain and providers begin ids; a hit's new id may begin otherwise. */
const PREFIX = /\b(run-|call_)(?=[0-9a-f]{8}-)/g;
const TIMESTAMP = /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}(Z|[+-]\d\d:\d\d)/g;
const EXTRACTION = /extract-\d+/g;
const USAGE_KEYS = new Set(["usage_metadata", "tokenUsage", "usage", "perf", "estimatedTokenUsage"]);

/**
 * Returns a function that turns values into plain data to compare: instances carry their class, random ids,
 * timestamps and LangChain's process-wide counters are named. Ids keep their names over the calls of one function.
 */
export function createNormaliser(options: NormaliseOptions = {}): (value: unknown) => unknown {
  const ids = new Map<string, string>();
  const nameOf = (id: string): string => {
    if (options.ids === "erase") return "<id>";
    const name = ids.get(id) ?? `<id ${ids.size + 1}>`;
    ids.set(id, name);
    return name;
  };
  const text = (value: string): string => {
    let result = value;
    for (const id of tracked) result = result.replaceAll(id, (match) => nameOf(match));
    if (options.ids === "erase") result = result.replace(PREFIX, "");
    return result.replace(UUID, nameOf).replace(TIMESTAMP, "<time>").replace(EXTRACTION, "extract-<n>");
  };
  /** Ids of messages and tool calls that do not look random. */
  const tracked = new Set<string>();

  const plain = (value: unknown, above: object[]): unknown => {
    if (typeof value === "string") return text(value);
    if (typeof value === "function") return `<function ${text(value.name)}>`;
    if (typeof value !== "object" || value === null) return value;
    if (above.includes(value)) return "<circular>";
    const path = [...above, value];
    // LangGraph shows the caller's config in debug and checkpoints: with one handler more, the perf's own.
    if (Array.isArray(value)) return value.filter((item) => !(item instanceof PerfCallbackHandler)).map((item) => plain(item, path));
    if (value instanceof Date) return "<time>";
    if (value instanceof Error) return { $class: value.constructor.name, message: text(value.message) };
    if (value instanceof BaseCallbackHandler) return { $class: value.name };
    if (value instanceof Map) return { $class: "Map", entries: plain([...value], path) };
    if (value instanceof Set) return { $class: "Set", values: plain([...value], path) };
    if (ArrayBuffer.isView(value)) return [...(value as Uint8Array)];
    return { ...classOf(value), ...fieldsOf(value, path) };
  };

  const fieldsOf = (value: object, path: object[]): Record<string, unknown> => {
    const fields: Record<string, unknown> = {};
    for (const [key, field] of Object.entries(value)) {
      // The fields a message was made of repeat the message; LangChain keeps only some of them up to date.
      if (key === "lc_kwargs" || field === undefined) continue;
      if (options.ignoreUsage && USAGE_KEYS.has(key)) continue;
      fields[text(key)] = key === "timestamp" ? "<time>" : plain(field, path);
    }
    return fields;
  };

  return (value) => {
    collectIds(value, tracked);
    return plain(value, []);
  };
}

function classOf(value: object): { $class?: string } {
  const prototype = Object.getPrototypeOf(value) as object | null;
  if (prototype === null || prototype === Object.prototype) return {};
  return { $class: prototype.constructor.name };
}

/** Finds the ids of messages and tool calls, whatever they look like. */
function collectIds(value: unknown, found: Set<string>, seen: Set<object> = new Set()): void {
  if (typeof value !== "object" || value === null || seen.has(value)) return;
  seen.add(value);
  const record = value as Record<string, unknown>;
  const isToolCall = "args" in record || record.type === "function";
  if (typeof record.id === "string" && (isToolCall || "response_metadata" in record)) addId(record.id, found);
  for (const key of ["tool_call_id", "toolCallId"]) if (typeof record[key] === "string") addId(record[key], found);
  for (const item of Object.values(record)) collectIds(item, found, seen);
}

function addId(id: string, found: Set<string>): void {
  if (id !== "" && id.search(UUID) < 0) found.add(id);
}
