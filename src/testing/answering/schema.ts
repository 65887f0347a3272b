import type { Evidence, Hint, JsonSchema } from "./json-schema.ts";
import { chooseBoolean, chooseEnum, chooseNumber, chooseString } from "./values.ts";
import { keywords, rawWords } from "./words.ts";

const DEEPEST = 12;

/** A value that follows the schema, as far as possible taken from the evidence. */
export function fillSchema(schema: JsonSchema, evidence: Evidence, name = "answer", root = schema, depth = 0): unknown {
  const resolved = resolve(schema, root);
  if (depth > DEEPEST) return null;
  if (resolved.const !== undefined) return resolved.const;
  const hint = hintOf(name, resolved);
  if (resolved.enum !== undefined) return chooseEnum(resolved.enum, hint, evidence);
  switch (typeOf(resolved)) {
    case "object":
      return fillObject(resolved, evidence, root, depth);
    case "array":
      return fillArray(resolved, hint, evidence, root, depth);
    case "boolean":
      return chooseBoolean(hint, evidence);
    case "integer":
    case "number":
      return chooseNumber(resolved, hint, evidence);
    case "null":
      return null;
    default:
      return chooseString(resolved, hint, evidence);
  }
}

function fillObject(schema: JsonSchema, evidence: Evidence, root: JsonSchema, depth: number): Record<string, unknown> {
  const entries = Object.entries(schema.properties ?? {});
  return Object.fromEntries(entries.map(([name, property]) => [name, fillSchema(property, evidence, name, root, depth + 1)]));
}

function fillArray(schema: JsonSchema, hint: Hint, evidence: Evidence, root: JsonSchema, depth: number): unknown[] {
  const items = resolve(schema.items ?? { type: "string" }, root);
  const atLeast = schema.minItems ?? 0;
  const atMost = schema.maxItems ?? Math.max(3, atLeast);
  const fill = (): unknown => fillSchema(items, evidence, hint.name, root, depth + 1);
  let values: unknown[];
  if (items.enum !== undefined) {
    const said = new Set(rawWords(evidence.question));
    values = items.enum.filter((value) => rawWords(String(value)).every((word) => said.has(word)));
  } else if (typeOf(items) === "string") {
    values = keywords(evidence.question, atMost);
  } else {
    values = [fill()];
  }
  values = values.slice(0, atMost);
  while (values.length < atLeast) values.push(fill());
  return values;
}

/** Follows references, merges `allOf`, takes the first alternative that is not null. */
function resolve(schema: JsonSchema, root: JsonSchema, depth = 0): JsonSchema {
  if (depth > DEEPEST) return {};
  if (schema.$ref !== undefined) return resolve({ ...lookUp(schema.$ref, root), ...omitRef(schema) }, root, depth + 1);
  const alternatives = schema.anyOf ?? schema.oneOf;
  if (alternatives !== undefined) {
    const chosen = alternatives.find((alternative) => alternative.type !== "null") ?? {};
    return resolve({ ...chosen, description: schema.description ?? chosen.description }, root, depth + 1);
  }
  if (schema.allOf === undefined) return schema;
  const parts = schema.allOf.map((part) => resolve(part, root, depth + 1));
  return Object.assign({}, ...parts, { properties: Object.assign({}, ...parts.map((part) => part.properties), schema.properties) }) as JsonSchema;
}

function omitRef(schema: JsonSchema): JsonSchema {
  const { $ref: _reference, ...rest } = schema;
  return rest;
}

function lookUp(reference: string, root: JsonSchema): JsonSchema {
  let place: unknown = root;
  for (const step of reference.replace(/^#\/?/, "").split("/").filter(Boolean)) {
    place = (place as Record<string, unknown> | undefined)?.[step.replaceAll("~1", "/").replaceAll("~0", "~")];
  }
  return (place ?? {}) as JsonSchema;
}

function typeOf(schema: JsonSchema): string {
  const types = schema.type === undefined ? [] : [schema.type].flat();
  const first = types.find((type) => type !== "null") ?? types[0];
  if (first !== undefined) return first;
  if (schema.properties !== undefined) return "object";
  return schema.items === undefined ? "string" : "array";
}

function hintOf(name: string, schema: JsonSchema): Hint {
  const spaced = name.replace(/([a-z0-9])([A-Z])/g, "$1 $2").replace(/[_-]+/g, " ");
  return { name: spaced.toLowerCase(), words: rawWords(`${spaced} ${schema.description ?? ""}`) };
}
