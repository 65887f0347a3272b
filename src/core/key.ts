import { hash } from "node:crypto";

/**
 * The parts of an identity: what was asked, named for people. Written without loss:
 * every name and text is preceded by its length, so that no text can imitate another field.
 */
export type IdentityFields = readonly (readonly [name: string, text: string])[];

export function writeIdentity(fields: IdentityFields): string {
  let text = "";
  for (const [name, value] of fields) text += `${name.length}:${name}${value.length}:${value}`;
  return text;
}

export function readIdentity(identity: string): [name: string, text: string][] {
  const fields: [string, string][] = [];
  let at = 0;
  const take = (): string => {
    const colon = identity.indexOf(":", at);
    const start = colon + 1;
    at = start + Number(identity.slice(at, colon));
    return identity.slice(start, at);
  };
  while (at < identity.length) fields.push([take(), take()]);
  return fields;
}

/** SHA-256, so that a key holds nothing of the question in clear. */
export function digest(text: string): string {
  // UTF-8 writes every half of a cut emoji as the same replacement character.
  return hash("sha256", text.isWellFormed() ? text : Buffer.from(text, "utf16le"), "base64url");
}

/** Called for each string field of the objects that are given, not of those inside them; may write it as another text, e.g. a generated id. */
export type Rename = (key: string, value: string) => string | undefined;

/**
 * Any value as text, without loss and independent of key order: strings carry their length, bytes are hashed,
 * `undefined` fields are left out, and what cannot be compared by value (functions, exotic objects) counts by identity.
 */
export function canonical(value: unknown, rename?: Rename, key = ""): string {
  switch (typeof value) {
    case "string":
      return rename?.(key, value) ?? `"${value.length}:${value}`;
    case "number":
    case "boolean":
      return `${value};`;
    case "bigint":
      return `${value}n;`;
    case "undefined":
      return "u;";
    case "object":
      return value === null ? "z;" : canonicalObject(value, rename, key);
    default:
      return `@${instanceId(value as object)};`;
  }
}

function canonicalObject(value: object, rename: Rename | undefined, key: string): string {
  if (Array.isArray(value)) return canonicalItems(value, rename, key);
  if (ArrayBuffer.isView(value)) {
    const bytes = new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
    return `b${value.constructor.name}${hash("sha256", bytes, "base64url")};`;
  }
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === Object.prototype || prototype === null) return canonicalFields(value as Record<string, unknown>, rename);
  if (value instanceof Date) return `d${value.getTime()};`;
  if (value instanceof Map) return `m${canonical([...value].sort(), rename, key)}`;
  if (value instanceof Headers) return `h${canonicalItems([...value], rename, key)}`;
  if (value instanceof Set) return `s${canonical([...value].sort(), rename, key)}`;
  if (value instanceof URL || value instanceof URLSearchParams) return `l${canonical(String(value))}`;
  // A `toJSON` may say less than the object is: all of LangChain's tools of a class have the same.
  return `@${instanceId(value)};`;
}

function canonicalItems(items: readonly unknown[], rename: Rename | undefined, key: string): string {
  let text = "[";
  for (const item of items) text += canonical(item, rename, key);
  return `${text}]`;
}

/** The fields of an object but some, which are no part of the question. */
export function canonicalWithout(value: Record<string, unknown>, left: ReadonlySet<string>): string {
  return canonicalFields(value, undefined, left);
}

function canonicalFields(value: Record<string, unknown>, rename: Rename | undefined, left?: ReadonlySet<string>): string {
  let text = "{";
  const present: string[] = [];
  for (const key of Object.keys(value)) if (value[key] !== undefined && !left?.has(key)) present.push(key);
  for (const key of present.sort()) {
    const field = value[key];
    text += `${key.length}:${key}${canonical(field, typeof field === "string" ? rename : undefined, key)}`;
  }
  return `${text}}`;
}

/** Shared by all copies of this package in the process: two objects must not get the same number from two of them. */
const INSTANCES = Symbol.for("langchain-perf/instances@1");
const shared = globalThis as { [INSTANCES]?: { readonly ids: WeakMap<object, number>; last: number } };
const instances = (shared[INSTANCES] ??= { ids: new WeakMap(), last: 0 });

let asked = 0;

/** How often a number was asked for: a text that was written meanwhile means something in this process alone. */
export function instancesAsked(): number {
  return asked;
}

/** A number for an object that lives as long as the object and is never given twice in this process. */
export function instanceId(object: object): number {
  asked += 1;
  let id = instances.ids.get(object);
  if (id === undefined) {
    id = ++instances.last;
    instances.ids.set(object, id);
  }
  return id;
}
