import type { PartCodec } from "../../core/layer.ts";
import { ByteReader, textOf, varintBytes, writeVarint } from "../../core/wire/bytes.ts";
import { MalformedError, UnencodableError } from "../../core/wire/errors.ts";
import { decodeValue, encodeValue } from "../../core/wire/value.ts";

/** The first byte of a part: a plain value, or one vector, which takes up the rest. The numbers stand in what is stored. */
const VALUE = 0;
const VECTOR = 1;
/** With `VECTOR`: several vectors, their number first, each after its length. */
const SEVERAL = 2;
/** With `VECTOR`: 8 bytes a number, since some number does not fit into 4 without loss. */
const DOUBLE = 4;

/**
 * Embeddings as binary numbers, little-endian: single precision where every number survives it, as those of most providers do, else
 * double. Other lists, typed arrays for one, are told as plain values.
 */
export const vectorCodec: PartCodec<number[] | number[][]> = {
  encoder: () => encodeVectors,
  decoder: () => decodeVectors,
};

function encodeVectors(part: number[] | number[][]): Uint8Array {
  if (isVector(part)) return encodeOne(part);
  if (Array.isArray(part) && part.every(isVector)) return encodeSeveral(part);
  if (!isList(part)) throw new UnencodableError("An embedding that is no list");
  const text = encodeValue(part);
  const bytes = Buffer.allocUnsafe(1 + Buffer.byteLength(text));
  bytes[0] = VALUE;
  bytes.write(text, 1);
  return bytes;
}

function isVector(part: unknown): part is number[] {
  if (!Array.isArray(part) || part.length === 0) return false;
  for (let at = 0; at < part.length; at++) if (typeof part[at] !== "number") return false;
  return true;
}

function encodeOne(vector: readonly number[]): Uint8Array {
  const width = widthOf(vector);
  const bytes = Buffer.allocUnsafe(1 + width * vector.length);
  bytes[0] = tagOf(VECTOR, width);
  writeNumbers(bytes, 1, vector, width);
  return bytes;
}

function encodeSeveral(vectors: readonly (readonly number[])[]): Uint8Array {
  const width = vectors.every((vector) => widthOf(vector) === 4) ? 4 : 8;
  let length = 1 + varintBytes(vectors.length);
  for (const vector of vectors) length += varintBytes(vector.length) + width * vector.length;
  const bytes = Buffer.allocUnsafe(length);
  bytes[0] = tagOf(VECTOR | SEVERAL, width);
  let at = writeVarint(bytes, 1, vectors.length);
  for (const vector of vectors) {
    at = writeVarint(bytes, at, vector.length);
    at = writeNumbers(bytes, at, vector, width);
  }
  return bytes;
}

type Width = 4 | 8;

function widthOf(vector: readonly number[]): Width {
  for (const number of vector) if (!Object.is(Math.fround(number), number)) return 8;
  return 4;
}

function tagOf(tag: number, width: Width): number {
  return width === 4 ? tag : tag | DOUBLE;
}

/** @returns where the next byte goes */
function writeNumbers(target: Buffer, start: number, vector: readonly number[], width: Width): number {
  const view = new DataView(target.buffer, target.byteOffset + start, width * vector.length);
  let at = 0;
  for (const number of vector) {
    if (width === 4) view.setFloat32(at, number, true);
    else view.setFloat64(at, number, true);
    at += width;
  }
  return start + at;
}

function decodeVectors(bytes: Uint8Array): number[] | number[][] {
  const reader = new ByteReader(bytes);
  const tag = reader.byte();
  if (tag === VALUE) return decodeList(textOf(reader.rest()));
  if ((tag & VECTOR) === 0 || tag > (VECTOR | SEVERAL | DOUBLE)) throw new MalformedError("an unknown kind of vector");
  const width = tag & DOUBLE ? 8 : 4;
  if (!(tag & SEVERAL)) return readNumbers(reader.rest(), width);
  const vectors: number[][] = [];
  const count = reader.varint();
  while (vectors.length < count) vectors.push(readNumbers(reader.take(reader.varint() * width), width));
  reader.end();
  return vectors;
}

function decodeList(text: string): number[] {
  const list = decodeValue(text);
  if (!isList(list)) throw new MalformedError("no list");
  return list as number[];
}

function isList(value: unknown): boolean {
  return Array.isArray(value) || ArrayBuffer.isView(value);
}

function readNumbers(bytes: Uint8Array, width: Width): number[] {
  if (bytes.length % width !== 0) throw new MalformedError("half a number");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const vector: number[] = [];
  for (let at = 0; at < bytes.length; at += width) vector.push(width === 4 ? view.getFloat32(at, true) : view.getFloat64(at, true));
  return vector;
}
