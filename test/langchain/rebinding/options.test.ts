import { FakeListChatModel } from "@langchain/core/utils/testing";
import { OpenAI, OpenAIEmbeddings } from "@langchain/openai";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { Unfit } from "../../../src/core/layer.ts";
import { chatRouting, embeddingsRouting, llmRouting } from "../../../src/langchain/kinds/routing.ts";
import { anthropic, call, FORMATS, google, MODELS, openai, rebound, sent, unfit, weather } from "./models.ts";

const schema = z.object({ mood: z.string() });
const jsonSchema = { type: "object", properties: { mood: { type: "string" } } };
/** The call that a model with structured output makes. */
const structured = (model: { withStructuredOutput(schema: never, config?: never): object }, method?: string): ReturnType<typeof call> => {
  const pipeline = model.withStructuredOutput(schema as never, { method } as never) as { first?: object; bound?: { first: object } };
  return call((pipeline.first ?? pipeline.bound?.first) as object);
};

describe("a call of another model", () => {
  it("is itself where it is made of the model that was asked", () => {
    const input = call(openai().bindTools([weather]), { stop: ["x"] });
    expect(chatRouting.rebind(input, input.model)).toBe(input);
  });

  it("keeps its run, its signal and what it was bound to", () => {
    const { signal } = new AbortController();
    const runManager = { handlers: [], handleLLMNewToken: async () => {} };
    const input = { ...call(openai().withConfig({ stop: ["END"], seed: 7 }), { signal }), runManager };
    const target = openai({ model: "gpt-4.1", temperature: 0.1 });
    const made = rebound(input, target);
    expect(made).toMatchObject({ model: target, runManager, messages: input.messages });
    expect(made.options.signal).toBe(signal);
    expect(sent(made)).toMatchObject({ model: "gpt-4.1", temperature: 0.1, stop: ["END"], seed: 7 });
  });

  it("does not change the options that it was made with", () => {
    const input = call(openai(), Object.freeze({ tools: Object.freeze([Object.freeze({ type: "function", function: Object.freeze({ name: "f", parameters: Object.freeze({ type: "object" }) }) })]), seed: 1 }));
    for (const target of [anthropic(), google()]) rebound(input, target);
  });

  it("leaves behind what tunes another provider", () => {
    const options = { seed: 1, reasoning: { effort: "low" }, service_tier: "flex", promptCacheKey: "k", verbosity: "low" };
    expect(rebound(call(openai(), options), anthropic()).options).toEqual({});
    expect(rebound(call(anthropic(), { betas: ["x"], cache_control: { type: "ephemeral" }, outputConfig: { effort: "low" } }), openai()).options).toEqual({});
    expect(rebound(call(google(), { safetySettings: [] }), openai()).options).toEqual({});
  });

  it("takes headers nowhere else than where they were meant for", () => {
    const options = { headers: { authorization: "secret" }, options: { headers: { authorization: "secret" } } };
    expect(rebound(call(openai(), options), openai({ apiKey: "other" })).options).toEqual({});
    expect(rebound(call(openai(), options), openai({ model: "gpt-4.1" })).options).toEqual(options);
  });

  it.each([
    ["functions", { functions: [{ name: "f" }] }], ["function_call", { function_call: "auto" }], ["modalities", { modalities: ["text", "audio"] }],
    ["audio", { audio: { voice: "alloy" } }], ["web_search_options", { web_search_options: {} }],
  ])("with OpenAI's option %s can be made of its format alone", (option, options) => {
    expect(unfit(call(openai(), options), openai({ model: "gpt-4.1", apiKey: "other" }))).toBeUndefined();
    for (const target of [anthropic(), google()]) expect(unfit(call(openai(), options), target)).toBe(`cannot take the option "${option}" of OpenAI`);
  });

  it("that depends on what an account keeps can be made on that account alone", () => {
    for (const option of ["previous_response_id", "conversation"]) {
      const input = call(openai(), { [option]: "resp_1" });
      expect(unfit(input, openai({ model: "gpt-4.1" }))).toBeUndefined();
      for (const target of [openai({ apiKey: "other" }), openai({ configuration: { baseURL: "http://elsewhere" } }), anthropic()]) {
        expect(unfit(input, target)).toBe(`does not have what the option "${option}" names: another account keeps it`);
      }
    }
    expect(unfit(call(anthropic(), { container: "c" }), anthropic({ apiKey: "other" }))).toContain("another account keeps it");
  });

  it("stops where it was told to, or is not made", () => {
    expect(sent(rebound(call(openai(), { stop: ["END"] }), anthropic())).stop_sequences).toEqual(["END"]);
    expect(sent(rebound(call(anthropic(), { stop: ["END"] }), openai())).stop).toEqual(["END"]);
    for (const target of [google(), openai({ useResponsesApi: true })]) expect(unfit(call(anthropic(), { stop: ["END"] }), target)).toBe("cannot be told by a call where to stop");
    expect(unfit(call(openai(), { stop: ["END"] }), anthropic({ stopSequences: ["X"] }))).toBe("stops at sequences of its own, and then takes none of a call");
    expect(unfit(call(google(), { stop: ["ignored"] }), google({ model: "gemini-2.5-pro" }))).toBeUndefined();
  });
});

describe("a response format", () => {
  it.each([
    ["OpenAI", "a schema", () => structured(openai())], ["OpenAI", "JSON", () => structured(openai(), "jsonMode")],
    ["Anthropic", "a schema", () => structured(anthropic(), "jsonSchema")], ["Google", "a schema", () => structured(google())],
  ] as const)("of %s that asks for %s is for that format alone", (from, _, make) => {
    const input = make();
    for (const to of FORMATS) expect(unfit(input, MODELS[to]({ model: `${input.model.model as string}-2` }))).toBe(to === from ? undefined : `cannot take the response format of ${from}`);
  });

  it("that LangChain's agents write in all formats at once is taken by each", () => {
    const formats = { response_format: { type: "json_schema", json_schema: { name: "extract", schema: jsonSchema } }, outputConfig: { format: { type: "json_schema", schema: jsonSchema } }, responseSchema: jsonSchema };
    for (const from of FORMATS) {
      const input = call(MODELS[from](), formats);
      expect(sent(rebound(input, openai({ apiKey: "other" }))).response_format).toMatchObject(formats.response_format);
      expect(sent(rebound(input, anthropic({ apiKey: "other" }))).output_config).toEqual(formats.outputConfig);
      expect(sent(rebound(input, google({ apiKey: "other" }))).generationConfig.responseSchema).toEqual(jsonSchema);
      expect(Object.keys(rebound(input, anthropic()).options)).toEqual(from === "Anthropic" ? Object.keys(formats) : ["outputConfig"]);
    }
  });

  it("that asks for nothing is no hindrance", () => {
    for (const options of [{ response_format: { type: "text" } }, { response_format: undefined }, { text: { verbosity: "low" } }]) expect(unfit(call(openai(), options), anthropic())).toBeUndefined();
    expect(unfit(call(google(), { responseMimeType: "text/plain" }), openai())).toBeUndefined();
  });

  it("by a tool call is a tool call elsewhere, unless the parser reads Anthropic's blocks", () => {
    const made = rebound(structured(openai(), "functionCalling"), anthropic());
    expect(sent(made)).toMatchObject({ tools: [{ name: "extract", input_schema: { properties: { mood: { type: "string" } } } }], tool_choice: { type: "tool", name: "extract" } });
    const bound = structured(anthropic());
    expect(unfit(bound, openai())).toBe("answers in tool calls that Anthropic's parser of structured output does not find");
    expect(unfit(bound, anthropic({ apiKey: "other" }))).toBeUndefined();
  });
});

describe("a model of which nothing is known", () => {
  class OtherModel extends FakeListChatModel {}
  const fake = new FakeListChatModel({ responses: ["a"] });

  it("takes calls without tools, with their options", () => {
    expect(rebound(call(openai(), { mood: "good" }), fake).options).toEqual({ mood: "good" });
    expect(unfit(call(openai(), { response_format: { type: "json_object" } }), fake)).toBe("cannot take the response format of OpenAI");
  });

  it("takes tools of its own class alone", () => {
    const tools = [{ anything: "at all" }];
    expect(rebound(call(fake, { tools }), new FakeListChatModel({ responses: ["b"] })).options).toEqual({ tools });
    expect(unfit(call(fake, { tools: [weather] }), new OtherModel({ responses: ["b"] }))).toBe("takes tools in a format that is not known: it is a OtherModel");
    expect(unfit(call(fake, { tools }), openai())).toBe('cannot take the tool "anything" of FakeListChatModel');
    expect(sent(rebound(call(fake, { tools: [weather], tool_choice: "any" }), anthropic()))).toMatchObject({ tools: [{ name: "get_weather" }], tool_choice: { type: "any" } });
  });
});

describe("calls of other kinds", () => {
  const llm = (model: string): OpenAI => new OpenAI({ model, apiKey: "a" });
  const vectors = (fields: object): OpenAIEmbeddings => new OpenAIEmbeddings({ apiKey: "a", model: "text-embedding-3-small", ...fields });

  it("are asked of their kind alone", () => {
    const chat = call(openai());
    const completion = { model: llm("gpt-3.5-turbo-instruct"), prompts: ["a"], options: { stop: ["x"] }, runManager: undefined };
    const query = { embeddings: vectors({}), method: "embedQuery" as const, text: "a" };
    expect(chatRouting.rebind(chat, llm("m"))).toEqual(new Unfit("is no chat model"));
    expect(llmRouting.rebind(completion as never, openai())).toEqual(new Unfit("is no completion model"));
    expect(embeddingsRouting.rebind(query, openai())).toEqual(new Unfit("embeds nothing"));
    const other = llm("davinci-002");
    expect(llmRouting.rebind(completion as never, other)).toEqual({ ...completion, model: other });
  });

  it("embed into the same space or not at all", () => {
    const query = { embeddings: vectors({ dimensions: 256 }), method: "embedQuery" as const, text: "a" };
    const same = vectors({ dimensions: 256, apiKey: "other" });
    expect(embeddingsRouting.rebind(query, same)).toEqual({ ...query, embeddings: same });
    expect(embeddingsRouting.rebind(query, vectors({}))).toEqual(new Unfit("embeds into another space than text-embedding-3-small of 256 dimensions: text-embedding-3-small"));
    expect(embeddingsRouting.rebind(query, vectors({ model: "text-embedding-3-large", dimensions: 256 }))).toBeInstanceOf(Unfit);
  });
});
