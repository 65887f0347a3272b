import { endianness } from "node:os";
import { MalformedError } from "./errors.ts";

type ViewClass = new (buffer: ArrayBuffer) => ArrayBufferView;

/** Views of bytes by their class's name; buffers are told apart from other Uint8Arrays. */
const VIEWS: ReadonlyMap<string, ViewClass> = new Map<string, ViewClass>(
  [
    Uint8Array, Uint8ClampedArray, Int8Array, Uint16Array, Int16Array, Uint32Array, Int32Array, Float32Array, Float64Array, BigInt64Array, BigUint64Array, DataView,
  ].map((view) => [view.name, view]),
);
const VIEW_NAMES: ReadonlyMap<unknown, string> = new Map([...VIEWS].map(([name, view]) => [view.prototype as unknown, name]));
const SWAPPED = endianness() === "BE";
const NUMBERS: ReadonlyMap<unknown, number> = new Map([["NaN", Number.NaN], ["Infinity", Infinity], ["-Infinity", -Infinity], ["-0", -0]]);

/** JavaScript's own objects that JSON does not have, as tag and fields; not those of a subclass, which may mean more. */
export function encodeExotic(value: object): readonly [tag: string, fields: unknown] | undefined {
  const prototype: unknown = Object.getPrototypeOf(value);
  switch (prototype) {
    case Date.prototype:
      return ["Date", (value as Date).getTime()];
    case Map.prototype:
      return ["Map", [...(value as Map<unknown, unknown>)]];
    case Set.prototype:
      return ["Set", [...(value as Set<unknown>)]];
    case URL.prototype:
      return ["URL", (value as URL).href];
    case Buffer.prototype:
      return ["Buffer", (value as Buffer).toString("base64")];
    case ArrayBuffer.prototype:
      return ["ArrayBuffer", Buffer.from(value as ArrayBuffer).toString("base64")];
    default: {
      const name = VIEW_NAMES.get(prototype);
      return name === undefined ? undefined : [name, base64Of(value as ArrayBufferView)];
    }
  }
}

/** @returns `undefined` for a tag that is none of `encodeExotic`'s, or stands for a primitive that is not one of ours */
export function decodeExotic(tag: string, fields: unknown): unknown {
  switch (tag) {
    case "number":
      return NUMBERS.get(fields) ?? refuse(tag);
    case "bigint":
      return typeof fields === "string" && /^-?\d+$/.test(fields) ? BigInt(fields) : refuse(tag);
    case "Date":
      return dateOf(fields) ?? refuse(tag);
    case "Map":
      return Array.isArray(fields) && fields.every((entry) => Array.isArray(entry) && entry.length === 2) ? new Map(fields as [unknown, unknown][]) : refuse(tag);
    case "Set":
      return Array.isArray(fields) ? new Set(fields) : refuse(tag);
    case "URL":
      return typeof fields === "string" ? (URL.parse(fields) ?? refuse(tag)) : refuse(tag);
    case "Buffer":
      return bytesOf(tag, fields);
    case "ArrayBuffer":
      return apart(bytesOf(tag, fields));
    default: {
      const view = VIEWS.get(tag);
      return view && viewOf(tag, view, bytesOf(tag, fields));
    }
  }
}

function dateOf(fields: unknown): Date | undefined {
  const date = new Date(typeof fields === "number" ? fields : Number.NaN);
  return Object.is(date.getTime(), fields) ? date : undefined;
}

/** Refuses what base64 reads leniently. */
function bytesOf(tag: string, fields: unknown): Buffer {
  if (typeof fields !== "string") return refuse(tag);
  const bytes = Buffer.from(fields, "base64");
  return bytes.toString("base64") === fields ? bytes : refuse(tag);
}

/** Bytes that share no memory with others, as new typed arrays do not. */
function apart(bytes: Uint8Array): ArrayBuffer {
  return new Uint8Array(bytes).buffer;
}

/** Numbers are told in little-endian order, whatever this machine's own is. */
function base64Of(view: ArrayBufferView): string {
  const bytes = Buffer.from(view.buffer, view.byteOffset, view.byteLength);
  return (SWAPPED ? swap(Buffer.from(bytes), widthOf(view)) : bytes).toString("base64");
}

function viewOf(tag: string, view: ViewClass, bytes: Buffer): ArrayBufferView {
  const width = widthOf(view);
  if (bytes.length % width !== 0) refuse(tag);
  return new view(apart(SWAPPED ? swap(bytes, width) : bytes));
}

/** Bytes of one of a view's numbers; a DataView has none of its own. */
function widthOf(view: object): number {
  return (view as { BYTES_PER_ELEMENT?: number }).BYTES_PER_ELEMENT ?? 1;
}

function swap(bytes: Buffer, width: number): Buffer {
  if (width === 2) return bytes.swap16();
  if (width === 4) return bytes.swap32();
  return width === 8 ? bytes.swap64() : bytes;
}

function refuse(tag: string): never {
  throw new MalformedError(`a broken ${tag}`);
}
