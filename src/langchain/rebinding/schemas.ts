/** A JSON schema, or a part of one. */
export type Schema = Readonly<Record<string, unknown>>;

/** Keywords of JSON schema that Google's API refuses. */
const REFUSED_BY_GOOGLE: ReadonlySet<string> = new Set(["$schema", "additionalProperties", "strict"]);
/** Keywords whose values are schemas by name: the names are the user's. */
const BY_NAME: ReadonlySet<string> = new Set(["properties", "patternProperties", "$defs", "definitions"]);

/** The schema without what Google's API refuses; `undefined` where it asks for nothing, which Google wants to be left out. */
export function schemaForGoogle(schema: Schema | undefined): Schema | undefined {
  const { properties } = schema ?? {};
  if (!schema || typeof properties !== "object" || Object.keys(properties as Schema).length === 0) return undefined;
  return mapSchema(schema, (keyword, value) => (REFUSED_BY_GOOGLE.has(keyword) ? undefined : value));
}

/** The schema as everybody else writes it: Google's types are in capitals. */
export function schemaOfGoogle(schema: Schema): Schema {
  return mapSchema(schema, (keyword, value) => (keyword === "type" && typeof value === "string" ? value.toLowerCase() : value));
}

/** A copy in which every keyword's value is what `map` makes of it; without those of which it makes `undefined`. */
function mapSchema(schema: Schema, map: (keyword: string, value: unknown) => unknown): Schema {
  const copy: Record<string, unknown> = {};
  for (const [keyword, value] of Object.entries(schema)) {
    const mapped = map(keyword, value);
    if (mapped === undefined) continue;
    copy[keyword] = BY_NAME.has(keyword) && isSchema(mapped) ? mapEach(mapped, map) : mapInside(mapped, map);
  }
  return copy;
}

function mapEach(schemas: Schema, map: (keyword: string, value: unknown) => unknown): Schema {
  return Object.fromEntries(Object.entries(schemas).map(([name, schema]) => [name, mapInside(schema, map)]));
}

function mapInside(value: unknown, map: (keyword: string, value: unknown) => unknown): unknown {
  if (Array.isArray(value)) return value.map((one) => mapInside(one, map));
  return isSchema(value) ? mapSchema(value, map) : value;
}

function isSchema(value: unknown): value is Schema {
  return typeof value === "object" && value !== null;
}
