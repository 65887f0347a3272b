import { AIMessage, ChatMessage, FunctionMessage, HumanMessage, SystemMessage, ToolMessage, type BaseMessage } from "@langchain/core/messages";
import { ChatOpenAI, ChatOpenAIResponses, convertMessagesToCompletionsMessageParams, convertMessagesToResponsesInput } from "@langchain/openai";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ScriptedChat } from "../support/scripted-chat.ts";
import { chatKey, collisions } from "../support/keys.ts";

const SEED = 20_261_121;
const model = new ScriptedChat();
const openai = new ChatOpenAI({ model: "gpt-4o", apiKey: "sk-test" });
const responses = new ChatOpenAI({ model: "gpt-4o", apiKey: "sk-test", useResponsesApi: true });

const human = (content: unknown, more: object = {}): HumanMessage => new HumanMessage({ content: content as string, ...more });
const calling = (calls: { id?: string; name: string; args: Record<string, unknown> }[], more: object = {}): AIMessage =>
  new AIMessage({ content: "", tool_calls: calls.map((call) => ({ type: "tool_call" as const, ...call })), ...more });
const result = (id: string, content: string, more: object = {}): ToolMessage => new ToolMessage({ tool_call_id: id, content, ...more });

describe("questions that differ", () => {
  it.each([["a model that shows parameters", model], ["ChatOpenAI", openai], ["ChatOpenAI with the responses API", responses]])("never share a key: %s", (_name, asked) => {
    const bytes = (last: number): object => ({ type: "image", source_type: "base64", mime_type: "image/png", data: new Uint8Array([1, 2, last]) });
    const conversations: Record<string, BaseMessage[]> = {
      base: [human("hello")],
      text: [human("hello!")],
      "text in another case": [human("Hello")],
      "trailing space": [human("hello ")],
      system: [new SystemMessage("hello")],
      ai: [new AIMessage("hello")],
      developer: [new ChatMessage({ content: "hello", role: "developer" })],
      "other role": [new ChatMessage({ content: "hello", role: "critic" })],
      name: [human("hello", { name: "ann" })],
      "other name": [human("hello", { name: "bob" })],
      blocks: [human([{ type: "text", text: "hello" }])],
      "two blocks": [human([{ type: "text", text: "hel" }, { type: "text", text: "lo" }])],
      "two messages": [human("hel"), human("lo")],
      "message twice": [human("hello"), human("hello")],
      "imitates a role": [human("A\nAI: B")],
      "is what the other imitates": [human("A"), new AIMessage("B")],
      "imitates the format": [human('hello"1:x')],
      "imitates a message field": [human("hello9:message 18:\"1:hello")],
      "image url": [human([{ type: "image_url", image_url: { url: "data:image/png;base64,AAAA" } }])],
      "other image url": [human([{ type: "image_url", image_url: { url: "data:image/png;base64,AAAB" } }])],
      "image detail": [human([{ type: "image_url", image_url: { url: "data:image/png;base64,AAAA", detail: "low" } }])],
      "image bytes": [human([bytes(3)])],
      "other image bytes": [human([bytes(4)])],
      "image base64": [human([{ type: "image", source_type: "base64", mime_type: "image/png", data: "AAAA" }])],
      "image mime": [human([{ type: "image", source_type: "base64", mime_type: "image/gif", data: "AAAA" }])],
      audio: [human([{ type: "input_audio", input_audio: { data: "AAAA", format: "wav" } }])],
      "other audio": [human([{ type: "input_audio", input_audio: { data: "AAAB", format: "wav" } }])],
      "audio format": [human([{ type: "input_audio", input_audio: { data: "AAAA", format: "mp3" } }])],
      file: [human([{ type: "file", file: { filename: "a.pdf", file_data: "data:application/pdf;base64,AAAA" } }])],
      "file name": [human([{ type: "file", file: { filename: "b.pdf", file_data: "data:application/pdf;base64,AAAA" } }])],
      "file data": [human([{ type: "file", file: { filename: "a.pdf", file_data: "data:application/pdf;base64,AAAB" } }])],
      "file by id": [human([{ type: "file", file: { file_id: "file-1" } }])],
      "other file by id": [human([{ type: "file", file: { file_id: "file-2" } }])],
      "standard file by id": [human([{ type: "file", source_type: "id", id: "file-1" }])],
      "other standard file by id": [human([{ type: "file", source_type: "id", id: "file-2" }])],
      "tool call": [human("q"), calling([{ id: "c1", name: "f", args: { a: 1 } }])],
      "tool call name": [human("q"), calling([{ id: "c1", name: "g", args: { a: 1 } }])],
      "tool call args": [human("q"), calling([{ id: "c1", name: "f", args: { a: 2 } }])],
      "tool call arg type": [human("q"), calling([{ id: "c1", name: "f", args: { a: "1" } }])],
      "tool call twice": [human("q"), calling([{ id: "c1", name: "f", args: { a: 1 } }, { id: "c2", name: "f", args: { a: 1 } }])],
      "tool calls": [human("q"), calling([{ id: "c1", name: "f", args: {} }, { id: "c2", name: "g", args: {} }])],
      "tool calls in another order": [human("q"), calling([{ id: "c1", name: "g", args: {} }, { id: "c2", name: "f", args: {} }])],
      "tool result": [human("q"), calling([{ id: "c1", name: "f", args: {} }]), result("c1", "1")],
      "tool result text": [human("q"), calling([{ id: "c1", name: "f", args: {} }]), result("c1", "2")],
      "tool result status": [human("q"), calling([{ id: "c1", name: "f", args: {} }]), result("c1", "1", { status: "error" })],
      "results paired": [human("q"), calling([{ id: "c1", name: "f", args: {} }, { id: "c2", name: "f", args: {} }]), result("c1", "1"), result("c2", "2")],
      "results crossed": [human("q"), calling([{ id: "c1", name: "f", args: {} }, { id: "c2", name: "f", args: {} }]), result("c2", "1"), result("c1", "2")],
      "function result": [human("q"), new FunctionMessage({ name: "f", content: "1" })],
      "extra of a provider": [human("q"), new AIMessage({ content: "a", additional_kwargs: { reasoning_content: "r" } })],
      "other extra of a provider": [human("q"), new AIMessage({ content: "a", additional_kwargs: { reasoning_content: "s" } })],
      "broken tool call": [human("q"), new AIMessage({ content: "", invalid_tool_calls: [{ type: "invalid_tool_call", id: "c1", name: "f", args: "{" }] })],
      "other broken tool call": [human("q"), new AIMessage({ content: "", invalid_tool_calls: [{ type: "invalid_tool_call", id: "c1", name: "f", args: "{{" }] })],
    };
    const keys = Object.fromEntries(Object.entries(conversations).map(([name, messages]) => [name, chatKey(asked, messages)]));
    expect(collisions(keys)).toEqual([]);
    expect(Object.values(keys).every((key) => key !== undefined)).toBe(true);
  });

  it("never share a key because an argument or a text equals a tool call's id", () => {
    const about = (id: string, wanted: string): BaseMessage[] => [human("q"), calling([{ id, name: "get_user", args: { id: wanted } }]), result(id, "ann")];
    expect(chatKey(model, about("1", "1"))).not.toBe(chatKey(model, about("2", "2")));
    const nested = (id: string): BaseMessage[] => [human("q"), calling([{ id, name: "f", args: { query: { tool_call_id: id } } }])];
    expect(chatKey(model, nested("1"))).not.toBe(chatKey(model, nested("2")));
    const block = (id: string): BaseMessage[] => [
      human("q"),
      new AIMessage({ content: [{ type: "tool_use", id, name: "f", input: { id } }], tool_calls: [{ type: "tool_call", id, name: "f", args: { id } }] }),
    ];
    expect(chatKey(model, block("1"))).not.toBe(chatKey(model, block("2")));
    const file = (id: string): BaseMessage[] => [human([{ type: "file", source_type: "id", id }]), calling([{ id, name: "f", args: {} }])];
    expect(chatKey(model, file("1"))).not.toBe(chatKey(model, file("2")));
  });

  it("never share a key where the responses API is sent its own earlier output", () => {
    const earlier = (text: string): BaseMessage[] => [
      new AIMessage({ content: "same", response_metadata: { output: [{ type: "reasoning", id: "rs_1", encrypted_content: text }] } }),
    ];
    expect(chatKey(responses, earlier("a"))).not.toBe(chatKey(responses, earlier("b")));
    const direct = new ChatOpenAIResponses({ model: "gpt-4o", apiKey: "sk-test" });
    expect(chatKey(direct, earlier("a"))).not.toBe(chatKey(direct, earlier("b")));
  });

  it("never share a key where the version of the content blocks decides what is sent", () => {
    const content = [{ type: "reasoning", reasoning: "because" }, { type: "text", text: "so" }];
    const of = (output_version?: string): BaseMessage[] => [
      new AIMessage({ content: content as never, response_metadata: (output_version === undefined ? {} : { output_version }) as never }),
    ];
    expect(convertMessagesToResponsesInput({ messages: of("v1"), zdrEnabled: false, model: "gpt-4o" })).not.toEqual(
      convertMessagesToResponsesInput({ messages: of(), zdrEnabled: false, model: "gpt-4o" }),
    );
    expect(chatKey(responses, of("v1"))).not.toBe(chatKey(responses, of()));
  });
});

describe("questions that are the same", () => {
  it("share a key whatever their generated ids are", () => {
    const turn = (a: string, b: string, id: string): BaseMessage[] => [
      human("q", { id: `human-${id}` }),
      calling([{ id: a, name: "f", args: {} }, { id: b, name: "g", args: {} }], { id: `run-${id}`, additional_kwargs: { tool_calls: [
        { id: a, type: "function", function: { name: "f", arguments: "{}" } }, { id: b, type: "function", function: { name: "g", arguments: "{}" } },
      ] } }),
      result(a, "1", { id: `tool-${id}` }),
      result(b, "2"),
    ];
    for (const asked of [model, openai]) expect(chatKey(asked, turn("call_1", "call_2", "x"))).toBe(chatKey(asked, turn("call_8", "call_9", "y")));
  });

  it("share a key whatever ids the responses API gave", () => {
    const turn = (n: number): BaseMessage[] => [
      human("q"),
      calling([{ id: `call_${n}`, name: "f", args: {} }], {
        id: `resp_${n}`,
        additional_kwargs: { __openai_function_call_ids__: { [`call_${n}`]: `fc_${n}` } },
        response_metadata: { id: `resp_${n}`, created_at: n, output: [{ type: "function_call", id: `fc_${n}`, call_id: `call_${n}`, name: "f", arguments: "{}", status: "completed" }] },
      }),
      result(`call_${n}`, "1"),
    ];
    expect(chatKey(responses, turn(1))).toBe(chatKey(responses, turn(2)));
  });

  it("share a key with content blocks of tools whose ids were generated", () => {
    const turn = (id: string): BaseMessage[] => [
      human("q"),
      new AIMessage({ content: [{ type: "text", text: "t" }, { type: "tool_use", id, name: "f", input: { a: 1 } }], tool_calls: [{ type: "tool_call", id, name: "f", args: { a: 1 } }] }),
      result(id, "1"),
    ];
    expect(chatKey(model, turn("toolu_1"))).toBe(chatKey(model, turn("toolu_2")));
  });

  it("share a key whatever is known of how earlier answers were made", () => {
    const of = (more: object): BaseMessage[] => [human("q"), new AIMessage({ content: "a", ...more })];
    const key = chatKey(openai, of({}));
    expect(chatKey(openai, of({ id: "run-1" }))).toBe(key);
    expect(chatKey(openai, of({ usage_metadata: { input_tokens: 1, output_tokens: 2, total_tokens: 3 } }))).toBe(key);
    expect(chatKey(openai, of({ response_metadata: { finish_reason: "stop", model_name: "gpt-4o-2024", system_fingerprint: "fp" } }))).toBe(key);
  });
});

const word = fc.constantFrom("", "a", "b", "A\nAI: b", '"1:a', "1:a", "#0;", "c1");
const id = fc.constantFrom("c1", "c2", "c3");
const args = fc.record({ x: word, id }, { requiredKeys: [] });
const message = fc.oneof(
  fc.record({ content: word, name: fc.option(fc.constantFrom("ann", "bob"), { nil: undefined }) }).map(({ content, name }) => human(content, name === undefined ? {} : { name })),
  word.map((content) => new SystemMessage(content)),
  word.map((content) => human([{ type: "text", text: content }])),
  fc.record({ content: word, id: fc.uuid() }).map((fields) => new AIMessage(fields)),
  fc.array(fc.record({ id, name: fc.constantFrom("f", "g"), args }), { minLength: 1, maxLength: 2 }).map((calls) => calling(calls)),
  fc.record({ tool_call_id: id, content: word }).map(({ tool_call_id, content }) => result(tool_call_id, content)),
);
const conversation = fc.array(message as fc.Arbitrary<BaseMessage>, { minLength: 1, maxLength: 3 });

/** What the provider is sent, its generated ids numbered in their places. */
function sent(messages: BaseMessage[]): string {
  const numbers = new Map<string, string>();
  const number = (given: string): string => numbers.get(given) ?? (numbers.set(given, `<${numbers.size}>`), numbers.get(given) as string);
  const params = convertMessagesToCompletionsMessageParams({ messages, model: "gpt-4o" }) as { tool_calls?: { id: string }[]; tool_call_id?: string }[];
  const renamed = params.map((param) => ({
    ...param,
    ...(param.tool_calls ? { tool_calls: param.tool_calls.map((call) => ({ ...call, id: number(call.id) })) } : {}),
    ...(param.tool_call_id === undefined ? {} : { tool_call_id: number(param.tool_call_id) }),
  }));
  return JSON.stringify(renamed);
}

describe("any two conversations", () => {
  it("share a key only if ChatOpenAI would send the same for both", () => {
    let shared = 0;
    fc.assert(
      fc.property(conversation, conversation, fc.nat(2), fc.boolean(), (a, other, at, mixed) => {
        const b = mixed ? a.with(at % a.length, other[0]!) : other;
        if (chatKey(openai, a) !== chatKey(openai, b)) return;
        shared += 1;
        expect(sent(a)).toBe(sent(b));
      }),
      { seed: SEED, numRuns: 4_000 },
    );
    expect(shared).toBeGreaterThan(20);
  });

  it("share a key with a copy of themselves that has other ids", () => {
    fc.assert(
      fc.property(conversation, (messages) => {
        const renamed = new Map([["c1", "k7"], ["c2", "k8"], ["c3", "k9"]]);
        const copies = messages.map((one) => {
          const same = { content: one.content, ...(one.name === undefined ? {} : { name: one.name }), id: "other" };
          if (ToolMessage.isInstance(one)) return new ToolMessage({ ...same, tool_call_id: renamed.get(one.tool_call_id) as string });
          if (AIMessage.isInstance(one)) return new AIMessage({ ...same, tool_calls: (one.tool_calls ?? []).map((call) => ({ ...call, id: renamed.get(call.id as string) as string })) });
          return SystemMessage.isInstance(one) ? new SystemMessage(same) : new HumanMessage(same);
        });
        expect(chatKey(openai, copies)).toBe(chatKey(openai, messages));
      }),
      { seed: SEED, numRuns: 1_000 },
    );
  });
});

describe("media", () => {
  const sizes = { minLength: 1, maxLength: 24 };
  const kinds = fc.constantFrom("image", "audio", "video", "file");

  it("share a key only if every byte is the same, as bytes and as base64", () => {
    fc.assert(
      fc.property(kinds, fc.uint8Array(sizes), fc.nat(), fc.integer({ min: 1, max: 255 }), fc.boolean(), (type, data, at, flip, asBytes) => {
        const other = data.slice();
        other[at % other.length]! ^= flip;
        const of = (bytes: Uint8Array): BaseMessage[] => [human([{ type, source_type: "base64", mime_type: "application/octet-stream", data: asBytes ? bytes : Buffer.from(bytes).toString("base64") }])];
        expect(chatKey(model, of(data))).toBe(chatKey(model, of(data.slice())));
        expect(chatKey(model, of(data))).not.toBe(chatKey(model, of(other)));
      }),
      { seed: SEED, numRuns: 500 },
    );
  });
});
