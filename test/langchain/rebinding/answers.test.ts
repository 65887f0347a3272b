import { AIMessage, AIMessageChunk, HumanMessage } from "@langchain/core/messages";
import { FakeChatModel, FakeListChatModel, FakeLLM, FakeStreamingLLM } from "@langchain/core/utils/testing";
import { OpenAI } from "@langchain/openai";
import { describe, expect, it, vi } from "vitest";
import type { LLMInput } from "../../../src/langchain/kinds/model-inputs.ts";
import { chatRouting, embeddingsRouting, llmRouting } from "../../../src/langchain/kinds/routing.ts";
import { anthropic, call, google, openai, weather } from "./models.ts";
import { answered, simulated, SIMULATED } from "./simulated.ts";

const hello = [new HumanMessage("Hello")];
const every = SIMULATED.flatMap((api) => (["invoke", "stream", "events"] as const).map((mode) => [api, mode] as const));
const llmCall = (model: object, options: object = {}, prompts = ["a"]): LLMInput => ({ model: model as LLMInput["model"], prompts, options: options as LLMInput["options"], runManager: undefined });

describe("an answer that broke off", () => {
  it.each(every)("of %s, by %s, is told from a whole one", async (api, mode) => {
    const { [api]: model, provider } = await simulated();
    const input = call(model, {}, hello);
    const whole = await answered(input, mode);
    expect(chatRouting.isCut(whole, input)).toBe(false);
    if (mode === "invoke") return;
    provider.fault({ kind: "end", afterChunks: 2 });
    const broken = await answered(input, mode);
    expect(broken.parts.length).toBeGreaterThan(0);
    expect(chatRouting.isCut(broken, input)).toBe(true);
  });

  it.each(every)("is none of %s, by %s, that met the bound of its tokens, or that calls tools", async (api, mode) => {
    const { [api]: model } = await simulated();
    for (const holder of [model, ...Object.values(model)]) if (typeof holder === "object" && holder !== null && "maxTokens" in holder) (holder as { maxTokens: number }).maxTokens = 2;
    const bounded = call(model, {}, hello);
    expect(chatRouting.isCut(await answered(bounded, mode), bounded)).toBe(false);
    const calling = call(model.bindTools([weather]), {}, [new HumanMessage("What is the weather in Oslo?")]);
    expect(chatRouting.isCut(await answered(calling, mode), calling)).toBe(false);
  });

  const answer = (metadata: object): never => ({ mode: "invoke", parts: [{ generations: [{ text: "a", message: new AIMessage({ content: "a", response_metadata: metadata }) }] }] }) as never;

  it.each(["error", "network_error", "failed", "ERROR"])("says so at some providers by the reason %s", (reason) => {
    expect(chatRouting.isCut(answer({ finish_reason: reason }), call(openai()))).toBe(true);
    expect(chatRouting.isCut(answer({ finish_reason: reason }), call(new FakeListChatModel({ responses: [] })))).toBe(true);
  });

  it.each(["stop", "length", "max_tokens", "MAX_TOKENS", "content_filter", "tool_calls", "pause_turn", "refusal"])("does not end by %s", (reason) => {
    expect(chatRouting.isCut(answer({ finish_reason: reason }), call(openai()))).toBe(false);
  });

  it.each(["in_progress", "queued", "cancelled", "completed"])("is none that is %s", (status) => {
    expect(chatRouting.isCut(answer({ status }), call(openai()))).toBe(false);
  });

  it("is what a provider that gives reasons gives without one, or gives nothing of", () => {
    const empty = { mode: "invoke", parts: [{ generations: [] }] } as never;
    for (const model of [openai(), anthropic(), google()]) {
      expect(chatRouting.isCut(answer({}), call(model))).toBe(true);
      expect(chatRouting.isCut(empty, call(model))).toBe(true);
    }
    const fake = new FakeListChatModel({ responses: [] });
    expect(chatRouting.isCut(answer({}), call(fake))).toBe(false);
    expect(chatRouting.isCut(empty, call(fake))).toBe(false);
  });

  it("is not seen where Bedrock's stream ended as it does", () => {
    const input = call(Object.assign(new FakeListChatModel({ responses: [] }), { _llmType: () => "chat_bedrock_converse" }));
    const chunk = (metadata: object): object => ({ text: "a", message: new AIMessageChunk({ content: "a", response_metadata: metadata }) });
    expect(chatRouting.isCut({ mode: "stream", parts: [chunk({}), chunk({ messageStop: { stopReason: "end_turn" } })] as never }, input)).toBe(false);
    expect(chatRouting.isCut({ mode: "stream", parts: [chunk({})] as never }, input)).toBe(true);
  });

  it("of a completion model is told by the same signs", async () => {
    const { provider } = await simulated();
    const model = new OpenAI({ model: "gpt-3.5-turbo-instruct", apiKey: "a", maxRetries: 0, configuration: { baseURL: provider.baseURL } });
    const input = llmCall(model, {}, ["Hello"]);
    const stream = async (): Promise<never[]> => {
      const parts: never[] = [];
      for await (const part of model._streamResponseChunks("Hello", {})) parts.push(part as never);
      return parts;
    };
    expect(llmRouting.isCut({ mode: "invoke", parts: [await model._generate(["Hello"], {})] }, input)).toBe(false);
    expect(llmRouting.isCut({ mode: "stream", parts: await stream() }, input)).toBe(false);
    provider.fault({ kind: "end", afterChunks: 2 });
    expect(llmRouting.isCut({ mode: "stream", parts: await stream() }, input)).toBe(true);
  });
});

describe("an answer that is wanted whole", () => {
  it("may be read in parts where the model's own class streams", () => {
    for (const model of [openai(), anthropic(), google(), new FakeListChatModel({ responses: [] })]) expect(chatRouting.hasParts(call(model))).toBe(true);
    expect(chatRouting.hasParts(call(new FakeChatModel({})))).toBe(false);
    expect(llmRouting.hasParts(llmCall(new FakeStreamingLLM({})))).toBe(true);
    expect(llmRouting.hasParts(llmCall(new FakeLLM({})))).toBe(false);
    expect(embeddingsRouting.hasParts({ embeddings: {}, method: "embedQuery", text: "a" })).toBe(false);
  });

  it("is read in parts at a spy, too", () => {
    const model = openai();
    vi.spyOn(model, "_streamResponseChunks");
    expect(chatRouting.hasParts(call(model))).toBe(true);
  });

  it.each([
    ["streaming is off", openai({ disableStreaming: true }), {}], ["there are several answers", openai({ n: 2 }), {}], ["it is spoken", openai({ modalities: ["text", "audio"] }), {}],
    ["the call wants it spoken", openai(), { audio: { voice: "alloy", format: "wav" } }], ["the request's own fields want it spoken", openai({ modelKwargs: { modalities: ["audio"] } }), {}],
  ])("is not read in parts where %s", (_, model, options) => {
    expect(chatRouting.hasParts(call(model, options))).toBe(false);
  });

  it("is not read in parts of several prompts, nor of the best of several completions", () => {
    const model = new OpenAI({ model: "gpt-3.5-turbo-instruct", apiKey: "a" });
    expect(llmRouting.hasParts(llmCall(model))).toBe(true);
    expect(llmRouting.hasParts(llmCall(model, {}, ["a", "b"]))).toBe(false);
    expect(llmRouting.hasParts(llmCall(new OpenAI({ model: "gpt-3.5-turbo-instruct", apiKey: "a", bestOf: 3 })))).toBe(false);
  });
});

describe("asking twice", () => {
  it("may do something twice where the provider runs tools, and never else", () => {
    const search = { type: "web_search_preview" };
    expect(chatRouting.hasSideEffects(call(openai().bindTools([weather])))).toBe(false);
    expect(chatRouting.hasSideEffects(call(openai().bindTools([weather, search] as never)))).toBe(true);
    expect(chatRouting.hasSideEffects(call(openai(), { tools: [search] }))).toBe(true);
    expect(chatRouting.hasSideEffects(call(anthropic(), { mcp_servers: [{ url: "x" }] }))).toBe(true);
    expect(chatRouting.hasSideEffects(call(new FakeListChatModel({ responses: [] }), { tools: [{ type: "computer" }] }))).toBe(true);
    expect(llmRouting.hasSideEffects(llmCall(new FakeLLM({})))).toBe(false);
  });
});
