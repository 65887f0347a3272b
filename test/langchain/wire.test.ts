import { Document } from "@langchain/core/documents";
import {
  AIMessage, AIMessageChunk, ChatMessage, ChatMessageChunk, FunctionMessage, FunctionMessageChunk, HumanMessage, HumanMessageChunk, RemoveMessage,
  SystemMessage, SystemMessageChunk, ToolMessage, ToolMessageChunk, type BaseMessage, type BaseMessageChunk,
} from "@langchain/core/messages";
import { ChatGenerationChunk, GenerationChunk, type ChatResult } from "@langchain/core/outputs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { PartCodec } from "../../src/core/layer.ts";
import { decodeAnswer, encodeAnswer } from "../../src/core/wire/answer.ts";
import { MalformedError, UnencodableError } from "../../src/core/wire/errors.ts";
import { decodeValue, encodeValue } from "../../src/core/wire/value.ts";
import { chunkPacker, TextChunk, wholeOf, type PackedChunk, type PackedPart } from "../../src/langchain/kinds/chat-parts.ts";
import { chatCodec, llmCodec, plainCodec, vectorCodec } from "../../src/langchain/kinds/codecs.ts";
import { copyMessage, deepCopy, type MessageLike } from "../../src/langchain/messages.ts";
import { langchainValues } from "../../src/langchain/wire.ts";

const SEED = 37;
const text = fc.string({ unit: fc.constantFrom("a", " ", '"', "é", "😀", "\ud83d", "\ude00", "$"), maxLength: 8 });
const id = fc.option(text, { nil: undefined });
const record = fc.dictionary(fc.constantFrom("a", "b", "$", "model_name", "finish_reason", "index"), fc.oneof(text, fc.integer(), fc.constant(null), fc.record({ deep: fc.array(text, { maxLength: 2 }) })), { maxKeys: 3, noNullPrototype: true });
const content = fc.oneof(text, fc.array(fc.oneof(
  fc.record({ type: fc.constant("text" as const), text }),
  fc.record({ type: fc.constant("image_url" as const), image_url: fc.record({ url: fc.constant("data:image/png;base64,AA==") }) }),
  fc.record({ type: fc.constant("file" as const), data: fc.uint8Array({ maxLength: 4 }), mimeType: fc.constant("application/pdf") }),
), { maxLength: 3 })) as fc.Arbitrary<string>;
const toolCall = fc.record({ type: fc.constant("tool_call" as const), id, name: text, args: record });
const invalidCall = fc.record({ type: fc.constant("invalid_tool_call" as const), id, name: text, args: text, error: text });
const callChunk = fc.record({ type: fc.constant("tool_call_chunk" as const), index: fc.nat(2), id, name: id, args: fc.constantFrom("", "{", '{"a":1}', "}", '"x"') });
const usage = fc.option(fc.record({ input_tokens: fc.nat(), output_tokens: fc.nat(), total_tokens: fc.nat(), input_token_details: fc.record({ cache_read: fc.nat() }) }), { nil: undefined });
const metadata = fc.oneof(record, fc.constant({ output_version: "v1" }), fc.constant({ model_provider: "openai" }));
const base = { content, id, name: id, additional_kwargs: record, response_metadata: record };
const fields = fc.record(base);
const aiChunk = fc.record({ ...base, response_metadata: metadata, tool_call_chunks: fc.array(callChunk, { maxLength: 2 }), usage_metadata: usage }, { requiredKeys: ["content"] }).map((given) => new AIMessageChunk(given as never));

const messages: fc.Arbitrary<BaseMessage> = fc.oneof(
  aiChunk,
  fc.record({ ...base, response_metadata: metadata, tool_calls: fc.array(toolCall, { maxLength: 2 }), invalid_tool_calls: fc.array(invalidCall, { maxLength: 1 }), usage_metadata: usage }, { requiredKeys: ["content"] }).map((given) => new AIMessage(given as never)),
  text.map((given) => new AIMessage(given)),
  fields.map((given) => new HumanMessage(given)), fields.map((given) => new HumanMessageChunk(given)),
  fields.map((given) => new SystemMessage(given)), fields.map((given) => new SystemMessageChunk(given)),
  fc.record({ ...base, tool_call_id: text, status: fc.constantFrom("success" as const, "error" as const, undefined), artifact: fc.oneof(record, fc.constant(new Map([[1, 2]])), fc.constant(undefined)), metadata: fc.option(record, { nil: undefined }) }).map((given) => new ToolMessage(given)),
  fc.record({ ...base, tool_call_id: text, artifact: record }).map((given) => new ToolMessageChunk(given)),
  fc.record({ ...base, name: text }).map((given) => new FunctionMessage(given)), fc.record({ ...base, name: text }).map((given) => new FunctionMessageChunk(given)),
  fc.record({ ...base, role: text }).map((given) => new ChatMessage(given)), fc.record({ ...base, role: text }).map((given) => new ChatMessageChunk(given)),
  text.map((given) => new RemoveMessage({ id: given })),
);

const roundTrip = <T>(value: T): T => decodeValue(encodeValue(value, langchainValues), langchainValues) as T;
const copyOf = (message: BaseMessage): BaseMessage => copyMessage(message as unknown as MessageLike) as unknown as BaseMessage;
const over = <Packed>(codec: PartCodec<Packed>, mode: "invoke" | "stream" | "events", parts: readonly Packed[]): readonly Packed[] =>
  decodeAnswer(codec, encodeAnswer(codec, { mode, parts })).parts;
/** Plain data loses its undefined properties; those of the objects themselves stay. */
const expectCopy = (message: BaseMessage, decoded: BaseMessage): void => {
  const copy = copyOf(message);
  expect(decoded).toEqual(copy);
  expect(Object.getPrototypeOf(decoded)).toBe(Object.getPrototypeOf(message));
  expect(Reflect.ownKeys(decoded)).toEqual(Reflect.ownKeys(copy));
  expect(Object.keys(decoded.lc_kwargs)).toEqual(Object.keys(copy.lc_kwargs));
  expect(JSON.stringify(decoded)).toBe(JSON.stringify(copy));
  expect(decoded.toDict()).toEqual(copy.toDict());
  for (const [key, value] of Object.entries(decoded.lc_kwargs)) {
    if (typeof value === "object" && value !== null && copy.lc_kwargs[key] === (copy as never)[key]) expect(value).toBe((decoded as never)[key]);
  }
};

describe("messages on the wire", () => {
  it("are what copyMessage makes of them", () => {
    fc.assert(fc.property(messages, (message) => expectCopy(message, roundTrip(message))), { seed: SEED, numRuns: 1_500 });
  });

  it("behave the same: concat, contentBlocks, text", () => {
    fc.assert(fc.property(aiChunk, aiChunk, (first, second) => {
      const [a, b] = roundTrip([first, second]) as [AIMessageChunk, AIMessageChunk];
      expect(a.contentBlocks).toEqual(first.contentBlocks);
      let expected: AIMessageChunk | undefined;
      try {
        expected = first.concat(second);
      } catch {
        expect(() => a.concat(b)).toThrow();
      }
      if (expected) expect(a.concat(b).toJSON()).toEqual(expected.toJSON());
    }), { seed: SEED, numRuns: 300 });
  });

  it("keep tool calls that the constructor would work out anew", () => {
    const chunk = new AIMessageChunk({ content: "", tool_call_chunks: [{ type: "tool_call_chunk", index: 0, id: "a", name: "f", args: "{}" }] });
    chunk.tool_calls = [{ type: "tool_call", id: "a", name: "f", args: { changed: true } }];
    expectCopy(chunk, roundTrip(chunk));
  });

  it("keep what a constructor was given besides the fields", () => {
    const given = new AIMessage({ contentBlocks: [{ type: "text", text: "a" }, { type: "tool_call", id: "1", name: "f", args: {} }] });
    expectCopy(given, roundTrip(given));
    const more = new HumanMessage({ content: "a", type: "human", extra: { a: [-0] } } as never);
    expectCopy(more, roundTrip(more));
  });

  it("make a message again that was made of a message", () => {
    const message = new AIMessage(new AIMessage({ content: "a", id: "1" }) as never);
    expectCopy(copyOf(message), roundTrip(copyOf(message)));
  });

  it("refuse classes and fields that are not on the list", () => {
    class ProviderMessage extends AIMessage {
      readonly secret = 1;
    }
    class NamedMessage extends AIMessage {}
    class Source extends Document {}
    const refused = [
      new ProviderMessage("a"), new NamedMessage("a"), new Source({ pageContent: "a" }), Object.assign(new AIMessage("a"), { own: 1 }), Object.assign(new AIMessage("a"), { type: "human" }),
      Object.assign(new AIMessage("a"), { content: 5 }), new AIMessage({ content: "a", toJSON: 1 } as never), new HumanMessage({ content: "a", additional_kwargs: { callback: () => 1 } }), new AIMessage({ content: "a", extra: /a/ } as never),
    ];
    for (const value of refused) expect(() => encodeValue([value], langchainValues), JSON.stringify(value)).toThrow(UnencodableError);
  });
});

describe("documents and generations on the wire", () => {
  it("come back as they were", () => {
    const values = [
      new Document({ pageContent: "a", metadata: { source: "b", when: new Date(1), $: 1 } }), new Document({ pageContent: "", id: "1" }),
      new GenerationChunk({ text: "a" }), new GenerationChunk({ text: "a", generationInfo: { finish_reason: "stop" } }),
      new ChatGenerationChunk({ text: "a", message: new AIMessageChunk("a") }), new ChatGenerationChunk({ text: "another", message: new AIMessageChunk("a"), generationInfo: { a: 1 } }),
    ];
    for (const value of values) expect(roundTrip(value)).toStrictEqual(value);
  });
});

describe("poisoned values", () => {
  const message = (changes: object): string => JSON.stringify({ $: ["AIMessage", { content: "a", additional_kwargs: {}, response_metadata: {}, tool_calls: [], invalid_tool_calls: [], lc_kwargs: ["content"], ...changes }] });

  it("are refused", () => {
    expect(decodeValue(message({}), langchainValues)).toBeInstanceOf(AIMessage);
    const refused = [
      message({ toJSON: "x" }), message({ constructor: {} }), message({ type: "human" }), message({ lc_namespace: [] }), message({ content: 5 }), message({ content: null }), message({ tool_calls: "x" }),
      message({ tool_calls: [1] }), message({ id: {} }), message({ usage_metadata: 1 }), message({ additional_kwargs: [] }), message({ response_metadata: null }), message({ lc_kwargs: {} }),
      message({ lc_kwargs: undefined }), message({ lc_kwargs: ["toDict"] }), message({ lc_kwargs: ["__proto__"] }), message({ lc_kwargs: [["toJSON", {}]] }), message({ lc_kwargs: [["constructor", 1]] }), message({ lc_kwargs: [["__proto__", { a: 1 }]] }), message({ lc_kwargs: [1] }),
      '{"$":["AIMessage",[]]}', '{"$":["AIMessage",{}]}', '{"$":["BaseMessage",{}]}', '{"$":["Document",{"pageContent":"a"}]}', '{"$":["Document",{"pageContent":1,"metadata":{}}]}',
      '{"$":["Document",{"pageContent":"a","metadata":{},"lc_kwargs":[]}]}', '{"$":["ChatGenerationChunk",{"text":"a","message":{"content":"a"}}]}', '{"$":["ChatGenerationChunk",{"text":"a"}]}',
      '{"$":["GenerationChunk",{"text":1}]}', '{"lc":1,"$":["constructor"]}',
    ];
    for (const told of refused) expect(() => decodeValue(told, langchainValues), told).toThrow(MalformedError);
    expect(decodeValue('{"lc":1,"type":"constructor","id":["langchain_core","messages","AIMessage"],"kwargs":{}}', langchainValues)).toStrictEqual(
      { lc: 1, type: "constructor", id: ["langchain_core", "messages", "AIMessage"], kwargs: {} },
    );
  });

  it("give an answer or an error, whatever is changed", () => {
    const before = Reflect.ownKeys(Object.prototype);
    const known = new Set<unknown>([Object, Array, AIMessageChunk, ChatGenerationChunk, TextChunk]);
    const check = (value: unknown): void => {
      if (typeof value !== "object" || value === null) return;
      expect(known.has(Object.getPrototypeOf(value)?.constructor)).toBe(true);
      for (const inner of Object.values(value)) check(inner);
    };
    fc.assert(fc.property(fc.array(aiChunk.filter((chunk) => typeof chunk.content === "string"), { minLength: 1, maxLength: 3 }), fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 3 }), (chunks, flips) => {
      const bytes = encodeAnswer(chatCodec, { mode: "stream", parts: packed(chunks) });
      for (const [at, byte] of flips) bytes[at % bytes.length] = byte;
      try {
        for (const part of decodeAnswer(chatCodec, bytes).parts) check(part);
      } catch (error) {
        expect(error).toBeInstanceOf(MalformedError);
      }
      expect(Reflect.ownKeys(Object.prototype)).toEqual(before);
    }), { seed: SEED, numRuns: 1_000 });
  });

  it("are refused as random bytes by every codec and mode", () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 40 }), fc.constantFrom("invoke" as const, "stream" as const, "events" as const), (bytes, mode) => {
      for (const codec of [chatCodec, llmCodec, plainCodec, vectorCodec]) {
        try {
          codec.decoder(mode)(bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(MalformedError);
        }
      }
    }), { seed: SEED, numRuns: 2_000 });
  });
});

const generation = (message: BaseMessageChunk, generationInfo?: Record<string, unknown>): ChatGenerationChunk =>
  new ChatGenerationChunk({ text: typeof message.content === "string" ? message.content : "", message, ...(generationInfo ? { generationInfo } : {}) });
const packed = (chunks: readonly BaseMessageChunk[]): PackedChunk[] => {
  const pack = chunkPacker();
  return chunks.map((chunk) => pack(generation(chunk)));
};

describe("chatCodec", () => {
  const tokens = fc.array(fc.oneof({ arbitrary: text.map((content) => new AIMessageChunk({ content, id: "1", response_metadata: { model_provider: "none" } })), weight: 4 }, aiChunk), { maxLength: 30 });

  it("keeps streams, and which chunk is like which", () => {
    fc.assert(fc.property(tokens, (chunks) => {
      const parts = packed(chunks);
      const decoded = over(chatCodec, "stream", parts as PackedPart[]) as PackedChunk[];
      expect(decoded).toEqual(parts);
      for (const [at, part] of parts.entries()) {
        if (part instanceof TextChunk) expect((decoded[at] as TextChunk).like).toBe(decoded[parts.indexOf(part.like)]);
      }
    }), { seed: SEED, numRuns: 300 });
  });

  it("tells a token as one byte and its text", () => {
    const parts = packed(["one", "two", "three", "é", "\ud83d"].map((content) => new AIMessageChunk({ content, id: "1" })));
    const encode = chatCodec.encoder("stream");
    expect(parts.map((part) => encode(part).length).slice(1)).toEqual([5, 6, 3, 3]);
  });

  it("keeps whole answers, the text said once", () => {
    const message = new AIMessage({ content: "the answer", id: "1", usage_metadata: { input_tokens: 1, output_tokens: 2, total_tokens: 3 } });
    const result: ChatResult = {
      generations: [{ text: "the answer", message, generationInfo: { finish_reason: "stop" } }, { text: "other", message: new AIMessage("content") }, generation(new AIMessageChunk("chunk"))],
      llmOutput: { tokenUsage: { totalTokens: 3 } },
    };
    expect(over(chatCodec, "invoke", [result])).toStrictEqual([result]);
    expect(Buffer.from(encodeAnswer(chatCodec, { mode: "invoke", parts: [result] })).toString().split("the answer")).toHaveLength(2);
    expect(wholeOf({ mode: "stream", parts: over(chatCodec, "stream", packed([new AIMessageChunk("a"), new AIMessageChunk("b")])) }).generations[0]?.text).toBe("ab");
  });

  it("keeps events", () => {
    const events = [{ event: "message-start", id: "1" }, { event: "content-block-delta", index: 0, delta: { type: "text-delta", text: "a" } }, { event: "message-finish", reason: "stop" }];
    expect(over(chatCodec, "events", events as unknown as PackedPart[])).toStrictEqual(events);
  });

  it("refuses parts of another shape", () => {
    const asBytes = (value: unknown, tag?: number): Uint8Array => Buffer.concat([tag === undefined ? Buffer.of() : Buffer.of(tag), Buffer.from(encodeValue(value, langchainValues))]);
    const invoke = chatCodec.decoder("invoke");
    for (const value of [null, {}, { generations: {} }, { generations: [1] }, { generations: [{ text: "a" }] }, { generations: [{ text: "a", message: { content: "a" } }] }, { generations: [], llmOutput: 1 }]) {
      expect(() => invoke(asBytes(value))).toThrow(MalformedError);
    }
    for (const bytes of [[], [1, 65], [3, 0, 65], [3, 9], [2], [8, 65], [255]]) expect(() => chatCodec.decoder("stream")(Uint8Array.from(bytes))).toThrow(MalformedError);
    expect(() => chatCodec.decoder("stream")(asBytes({ text: "a" }, 0))).toThrow(MalformedError);
    expect(() => chatCodec.decoder("events")(asBytes({ a: 1 }))).toThrow(MalformedError);
    const decode = chatCodec.decoder("stream");
    decode(chatCodec.encoder("stream")(generation(new AIMessageChunk("a"))));
    for (const bytes of [[3, 1, 65], [3, 0, 0xff], [7, 0, 65]]) expect(() => decode(Uint8Array.from(bytes))).toThrow(MalformedError);
    expect(decode(Uint8Array.from([3, 0, 65]))).toMatchObject({ text: "A" });
  });

  it("refuses a text without its chunk", () => {
    const [, second] = packed([new AIMessageChunk("a"), new AIMessageChunk("b")]);
    expect(() => chatCodec.encoder("stream")(second as PackedChunk)).toThrow(UnencodableError);
  });
});

describe("llmCodec and plainCodec", () => {
  it("keep completions", () => {
    const result = { generations: [[{ text: "a", generationInfo: { finish_reason: "stop" } }, new GenerationChunk({ text: "b" })], []], llmOutput: { tokenUsage: { totalTokens: 1 } } };
    expect(over(llmCodec, "invoke", [result])).toStrictEqual([result]);
    const chunks = [new GenerationChunk({ text: "a" }), new GenerationChunk({ text: "b", generationInfo: { a: 1 } })];
    expect(over(llmCodec, "stream", chunks)).toStrictEqual(chunks);
    for (const value of ["null", "{}", '{"generations":[{}]}', '{"generations":[[{"text":1}]]}', "[]"]) {
      expect(() => llmCodec.decoder("invoke")(Buffer.from(value))).toThrow(MalformedError);
      expect(() => llmCodec.decoder("stream")(Buffer.from(value))).toThrow(MalformedError);
    }
  });

  it("keep what tools and retrievers answer", () => {
    for (const value of [undefined, "text", [new Document({ pageContent: "a", metadata: { n: 1n } })], { rows: [{ at: new Date(1), bytes: Buffer.from("a") }] }]) {
      expect(over(plainCodec, "invoke", [deepCopy(value)])).toStrictEqual([value]);
    }
    const message = new ToolMessage({ content: "a", tool_call_id: "1", artifact: new Map([["a", new Set([1])]]) });
    expectCopy(message, over(plainCodec, "invoke", [message])[0] as BaseMessage);
    expect(() => plainCodec.encoder("invoke")((async function* () {})())).toThrow(UnencodableError);
    expect(() => plainCodec.decoder("invoke")(Buffer.from([0x22, 0xff, 0x22]))).toThrow(MalformedError);
  });
});

describe("vectorCodec", () => {
  const single = fc.float().map((number) => Math.fround(number));
  const vector = fc.oneof(fc.array(single, { maxLength: 20 }), fc.array(fc.double(), { maxLength: 20 }));

  it("keeps every number of one vector and of several", () => {
    fc.assert(fc.property(vector, fc.array(vector, { maxLength: 5 }), (one, several) => {
      expect(over(vectorCodec, "invoke", [one])).toStrictEqual([one]);
      expect(over(vectorCodec, "invoke", [several])).toStrictEqual([several]);
    }), { seed: SEED, numRuns: 500 });
    expect(over(vectorCodec, "invoke", [[-0, Number.NaN, Infinity, 1e-45]])).toStrictEqual([[-0, Number.NaN, Infinity, 1e-45]]);
  });

  it("takes four bytes a number where that is enough, and eight where it is not", () => {
    const encode = vectorCodec.encoder("invoke");
    expect(encode([0.5, -0, Number.NaN])).toHaveLength(1 + 3 * 4);
    expect(encode([0.5, 0.1])).toHaveLength(1 + 2 * 8);
    expect(encode([[0.5, 1], [2]])).toHaveLength(2 + 1 + 8 + 1 + 4);
  });

  it("keeps other lists as they are and refuses what is none", () => {
    const typed = new Float32Array([1, 2]);
    expect(over(vectorCodec, "invoke", [typed as unknown as number[]])).toStrictEqual([typed]);
    expect(over(vectorCodec, "invoke", [["a", null] as unknown as number[]])).toStrictEqual([["a", null]]);
    expect(() => vectorCodec.encoder("invoke")({} as never)).toThrow(UnencodableError);
  });

  it("refuses half numbers, wrong counts and unknown tags", () => {
    const decode = vectorCodec.decoder("invoke");
    for (const bytes of [[], [1, 0, 0, 0], [5, 0, 0, 0, 0], [2], [4], [9, 0], [3, 255, 255, 255, 255, 15], [3, 1, 2, 0, 0, 0, 0], [3, 1, 1, 0, 0, 0, 0, 9], [0, 0x7b, 0x7d]]) {
      expect(() => decode(Uint8Array.from(bytes)), bytes.join()).toThrow(MalformedError);
    }
  });
});
