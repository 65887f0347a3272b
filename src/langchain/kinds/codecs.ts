import { BaseMessage } from "@langchain/core/messages";
import { ChatGenerationChunk, GenerationChunk, type ChatResult, type LLMResult } from "@langchain/core/outputs";
import type { PartCodec } from "../../core/layer.ts";
import { ByteReader, textOf, varintBytes, writeVarint } from "../../core/wire/bytes.ts";
import { MalformedError, UnencodableError } from "../../core/wire/errors.ts";
import { decodeValue, encodeValue } from "../../core/wire/value.ts";
import { isRecord, langchainValues, withoutRepeatedText, withRepeatedText } from "../wire.ts";
import type { StreamEvent } from "./chat-events.ts";
import { TextChunk, type PackedChunk, type PackedPart } from "./chat-parts.ts";

export { vectorCodec } from "./vector-codec.ts";

export type LLMPart = LLMResult | GenerationChunk;

/** Any value, with LangChain's messages, documents and chunks in it. */
export const plainCodec: PartCodec = {
  encoder: () => encodePlain,
  decoder: () => decodePlain,
};

function encodePlain(value: unknown): Uint8Array {
  return Buffer.from(encodeValue(value, langchainValues));
}

function decodePlain(bytes: Uint8Array): unknown {
  return decodeValue(textOf(bytes), langchainValues);
}

/** Whole answers and events as plain values; chunks after a byte that says how they are told. */
export const chatCodec: PartCodec<PackedPart> = {
  encoder(mode) {
    if (mode === "events") return encodePlain;
    return mode === "invoke" ? (result) => encodeResult(result as ChatResult) : (chunkEncoder() as (part: PackedPart) => Uint8Array);
  },
  decoder(mode) {
    if (mode === "events") return decodeEvent;
    return mode === "invoke" ? decodeResult : chunkDecoder();
  },
};

function encodeResult(result: ChatResult): Uint8Array {
  const generations = result.generations.map((generation) => (isRecord(generation) ? withoutRepeatedText(generation) : generation));
  return encodePlain({ ...result, generations });
}

function decodeResult(bytes: Uint8Array): ChatResult {
  const result = decodePlain(bytes);
  if (!isRecord(result) || !Array.isArray(result.generations) || !isOptionalRecord(result.llmOutput)) throw new MalformedError("no chat result");
  const generations = (result.generations as unknown[]).map((generation) => (isRecord(generation) ? withRepeatedText(generation) : generation));
  if (!generations.every(isChatGeneration)) throw new MalformedError("no chat generation");
  return { ...result, generations } as unknown as ChatResult;
}

function isChatGeneration(value: unknown): boolean {
  if (value instanceof ChatGenerationChunk) return true;
  return isGeneration(value) && "message" in value && BaseMessage.isInstance(value.message);
}

function isGeneration(value: unknown): value is { text: string } {
  return isRecord(value) && typeof value.text === "string" && isOptionalRecord(value.generationInfo);
}

function isOptionalRecord(value: unknown): boolean {
  return value === undefined || value === null || isRecord(value);
}

function decodeEvent(bytes: Uint8Array): StreamEvent {
  const event = decodePlain(bytes);
  if (!isRecord(event) || typeof event.event !== "string") throw new MalformedError("no event");
  return event as unknown as StreamEvent;
}

/** The first byte of a chunk: told in full, as any value is, or as its text alone. The numbers stand in what is stored. */
const FULL = 0;
const TEXT = 1;
/** With `TEXT`: the number of the full chunk that this one and the next ones are like comes first. */
const LIKE = 2;
/** With `TEXT`: half an emoji is in the text, which UTF-8 cannot say. */
const UTF16 = 4;

function chunkEncoder(): (packed: PackedChunk) => Uint8Array {
  const places = new Map<ChatGenerationChunk, number>();
  let model: ChatGenerationChunk | undefined;
  return (packed) => {
    if (!(packed instanceof TextChunk)) {
      places.set(packed, places.size);
      return chunkBytes(FULL, encodeValue(packed, langchainValues));
    }
    const { text, like } = packed;
    const tag = text.isWellFormed() ? TEXT : TEXT | UTF16;
    if (like === model) return chunkBytes(tag, text);
    const place = places.get(like);
    if (place === undefined) throw new UnencodableError("A chunk without the one that it is like");
    model = like;
    return chunkBytes(tag | LIKE, text, place);
  };
}

function chunkBytes(tag: number, text: string, place?: number): Uint8Array {
  const encoding = tag & UTF16 ? "utf16le" : "utf8";
  const start = place === undefined ? 1 : 1 + varintBytes(place);
  const bytes = Buffer.allocUnsafe(start + Buffer.byteLength(text, encoding));
  bytes[0] = tag;
  if (place !== undefined) writeVarint(bytes, 1, place);
  bytes.write(text, start, encoding);
  return bytes;
}

function chunkDecoder(): (bytes: Uint8Array) => PackedChunk {
  const full: ChatGenerationChunk[] = [];
  let model: ChatGenerationChunk | undefined;
  return (bytes) => {
    const reader = new ByteReader(bytes);
    const tag = reader.byte();
    if (tag === FULL) {
      const chunk = decodePlain(reader.rest());
      if (!(chunk instanceof ChatGenerationChunk)) throw new MalformedError("no chunk");
      full.push(chunk);
      return chunk;
    }
    if ((tag & TEXT) === 0 || tag > (TEXT | LIKE | UTF16)) throw new MalformedError("an unknown kind of chunk");
    if (tag & LIKE) model = full[reader.varint()];
    if (!model) throw new MalformedError("a chunk without the one that it is like");
    return new TextChunk(tag & UTF16 ? utf16Of(reader.rest()) : textOf(reader.rest()), model);
  };
}

function utf16Of(bytes: Uint8Array): string {
  if (bytes.length % 2 !== 0) throw new MalformedError("no UTF-16");
  return Buffer.from(bytes).toString("utf16le");
}

/** Results of text completion models and their chunks, as plain values. */
export const llmCodec: PartCodec<LLMPart> = {
  encoder: () => encodePlain,
  decoder: (mode) => (bytes) => {
    const part = decodePlain(bytes);
    if (mode === "invoke" ? !isLLMResult(part) : !isCompletionChunk(part)) throw new MalformedError("no completion");
    return part as LLMPart;
  },
};

function isLLMResult(value: unknown): boolean {
  if (!isRecord(value) || !Array.isArray(value.generations) || !isOptionalRecord(value.llmOutput)) return false;
  return value.generations.every((list: unknown) => Array.isArray(list) && list.every((item: unknown) => isCompletionChunk(item) || isGeneration(item)));
}

function isCompletionChunk(value: unknown): boolean {
  return value instanceof GenerationChunk;
}
