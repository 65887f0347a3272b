import { OptionError } from "./errors.ts";

interface Range<D> {
  default: D;
  min?: number;
  /** Like `min`, which itself is too little. */
  above?: number;
  max?: number;
  integer?: boolean;
}

/**
 * Reads the fields of one options object, each exactly once, and refuses whatever was not read.
 * An explicit `undefined` counts as absent.
 */
export class OptionReader {
  readonly #path: string;
  readonly #raw: Record<string, unknown>;
  readonly #known = new Set<string>();

  constructor(path: string, raw: unknown) {
    if (!isRecord(raw)) throw new OptionError(path || "options", "an object of options", raw);
    this.#path = path;
    this.#raw = raw;
  }

  number<D extends number | undefined>(name: string, range: Range<D>): number | D {
    const { min = -Infinity, above, max = Infinity, integer = false } = range;
    const value = this.#take(name);
    if (value === undefined) return range.default;
    const isWithin = typeof value === "number" && value >= min && value <= max && (above === undefined || value > above);
    if (!isWithin || (integer && !Number.isInteger(value) && value !== Infinity)) this.#refuse(name, `${integer ? "a whole number" : "a number"}${boundsOf({ min, above, max })}`, value);
    return value;
  }

  boolean<D extends boolean | undefined>(name: string, absent: D): boolean | D {
    const value = this.#take(name);
    if (value === undefined) return absent;
    if (typeof value !== "boolean") this.#refuse(name, "true or false", value);
    return value;
  }

  string<D extends string | undefined>(name: string, absent: D): string | D {
    const value = this.#take(name);
    if (value === undefined) return absent;
    if (typeof value !== "string" || value === "") this.#refuse(name, "a string that is not empty", value);
    return value;
  }

  strings(name: string): string[] | undefined {
    const value = this.#take(name);
    if (value === undefined) return undefined;
    if (!Array.isArray(value) || value.some((item) => typeof item !== "string" || item === "")) {
      this.#refuse(name, "an array of strings that are not empty", value);
    }
    return [...(value as string[])];
  }

  oneOf<T extends string>(name: string, allowed: readonly T[], absent: T): T {
    const value = this.#take(name);
    if (value === undefined) return absent;
    if (!allowed.includes(value as T)) this.#refuse(name, `one of ${allowed.map((word) => `"${word}"`).join(", ")}`, value);
    return value as T;
  }

  function<F>(name: string): F | undefined {
    const value = this.#take(name);
    if (value === undefined) return undefined;
    if (typeof value !== "function") this.#refuse(name, "a function", value);
    return value as F;
  }

  /** An object with the given methods, e.g. a logger or a tracer. */
  objectWith<T>(name: string, methods: readonly string[]): T | undefined {
    const value = this.#take(name);
    if (value === undefined) return undefined;
    if (!hasMethods(value, methods)) this.#refuse(name, `an object with ${methods.map((method) => `${method}()`).join(", ")}`, value);
    return value as T;
  }

  /** A layer's option: `true | options | false`; absent and `false` give `undefined`. */
  layer<T>(name: string, resolve: (reader: OptionReader) => T): T | undefined {
    const value = this.#take(name);
    if (value === undefined || value === false) return undefined;
    const path = this.#pathOf(name);
    if (value !== true && !isRecord(value)) throw new OptionError(path, "true, false or an object of options", value);
    return resolveWith(path, value === true ? {} : value, resolve);
  }

  /** Options that stand together under one name; absent gives `undefined`. */
  group<T>(name: string, resolve: (reader: OptionReader) => T): T | undefined {
    const value = this.#take(name);
    return value === undefined ? undefined : resolveWith(this.#pathOf(name), value, resolve);
  }

  /** The value as it came; for options whose type the caller checks. */
  raw(name: string): unknown {
    return this.#take(name);
  }

  /** The path of a field, for errors that name it. */
  pathOf(name: string): string {
    return this.#pathOf(name);
  }

  /** Call last: throws on the first key that nobody read. */
  end(): void {
    for (const key of Object.keys(this.#raw)) {
      if (!this.#known.has(key) && this.#raw[key] !== undefined) {
        throw new OptionError(this.#pathOf(key), `one of the known options (${[...this.#known].join(", ")})`, this.#raw[key]);
      }
    }
  }

  #take(name: string): unknown {
    this.#known.add(name);
    return this.#raw[name];
  }

  #pathOf(name: string): string {
    return this.#path ? `${this.#path}.${name}` : name;
  }

  #refuse(name: string, wanted: string, got: unknown): never {
    throw new OptionError(this.#pathOf(name), wanted, got);
  }
}

/** Runs one resolver over one options object and refuses unknown keys. */
export function resolveWith<T>(path: string, raw: unknown, resolve: (reader: OptionReader) => T): T {
  const reader = new OptionReader(path, raw);
  const resolved = resolve(reader);
  reader.end();
  return resolved;
}

/** Whether a value is a bag of fields: a plain object, or one of a class that shows fields of its own. A promise, a Map, a Date show none, and would count as `{}`. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  // Plain objects of another realm have a prototype of their own.
  return prototype === null || Object.getPrototypeOf(prototype) === null || Object.keys(value).length > 0;
}

/** Whether a value is an object with these methods. */
export function hasMethods(value: unknown, methods: readonly string[]): boolean {
  return typeof value === "object" && value !== null && methods.every((method) => typeof (value as Record<string, unknown>)[method] === "function");
}

function boundsOf({ min, above, max }: { min: number; above: number | undefined; max: number }): string {
  if (above !== undefined) return ` above ${above}${max === Infinity ? "" : `, and at most ${max}`}`;
  if (max !== Infinity) return ` from ${min} to ${max}`;
  return min === -Infinity ? "" : ` of at least ${min}`;
}
