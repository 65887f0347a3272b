import { ByteReader, varintBytes, writeVarint } from "../../core/wire/bytes.ts";

/** Where a frame belongs: it counts nowhere else. */
export function placeOf(key: string, token: string, number: number): string {
  return `${key}#${token}#${number}`;
}

/** Several encoded parts as one frame, each after its length. */
export function joinParts(parts: readonly Uint8Array[]): Uint8Array {
  const length = parts.reduce((sum, part) => sum + varintBytes(part.length) + part.length, 0);
  const frame = Buffer.allocUnsafe(length);
  let at = 0;
  for (const part of parts) {
    at = writeVarint(frame, at, part.length);
    frame.set(part, at);
    at += part.length;
  }
  return frame;
}

/** What `joinParts` joined; throws on anything else. */
export function* splitParts(frame: Uint8Array): Generator<Uint8Array> {
  const reader = new ByteReader(frame);
  while (reader.remaining > 0) yield reader.take(reader.varint());
}
