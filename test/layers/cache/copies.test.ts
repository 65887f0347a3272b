import { Document } from "@langchain/core/documents";
import { AIMessage, type AIMessageChunk, ToolMessage } from "@langchain/core/messages";
import { RunnableLambda } from "@langchain/core/runnables";
import { withPerf } from "langchain-perf";
import { describe, expect, it } from "vitest";
import { deepCopy } from "../../../src/langchain/messages.ts";
import { FakeChatModel } from "../../support/fakes/chat-model.ts";
import { FakeEmbeddings } from "../../support/fakes/embeddings.ts";
import { FakeLLM } from "../../support/fakes/llm.ts";
import { listening } from "../support/listening.ts";
import { chunk, ScriptedChat } from "../support/scripted-chat.ts";
import { seen } from "../support/seen.ts";
import { sumOf } from "../support/sum.ts";

const USAGE = { input_tokens: 3, output_tokens: 4, total_tokens: 7 };

const callsWeather = (): FakeChatModel => new FakeChatModel({ reply: () => ({ text: "let me see", toolCalls: [{ name: "weather", args: { city: "Rome", id: "7" } }, { name: "news", args: {} }] }) });

/** Breaks everything in a value that can be broken. */
function vandalise(value: unknown, seenBefore = new Set<unknown>()): void {
  if (typeof value !== "object" || value === null || seenBefore.has(value)) return;
  seenBefore.add(value);
  for (const key of Object.keys(value)) {
    const holder = value as Record<string, unknown>;
    vandalise(holder[key], seenBefore);
    if (typeof holder[key] === "string") holder[key] = "broken";
    else if (typeof holder[key] === "number") holder[key] = -1;
  }
  if (Array.isArray(value)) value.push("broken");
}

describe("a hit is a copy", () => {
  const rich = (): ScriptedChat => {
    const fields = () => ({
      content: [{ type: "text" as const, text: "hello" }], additional_kwargs: { extra: { deep: ["a"] } },
      response_metadata: { model_name: "m", usage: { prompt_tokens: 3 }, nested: { list: [{ x: 1 }] } }, usage_metadata: { ...USAGE, input_token_details: { cache_read: 1 } },
    });
    const calls = [{ type: "tool_call" as const, id: "c1", name: "f", args: { city: { name: "Rome" } } }];
    return new ScriptedChat({
      whole: () => ({ generations: [{ text: "hello", message: new AIMessage({ ...fields(), tool_calls: calls }), generationInfo: { finish_reason: "stop", logprobs: { content: [1] } } }], llmOutput: { tokenUsage: { totalTokens: 7 } } }),
      stream: () => [chunk({ ...fields(), tool_call_chunks: [{ type: "tool_call_chunk", index: 0, id: "c1", name: "f", args: '{"city":{"name":"Rome"}}' }] }, { finish_reason: "stop", logprobs: { content: [1] } })],
    });
  };
  const plain = (message: AIMessage | AIMessageChunk): unknown =>
    JSON.parse(JSON.stringify({ ...seen(message), response: message.response_metadata, usage: message.usage_metadata }));

  it.each(["invoke", "stream"] as const)("whatever its readers do to it: %s", async (mode) => {
    const model = rich();
    const fast = withPerf(model, listening().perf);
    const ask = async (): Promise<AIMessage | AIMessageChunk> => (mode === "invoke" ? fast.invoke("q") : (await Array.fromAsync(await fast.stream("q")))[0]!);
    const first = await ask();
    const asked = seen(first);
    const before = JSON.parse(JSON.stringify(asked)) as unknown;
    vandalise(first);
    const second = await ask();
    const wanted = plain(second);
    expect(JSON.parse(JSON.stringify(seen(second)))).toEqual(before);
    vandalise(second);
    expect(plain(await ask())).toEqual(wanted);
    expect(Object.isFrozen(await ask())).toBe(false);
    expect(model.seen).toHaveLength(1);
  });

  it("also where a stream runs around the call", async () => {
    const model = rich();
    const inside: AIMessage[] = [];
    const chain = withPerf(RunnableLambda.from(async (text: string) => {
      inside.push(await model.invoke(text));
      return "done";
    }), listening().perf);
    for (const _ of [1, 2, 3]) {
      await Array.fromAsync(await chain.stream("q"));
      const latest = inside.at(-1)!;
      expect(latest.content).toEqual([{ type: "text", text: "hello" }]);
      expect(latest.tool_calls?.[0]?.args).toEqual({ city: { name: "Rome" } });
      vandalise(latest);
    }
    expect(model.seen).toHaveLength(1);
  });

  it("for embeddings and LLMs too", async () => {
    const embeddings = withPerf(new FakeEmbeddings(), listening().perf);
    const first = await embeddings.embedQuery("a b c");
    const wanted = [...first];
    first.fill(9);
    (await embeddings.embedQuery("a b c")).fill(8);
    expect(await embeddings.embedQuery("a b c")).toEqual(wanted);
    const several = await embeddings.embedDocuments(["a", "b"]);
    several[0]!.fill(9);
    expect((await embeddings.embedDocuments(["a", "b"]))[0]).not.toEqual(several[0]);
    expect(embeddings.counts.embeddings).toBe(2);
    const llm = withPerf(new FakeLLM(), listening().perf);
    const generated = await llm.generate(["q"]);
    const text = generated.generations[0]![0]!.text;
    generated.generations[0]![0]!.text = "broken";
    expect((await llm.generate(["q"])).generations[0]![0]!.text).toBe(text);
  });
});

describe("deepCopy", () => {
  it.each<[string, () => object]>([
    ["bytes", () => new Uint8Array([1, 2])],
    ["floats", () => new Float32Array([1, 2])],
    ["a buffer", () => Buffer.from([1, 2])],
    ["a view", () => new DataView(new Uint8Array([1, 2]).buffer)],
    ["an array buffer", () => new Uint8Array([1, 2]).buffer],
    ["a map", () => new Map([["a", { b: 1 }]])],
    ["a set", () => new Set([1])],
    ["a date", () => new Date(1)],
    ["a document", () => new Document({ pageContent: "a", metadata: { b: [1] }, id: "d" })],
    ["an object without a prototype", () => Object.assign(Object.create(null) as object, { a: [1] })],
  ])("copies %s", (_name, make) => {
    const original = make();
    const copy = deepCopy(original);
    expect(copy).not.toBe(original);
    expect(copy).toEqual(make());
    if (original instanceof Uint8Array) {
      original.fill(9);
      expect(copy).toEqual(make());
    }
    if (original instanceof Document) expect(copy).toBeInstanceOf(Document);
  });

  it("keeps what only its class can copy", () => {
    const handle = new (class Handle {})();
    expect(deepCopy({ handle }).handle).toBe(handle);
    const map = deepCopy(new Map([["h", { handle }]]));
    expect(map.get("h")?.handle).toBe(handle);
  });
});

describe("the tokens of a hit", () => {
  it("are marked as not spent again, with the original beside them", async () => {
    for (const mode of ["invoke", "stream"] as const) {
      const fast = withPerf(new FakeChatModel(), listening().perf);
      const spent = (await fast.invoke("a b c")).usage_metadata;
      const hit = mode === "invoke" ? await fast.invoke("a b c") : await sumOf(fast.stream("a b c"));
      expect(spent?.total_tokens).toBeGreaterThan(0);
      expect(hit.usage_metadata).toMatchObject({ input_tokens: 0, output_tokens: 0, total_tokens: 0 });
      expect(hit.response_metadata.perf).toEqual({ cached: true, usage: spent });
      expect((hit.response_metadata.tokenUsage as { totalTokens: number } | undefined)?.totalTokens ?? 0).toBe(0);
    }
  });

  it("add up over chunks that each carry some, as Anthropic sends them", async () => {
    const parts = () => [
      chunk({ content: "a", usage_metadata: { input_tokens: 10, output_tokens: 1, total_tokens: 11 } }),
      chunk({ content: "b", usage_metadata: { input_tokens: 0, output_tokens: 5, total_tokens: 5 } }, { finish_reason: "stop" }),
    ];
    const { perf, facts } = listening();
    const fast = withPerf(new ScriptedChat({ stream: parts }), perf);
    const ask = async () => sumOf(fast.stream("q"));
    expect((await ask()).usage_metadata).toMatchObject({ input_tokens: 10, output_tokens: 6, total_tokens: 16 });
    const hit = await ask();
    expect(hit.usage_metadata).toMatchObject({ total_tokens: 0 });
    expect(hit.response_metadata.perf).toEqual({ cached: true, usage: { input_tokens: 10, output_tokens: 6, total_tokens: 16 } });
    expect(facts.map(({ usage }) => usage)).toEqual([{ inputTokens: 10, outputTokens: 6 }, { inputTokens: 10, outputTokens: 6 }]);
  });
});

describe("the ids of a hit", () => {
  it("are new each time, and the same throughout one answer", async () => {
    const fast = withPerf(callsWeather(), listening().perf);
    const ids = new Set<string>();
    const callIds = new Set<string>();
    for (const _ of [1, 2, 3]) {
      const message = await fast.invoke("q");
      ids.add(message.id as string);
      for (const call of message.tool_calls ?? []) callIds.add(call.id as string);
      const [first] = message.tool_calls ?? [];
      expect(first?.args).toEqual({ city: "Rome", id: "7" });
    }
    expect(ids.size).toBe(3);
    expect(callIds.size).toBe(6);
  });

  it("join tool calls that come in pieces", async () => {
    const fast = withPerf(callsWeather(), listening().perf);
    const whole = async () => sumOf(fast.stream("q"));
    const [first, second] = [await whole(), await whole()];
    expect(second.tool_calls?.map(({ name, args }) => ({ name, args }))).toEqual(first.tool_calls?.map(({ name, args }) => ({ name, args })));
    expect(second.tool_calls?.map(({ id }) => id)).not.toEqual(first.tool_calls?.map(({ id }) => id));
    expect(second.tool_call_chunks?.map(({ id }) => id)).toEqual(second.tool_calls?.map(({ id }) => id));
    expect(first.id).not.toBe(second.id);
  });

  it("agree wherever a provider repeats them, and leave arguments alone", async () => {
    const id = "1";
    const message = () => new AIMessage({
      id: "resp_1",
      content: [{ type: "text", text: "t" }, { type: "tool_use", id, name: "f", input: { id } }] as never,
      tool_calls: [{ type: "tool_call", id, name: "f", args: { id, deep: { call_id: id } } }],
      additional_kwargs: { tool_calls: [{ id, type: "function", function: { name: "f", arguments: `{"id":"1"}` } }], __openai_function_call_ids__: { [id]: "fc_1" } },
      response_metadata: { output: [{ type: "function_call", id: "fc_1", call_id: id, name: "f", arguments: `{"id":"1"}` }] },
    });
    const fast = withPerf(new ScriptedChat({ whole: () => ({ generations: [{ text: "t", message: message() }] }) }), listening().perf);
    await fast.invoke("q");
    const hit = await fast.invoke("q");
    const fresh = hit.tool_calls?.[0]?.id as string;
    expect(fresh).not.toBe(id);
    expect(hit.tool_calls?.[0]?.args).toEqual({ id, deep: { call_id: id } });
    expect(hit.content).toEqual([{ type: "text", text: "t" }, { type: "tool_use", id: fresh, name: "f", input: { id } }]);
    expect(hit.additional_kwargs.tool_calls).toEqual([{ id: fresh, type: "function", function: { name: "f", arguments: `{"id":"1"}` } }]);
    expect(hit.additional_kwargs.__openai_function_call_ids__).toEqual({ [fresh]: "fc_1" });
    expect(hit.response_metadata.output).toEqual([{ type: "function_call", id: "fc_1", call_id: fresh, name: "f", arguments: `{"id":"1"}` }]);
    expect(hit.id).not.toBe("resp_1");
  });

  it("make the next question of an agent the same question", async () => {
    const model = new FakeChatModel({ reply: ({ messages }) => (ToolMessage.isInstance(messages.at(-1)) ? "done" : { toolCalls: [{ name: "f", args: {} }] }) });
    const fast = withPerf(model, listening().perf);
    for (const _ of [1, 2]) {
      const call = await fast.invoke("q");
      await fast.invoke([["human", "q"], call, new ToolMessage({ tool_call_id: call.tool_calls?.[0]?.id as string, content: "1" })] as never);
    }
    expect(model.counts.chat).toBe(2);
  });
});
