import { BadRequest } from "../reply.ts";

/** Reading a request's body: each function takes the field's value and the name to complain about. */

export type Body = Record<string, unknown>;

export function isObject(value: unknown): value is Body {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function requireString(value: unknown, name: string): string {
  if (typeof value !== "string" || value === "") throw new BadRequest(`${name} must be a non-empty string, got ${describe(value)}`, name);
  return value;
}

export function optionalCount(value: unknown, name: string, atLeast = 1): number | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value !== "number" || !Number.isInteger(value) || value < atLeast) {
    throw new BadRequest(`${name} must be an integer of at least ${atLeast}, got ${describe(value)}`, name);
  }
  return value;
}

export function requireArray(value: unknown, name: string): unknown[] {
  if (!Array.isArray(value) || value.length === 0) throw new BadRequest(`${name} must be a non-empty array, got ${describe(value)}`, name);
  return value;
}

export function stopSequences(value: unknown): string[] {
  return (Array.isArray(value) ? value : [value]).filter((entry): entry is string => typeof entry === "string");
}

/** The text of a message's content, which is a string or a list of parts; what is no text is named. */
export function contentText(content: unknown): string {
  if (typeof content === "string") return content;
  if (!Array.isArray(content)) return "";
  return content.map((part) => (typeof part === "string" ? part : partText(part))).filter(Boolean).join("\n");
}

function partText(part: unknown): string {
  if (!isObject(part)) return "";
  if (typeof part.text === "string") return part.text;
  if (typeof part.refusal === "string") return part.refusal;
  return typeof part.type === "string" && !/^(?:tool_use|thinking|redacted_thinking|reasoning)$/.test(part.type) ? `[${part.type}]` : "";
}

export function describe(value: unknown): string {
  if (value === undefined) return "nothing";
  const text = JSON.stringify(value);
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}
