import { decodeExotic, encodeExotic } from "./exotic.ts";
import { MalformedError, UnencodableError } from "./errors.ts";

/** Teaches the codec classes that it does not know. */
export interface ValueExtension {
  /** An object of one of its classes as a tag and that object's fields, which may hold anything that can be told; `undefined` for any other object. */
  encode(value: object): readonly [tag: string, fields: unknown] | undefined;
  /** The object again, of decoded fields that are the callee's own. Throws on a tag or on fields that it does not know. */
  decode(tag: string, fields: unknown): unknown;
}

/** Deeper values are refused, since copying and comparing them would run out of stack. */
const MAX_DEPTH = 200;
/** What JSON cannot say stands as `{"$": [tag, fields]}`, and an object with such a key of its own as `{"$": ["object", itself]}`. */
const TAG = "$";
const ESCAPED = "object";
const UNDEFINED = "undefined";

type Fields = Record<string, unknown>;

/**
 * A value as JSON text, without loss. Plain data is plain JSON; numbers that JSON does not have, `undefined`, bigints, dates, maps, sets,
 * URLs, bytes and what `extension` knows are tagged. Arrays count by their items, a hole as `undefined`; objects by their enumerable
 * string keys, without those that are `undefined`, and come back as plain ones if they had no prototype.
 * Throws an `UnencodableError` for everything else: functions, symbols, objects of any other class, cycles, the key `__proto__`.
 */
export function encodeValue(value: unknown, extension?: ValueExtension): string {
  return JSON.stringify(new Teller(extension).tell(value));
}

/** What `encodeValue` wrote; throws a `MalformedError` on anything else. The caller bounds the length of the text. */
export function decodeValue(text: string, extension?: ValueExtension): unknown {
  let plain: unknown;
  try {
    plain = JSON.parse(text);
  } catch (error) {
    throw new MalformedError("no JSON", error);
  }
  return revive(plain, extension, 0);
}

/** Turns values into what JSON can say. What JSON can say as it is, is not copied. */
class Teller {
  readonly #extension: ValueExtension | undefined;
  /** The objects around the one at hand. */
  readonly #around: object[] = [];

  constructor(extension: ValueExtension | undefined) {
    this.#extension = extension;
  }

  tell(value: unknown): unknown {
    switch (typeof value) {
      case "string":
      case "boolean":
        return value;
      case "number":
        return Number.isFinite(value) && !Object.is(value, -0) ? value : tagged("number", Object.is(value, -0) ? "-0" : String(value));
      case "object":
        return value === null ? null : this.#tellObject(value);
      case "undefined":
        return tagged(UNDEFINED, null);
      case "bigint":
        return tagged("bigint", String(value));
      default:
        throw new UnencodableError(`A ${typeof value}`);
    }
  }

  #tellObject(value: object): unknown {
    const around = this.#around;
    if (around.length === MAX_DEPTH) throw new UnencodableError(`A value deeper than ${MAX_DEPTH} levels`);
    if (around.includes(value)) throw new UnencodableError("An object that contains itself");
    around.push(value);
    const told = this.#tellInside(value);
    around.pop();
    return told;
  }

  #tellInside(value: object): unknown {
    const prototype: unknown = Object.getPrototypeOf(value);
    if (prototype === Object.prototype || prototype === null) return this.#tellFields(value as Fields);
    if (prototype === Array.prototype) return this.#tellItems(value as unknown[]);
    const [tag, fields] = encodeExotic(value) ?? this.#extension?.encode(value) ?? unknownClass(value);
    return tagged(tag, this.tell(fields));
  }

  #tellItems(items: readonly unknown[]): readonly unknown[] {
    let told: unknown[] | undefined;
    for (let at = 0; at < items.length; at++) {
      const item = items[at];
      const plain = this.tell(item);
      if (plain !== item) (told ??= [...items])[at] = plain;
    }
    return told ?? items;
  }

  #tellFields(object: Fields): Fields {
    let told: Fields | undefined;
    for (const key of Object.keys(object)) {
      // Whoever copies such a field by assignment would give the copy a prototype.
      if (key === "__proto__") throw new UnencodableError('The key "__proto__"');
      const field = object[key];
      if (field === undefined) continue;
      const plain = this.tell(field);
      if (plain !== field) (told ??= { ...object })[key] = plain;
    }
    const fields = told ?? object;
    return object[TAG] !== undefined && Object.hasOwn(object, TAG) ? tagged(ESCAPED, fields) : fields;
  }
}

function tagged(tag: string, fields: unknown): Fields {
  return { [TAG]: [tag, fields] };
}

function unknownClass(value: object): never {
  throw new UnencodableError(`An object of class ${(value.constructor as { name?: string } | undefined)?.name ?? "unknown"}`);
}

/** Works in place: what JSON.parse made is nobody else's. */
function revive(value: unknown, extension: ValueExtension | undefined, depth: number): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (depth === MAX_DEPTH) throw new MalformedError(`a value deeper than ${MAX_DEPTH} levels`);
  if (Array.isArray(value)) return reviveItems(value, extension, depth + 1);
  if (Object.hasOwn(value, TAG)) return reviveTagged(value as Fields, extension, depth + 1);
  return reviveFields(value as Fields, extension, depth + 1);
}

function reviveItems(items: unknown[], extension: ValueExtension | undefined, depth: number): unknown[] {
  for (let at = 0; at < items.length; at++) {
    const item = items[at];
    if (typeof item === "object" && item !== null) items[at] = revive(item, extension, depth);
  }
  return items;
}

function reviveFields(object: Fields, extension: ValueExtension | undefined, depth: number): Fields {
  for (const key of Object.keys(object)) {
    if (key === "__proto__") throw new MalformedError('the key "__proto__"');
    const field = object[key];
    if (typeof field === "object" && field !== null) object[key] = revive(field, extension, depth);
  }
  return object;
}

function reviveTagged(object: Fields, extension: ValueExtension | undefined, depth: number): unknown {
  const pair = object[TAG];
  if (!Array.isArray(pair) || pair.length !== 2 || typeof pair[0] !== "string" || Object.keys(object).length !== 1) throw new MalformedError("a broken tag");
  const [tag, told] = pair as [string, unknown];
  if (tag === UNDEFINED && told === null) return undefined;
  if (tag === ESCAPED) {
    if (typeof told !== "object" || told === null || !Object.hasOwn(told, TAG)) throw new MalformedError("a broken escape");
    return reviveFields(told as Fields, extension, depth);
  }
  const fields = revive(told, extension, depth);
  return decodeExotic(tag, fields) ?? extension?.decode(tag, fields) ?? unknownTag(tag);
}

function unknownTag(tag: string): never {
  throw new MalformedError(`the tag "${tag.slice(0, 40)}"`);
}
