import { Embeddings } from "@langchain/core/embeddings";
import { HumanMessage } from "@langchain/core/messages";
import { tool } from "@langchain/core/tools";
import { FakeListChatModel } from "@langchain/core/utils/testing";
import { AzureChatOpenAI, ChatOpenAI, OpenAI, OpenAIEmbeddings } from "@langchain/openai";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { embeddingsKind, retrieverKind, toolKind } from "../../../src/langchain/kinds/plain.ts";
import { llmKind } from "../../../src/langchain/kinds/llm.ts";
import type { LLMInput } from "../../../src/langchain/kinds/model-inputs.ts";
import { FakeEmbeddings } from "../../support/fakes/embeddings.ts";
import { FakeRetriever } from "../../support/fakes/retriever.ts";
import { chatIdentity, chatKey, collisions, fieldsOf } from "../support/keys.ts";

const asked = [new HumanMessage("hello")];
const base = { model: "gpt-4o", apiKey: "sk-secret-1", temperature: 0 };
const openai = (more: object = {}): ChatOpenAI => new ChatOpenAI({ ...base, ...more });
const weather = (description: string, schema = z.object({ city: z.string() })) => tool(() => "sunny", { name: "weather", description, schema });

describe("ChatOpenAI", () => {
  it("has a key of its own for everything that changes the request", () => {
    const format = (name: string) => ({ type: "json_schema" as const, json_schema: { name, schema: { type: "object" } } });
    const keys: Record<string, string | undefined> = {
      base: chatKey(openai(), asked),
      model: chatKey(openai({ model: "gpt-4o-mini" }), asked),
      temperature: chatKey(openai({ temperature: 1 }), asked),
      topP: chatKey(openai({ topP: 0.5 }), asked),
      maxTokens: chatKey(openai({ maxTokens: 5 }), asked),
      n: chatKey(openai({ n: 2 }), asked),
      frequencyPenalty: chatKey(openai({ frequencyPenalty: 1 }), asked),
      logprobs: chatKey(openai({ logprobs: true }), asked),
      user: chatKey(openai({ user: "ann" }), asked),
      modelKwargs: chatKey(openai({ modelKwargs: { extra: 1 } }), asked),
      serviceTier: chatKey(openai({ service_tier: "flex" }), asked),
      "stop of the model": chatKey(openai({ stop: ["x"] }), asked),
      "responses API": chatKey(openai({ useResponsesApi: true }), asked),
      baseURL: chatKey(openai({ configuration: { baseURL: "http://a.test/v1" } }), asked),
      "other baseURL": chatKey(openai({ configuration: { baseURL: "http://b.test/v1" } }), asked),
      organization: chatKey(openai({ configuration: { organization: "org-1" } }), asked),
      project: chatKey(openai({ configuration: { project: "p" } }), asked),
      header: chatKey(openai({ configuration: { defaultHeaders: { "x-variant": "a" } } }), asked),
      "other header": chatKey(openai({ configuration: { defaultHeaders: { "x-variant": "b" } } }), asked),
      query: chatKey(openai({ configuration: { defaultQuery: { v: "1" } } }), asked),
      "header of the call": chatKey(openai(), asked, { options: { headers: { "x-variant": "a" } } }),
      "other header of the call": chatKey(openai(), asked, { options: { headers: { "x-variant": "b" } } }),
      stop: chatKey(openai(), asked, { stop: ["a"] }),
      "other stop": chatKey(openai(), asked, { stop: ["b"] }),
      seed: chatKey(openai(), asked, { seed: 1 }),
      "other seed": chatKey(openai(), asked, { seed: 2 }),
      response_format: chatKey(openai(), asked, { response_format: { type: "json_object" } }),
      schema: chatKey(openai(), asked, { response_format: format("a") }),
      "other schema": chatKey(openai(), asked, { response_format: format("b") }),
      "schema bound": chatKey(openai().withConfig({ response_format: format("c") }), asked),
      "schema in the responses API": chatKey(openai({ useResponsesApi: true }), asked, { response_format: format("a") }),
      "other schema in the responses API": chatKey(openai({ useResponsesApi: true }), asked, { response_format: format("b") }),
      tools: chatKey(openai().bindTools([weather("a")]), asked),
      "tool description": chatKey(openai().bindTools([weather("b")]), asked),
      "tool schema": chatKey(openai().bindTools([weather("a", z.object({ city: z.string(), day: z.string() } as never))]), asked),
      "tool choice": chatKey(openai().bindTools([weather("a")], { tool_choice: "weather" }), asked),
      "tool choice required": chatKey(openai().bindTools([weather("a")], { tool_choice: "required" }), asked),
      "strict tools": chatKey(openai().bindTools([weather("a")], { strict: true }), asked),
      parallel: chatKey(openai().bindTools([weather("a")], { parallel_tool_calls: false }), asked),
      "stop bound": chatKey(openai().withConfig({ stop: ["c"] }), asked),
      azure: chatKey(new AzureChatOpenAI({ ...base, azureOpenAIApiKey: "k", azureOpenAIApiInstanceName: "i", azureOpenAIApiDeploymentName: "d", azureOpenAIApiVersion: "v" }), asked),
      "azure deployment": chatKey(new AzureChatOpenAI({ ...base, azureOpenAIApiKey: "k", azureOpenAIApiInstanceName: "i", azureOpenAIApiDeploymentName: "e", azureOpenAIApiVersion: "v" }), asked),
      "azure instance": chatKey(new AzureChatOpenAI({ ...base, azureOpenAIApiKey: "k", azureOpenAIApiInstanceName: "j", azureOpenAIApiDeploymentName: "d", azureOpenAIApiVersion: "v" }), asked),
      "azure version": chatKey(new AzureChatOpenAI({ ...base, azureOpenAIApiKey: "k", azureOpenAIApiInstanceName: "i", azureOpenAIApiDeploymentName: "d", azureOpenAIApiVersion: "w" }), asked),
    };
    expect(collisions(keys)).toEqual([]);
    expect(Object.entries(keys).filter(([, key]) => key === undefined)).toEqual([]);
  });

  it("has one key whatever does not change the answer", () => {
    const key = chatKey(openai(), asked);
    expect({
      "another instance": chatKey(openai(), asked),
      streaming: chatKey(openai({ streaming: true }), asked),
      "stream usage": chatKey(openai({ streamUsage: false }), asked),
      signal: chatKey(openai(), asked, { signal: new AbortController().signal }),
      "callbacks, tags, metadata": chatKey(openai(), asked, { callbacks: [{}], tags: ["t"], metadata: { a: 1 }, runName: "r", configurable: { x: 1 }, timeout: 5 }),
      "undefined options": chatKey(openai(), asked, { stop: undefined, seed: undefined, tools: undefined }),
      "no tools": chatKey(openai(), asked, { tools: [] }),
      retries: chatKey(openai({ maxRetries: 0 }), asked),
      "another API key": chatKey(openai({ apiKey: "sk-secret-2" }), asked),
    }).toEqual(Object.fromEntries(["another instance", "streaming", "stream usage", "signal", "callbacks, tags, metadata", "undefined options", "no tools", "retries", "another API key"].map((name) => [name, key])));
  });

  it("has one key for tools bound and tools given, as sequences stream with the former alone", () => {
    const bound = openai().bindTools([weather("a")]) as ChatOpenAI & { defaultOptions: object };
    const identity = (options: object): string | undefined => chatIdentity({ __proto__: bound, defaultOptions: bound.defaultOptions } as object, asked, options);
    expect(chatKey(bound, asked, {})).toBe(chatKey(bound, asked, bound.defaultOptions));
    expect(identity({})).toBeDefined();
  });

  it("has no key where the answer depends on more than the request", () => {
    expect(chatKey(openai(), asked, { tools: [{ type: "web_search" }] })).toBeUndefined();
    expect(chatKey(openai(), asked, { tools: [{ type: "file_search", vector_store_ids: ["v"] }] })).toBeUndefined();
    expect(chatKey(openai({ useResponsesApi: true }), asked, { previous_response_id: "resp_1" })).toBeUndefined();
    expect(chatKey(openai({ useResponsesApi: true, modelKwargs: { conversation: "conv_1" } }), asked)).toBeUndefined();
    expect(chatKey(openai({ modelKwargs: { web_search_options: {} } }), asked)).toBeUndefined();
  });

  it("shows no secret, neither in the key nor in what explains it", () => {
    const model = openai({ configuration: { baseURL: "http://a.test/v1", defaultHeaders: { authorization: "Bearer top-secret" }, defaultQuery: { token: "query-secret" } } });
    const identity = chatIdentity(model, asked, { options: { headers: { "x-api-key": "call-secret" } } });
    expect(identity).toContain("http://a.test/v1");
    for (const secret of ["sk-secret", "top-secret", "query-secret", "call-secret"]) expect(identity).not.toContain(secret);
  });

  it("takes headers by value, whatever they are written as", () => {
    const of = (defaultHeaders: unknown): string | undefined => chatKey(openai({ configuration: { defaultHeaders } }), asked);
    expect(of(new Headers({ "x-variant": "a" }))).toBe(of(new Headers({ "X-Variant": "a" })));
    expect(of(new Headers({ "x-variant": "a" }))).not.toBe(of(new Headers({ "x-variant": "b" })));
  });
});

describe("models that show no parameters", () => {
  it("are known by their instance alone", () => {
    const [one, other] = [new FakeListChatModel({ responses: ["a"] }), new FakeListChatModel({ responses: ["b"] })];
    expect(chatKey(one, asked)).toBeDefined();
    expect(chatKey(one, asked)).toBe(chatKey(one, asked));
    expect(chatKey(one, asked)).not.toBe(chatKey(other, asked));
    expect(chatKey(one, asked, { stop: ["x"] })).not.toBe(chatKey(one, asked));
    expect(chatKey(one, asked, { signal: AbortSignal.abort(), tags: ["a"], promptIndex: 1 })).toBe(chatKey(one, asked));
  });
});

describe("LLMs", () => {
  it("have a key of their own for every prompt and parameter", () => {
    const of = (more: object, prompts: string[], options: object = {}): string | undefined =>
      llmKind.identity({ model: new OpenAI({ model: "gpt-3.5-turbo-instruct", apiKey: "sk", ...more }), prompts, options } as unknown as LLMInput, {});
    expect(collisions({
      base: of({}, ["a"]), prompt: of({}, ["b"]), two: of({}, ["a", "b"]), joined: of({}, ["ab"]), twice: of({}, ["a", "a"]),
      temperature: of({ temperature: 0.1 }, ["a"]), stop: of({}, ["a"], { stop: ["x"] }), url: of({ configuration: { baseURL: "http://x.test" } }, ["a"]),
    })).toEqual([]);
    expect(of({}, ["a"])).toBe(of({ streaming: true }, ["a"]));
  });
});

describe("embeddings", () => {
  const of = (embeddings: object, method: "embedQuery" | "embedDocuments" = "embedQuery", text: string | string[] = "a"): string | undefined =>
    embeddingsKind.identity({ embeddings, method, text }, {});
  const openaiEmbeddings = (more: object = {}): OpenAIEmbeddings => new OpenAIEmbeddings({ model: "text-embedding-3-small", apiKey: "sk-secret", ...more });

  it("have a key of their own for method, model, dimensions, text and endpoint", () => {
    expect(collisions({
      base: of(openaiEmbeddings()), text: of(openaiEmbeddings(), "embedQuery", "b"), model: of(openaiEmbeddings({ model: "text-embedding-3-large" })),
      dimensions: of(openaiEmbeddings({ dimensions: 8 })), documents: of(openaiEmbeddings(), "embedDocuments", ["a"]), "two documents": of(openaiEmbeddings(), "embedDocuments", ["a", "b"]),
      "documents joined": of(openaiEmbeddings(), "embedDocuments", ["ab"]), method: of(openaiEmbeddings(), "embedDocuments", "a"),
      url: of(openaiEmbeddings({ configuration: { baseURL: "http://x.test" } })), fake: of(new FakeEmbeddings()), "fake dimensions": of(new FakeEmbeddings({ dimensions: 8 })),
    })).toEqual([]);
    expect(of(openaiEmbeddings())).toBe(of(openaiEmbeddings({ apiKey: "sk-other" })));
    expect(of(openaiEmbeddings())).not.toContain("sk-secret");
  });

  it("have a key of their own for settings that are objects", () => {
    class Local extends Embeddings {
      readonly model = "local";
      readonly requestOptions: object;
      constructor(requestOptions: object, more: object = {}) {
        super({});
        this.requestOptions = requestOptions;
        Object.assign(this, more);
      }
      override async embedQuery(): Promise<number[]> {
        return [];
      }
      override async embedDocuments(): Promise<number[][]> {
        return [];
      }
    }
    expect(of(new Local({ num_ctx: 1 }))).not.toBe(of(new Local({ num_ctx: 2 })));
    expect(of(new Local({ num_ctx: 1 }))).toBe(of(new Local({ num_ctx: 1 })));
    expect(of(new Local({ apiKey: "sk-inner" }))).not.toContain("sk-inner");
    // What sounds like a credential and is none; and objects of which nobody can tell what they are for.
    expect(of(new Local({}, { maxTokens: 8 }))).not.toBe(of(new Local({}, { maxTokens: 512 })));
    expect(of(new Local({}, { instructions: { query: "A" } }))).not.toBe(of(new Local({}, { instructions: { query: "B" } })));
    expect(of(new Local({}, { apiKey: "sk-one" }))).toBe(of(new Local({}, { apiKey: "sk-two" })));
  });

  it("that name no model are known by their instance alone", () => {
    const nameless = (): object => ({ embedQuery() {}, embedDocuments() {} });
    const one = nameless();
    expect(of(one)).toBe(of(one));
    expect(of(one)).not.toBe(of(nameless()));
  });
});

describe("retrievers and tools", () => {
  it("are known by their instance, or by the id that the user gives", () => {
    const retriever = (): FakeRetriever => new FakeRetriever({ documents: [] });
    const [one, other] = [retriever(), retriever()];
    const of = (object: FakeRetriever, id?: string, query = "q"): string | undefined => retrieverKind.identity({ retriever: object, query }, id === undefined ? {} : { id });
    expect(of(one)).toBe(of(one));
    expect(of(one)).not.toBe(of(other));
    expect(of(one)).not.toBe(of(one, undefined, "r"));
    expect(of(one, "docs")).toBe(of(other, "docs"));
    expect(of(one, "docs")).not.toBe(of(one, "faq"));
    const [sunny, rainy] = [weather("a"), weather("a")];
    const call = (called: object, args: unknown, id?: string): string | undefined => toolKind.identity({ tool: called, args, config: {} }, id === undefined ? {} : { id });
    expect(call(sunny, { city: "a" })).toBe(call(sunny, { city: "a" }));
    expect(collisions({ one: call(sunny, { city: "a" }), args: call(sunny, { city: "b" }), other: call(rainy, { city: "a" }), text: call(sunny, '{"city":"a"}') })).toEqual([]);
    expect(call(sunny, { city: "a" }, "w")).toBe(call(rainy, { city: "a" }, "w"));
  });
});

describe("identity fields", () => {
  it("are named for people", () => {
    expect(Object.keys(fieldsOf(chatIdentity(openai(), asked)))).toEqual(["model", "endpoint", "parameters", "message 0 (human)"]);
  });
});
