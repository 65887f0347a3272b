import { isUtf8 } from "node:buffer";
import { MalformedError } from "./errors.ts";

/** Bytes of a count in base 128, the lowest digits first. */
export function varintBytes(count: number): number {
  let bytes = 1;
  for (let rest = count; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes += 1;
  return bytes;
}

/** Writes a count in base 128, the lowest digits first. @returns where the next byte goes */
export function writeVarint(target: Uint8Array, at: number, count: number): number {
  let rest = count;
  let end = at;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) target[end++] = (rest % 0x80) | 0x80;
  target[end] = rest;
  return end + 1;
}

/** Reads bytes front to back; throws a `MalformedError` beyond their end. */
export class ByteReader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get remaining(): number {
    return this.#bytes.length - this.#at;
  }

  byte(): number {
    const byte = this.#bytes[this.#at++];
    if (byte === undefined) throw new MalformedError("bytes that end too early");
    return byte;
  }

  /** What `writeVarint` wrote. */
  varint(): number {
    let value = 0;
    for (let scale = 1; scale < 2 ** 35; scale *= 0x80) {
      const byte = this.byte();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
    throw new MalformedError("a number without an end");
  }

  /** The next bytes; a view, no copy. */
  take(length: number): Uint8Array {
    if (length > this.remaining) throw new MalformedError("bytes that end too early");
    const start = this.#at;
    this.#at += length;
    return this.#bytes.subarray(start, this.#at);
  }

  /** All bytes that are left. */
  rest(): Uint8Array {
    return this.take(this.remaining);
  }

  end(): void {
    if (this.remaining > 0) throw new MalformedError("bytes after the end");
  }
}

/** UTF-8 as text; unlike a Buffer's own reading, broken bytes are refused and not replaced. */
export function textOf(bytes: Uint8Array): string {
  if (!isUtf8(bytes)) throw new MalformedError("no UTF-8");
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString();
}
