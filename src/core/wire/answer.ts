import type { Answer, Mode, PartCodec } from "../layer.ts";
import { ByteReader, varintBytes, writeVarint } from "./bytes.ts";
import { MalformedError } from "./errors.ts";

/** Their places are their numbers: only ever add to the end. */
const MODES: readonly Mode[] = ["invoke", "stream", "events"];

/** An answer as one byte for its mode, the number of its parts, and each part after its length. Throws when a part cannot leave this process. */
export function encodeAnswer<Packed>(codec: PartCodec<Packed>, { mode, parts }: Answer<Packed>): Uint8Array {
  const encode = codec.encoder(mode);
  const encoded = parts.map((part) => encode(part));
  let length = 1 + varintBytes(encoded.length);
  for (const part of encoded) length += varintBytes(part.length) + part.length;
  const bytes = Buffer.allocUnsafe(length);
  bytes[0] = MODES.indexOf(mode);
  let at = writeVarint(bytes, 1, encoded.length);
  for (const part of encoded) {
    at = writeVarint(bytes, at, part.length);
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** What `encodeAnswer` wrote; throws on anything else. */
export function decodeAnswer<Packed>(codec: PartCodec<Packed>, bytes: Uint8Array): Answer<Packed> {
  const reader = new ByteReader(bytes);
  const mode = MODES[reader.byte()];
  if (mode === undefined) throw new MalformedError("an unknown mode");
  const count = reader.varint();
  if (mode === "invoke" && count !== 1) throw new MalformedError(`${count} parts of one whole`);
  const decode = codec.decoder(mode);
  const parts: Packed[] = [];
  while (parts.length < count) parts.push(decode(reader.take(reader.varint())));
  reader.end();
  return { mode, parts };
}
