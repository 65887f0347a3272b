import type { AIMessageChunk } from "@langchain/core/messages";
import { tool } from "@langchain/core/tools";
import { createAgent } from "langchain";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { ask, chatModel, events, json, simulator } from "./support.ts";

const weather = tool(({ city }) => `It is sunny in ${city}.`, {
  name: "get_weather",
  description: "Get the current weather for a city",
  schema: z.object({ city: z.string() }),
});
const calculator = tool(({ expression }) => `${expression} is 84`, {
  name: "calculator",
  description: "Evaluate an arithmetic expression",
  schema: z.object({ expression: z.string() }),
});
const review = z.object({
  sentiment: z.enum(["positive", "negative", "neutral"]),
  confidence: z.number().min(0).max(1),
  rating: z.number().int().min(1).max(5),
  recommended: z.boolean(),
});

async function collect(stream: AsyncIterable<AIMessageChunk>): Promise<{ chunks: AIMessageChunk[]; whole: AIMessageChunk }> {
  const chunks: AIMessageChunk[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return { chunks, whole: chunks.reduce((left, right) => left.concat(right)) };
}

describe("a whole answer", () => {
  it("has text, finish reason, usage and a fingerprint of the request", async () => {
    const provider = await simulator();
    const message = await chatModel(provider).invoke("Hello");
    expect(message.content).toBe("Hello! How can I help you today?");
    expect(message.response_metadata.finish_reason).toBe("stop");
    expect(message.usage_metadata).toMatchObject({ output_tokens: 9, input_token_details: { cache_read: 0 } });
    expect(message.response_metadata.system_fingerprint).toBe(`fp_${provider.requests[0]!.digest}`);
  });

  it("is the same for the same question but for its id", async () => {
    const [first, second] = [await simulator({ seed: 3 }), await simulator({ seed: 4 })];
    const answers = [await chatModel(first).invoke("Tell me about cats"), await chatModel(first).invoke("Tell me about cats"), await chatModel(second).invoke("Tell me about cats")];
    expect(new Set(answers.map((answer) => answer.content)).size).toBe(1);
    expect(new Set(answers.map((answer) => answer.id)).size).toBe(3);
  });

  it("ends at max_tokens with length, under either name", async () => {
    const provider = await simulator();
    const message = await chatModel(provider, { maxTokens: 3 }).invoke("Hello");
    expect(message.content).toBe("Hello! How");
    expect(message.response_metadata.finish_reason).toBe("length");
    expect(await (await ask(provider, "Hello", { max_completion_tokens: 1 })).json()).toMatchObject({ choices: [{ message: { content: "Hello" }, finish_reason: "length" }] });
  });

  it("ends before a stop sequence", async () => {
    const message = await chatModel(await simulator()).invoke("Hello", { stop: ["can", "help"] });
    expect(message.content).toBe("Hello! How ");
    expect(message.response_metadata.finish_reason).toBe("stop");
  });

  it("gives n choices, each with an index", async () => {
    const body = await json(ask(await simulator(), "Tell me about cats", { n: 3 }));
    expect(body.choices.map((choice: { index: number }) => choice.index)).toEqual([0, 1, 2]);
    expect(new Set(body.choices.map((choice: { message: { content: string } }) => choice.message.content)).size).toBe(3);
  });

  it.each([
    [{ model: 5 }, "model"],
    [{ messages: [] }, "messages"],
    [{ messages: [{ role: "robot", content: "x" }] }, "messages[0]"],
    [{ n: 0 }, "n"],
    [{ response_format: { type: "xml" } }, "response_format"],
  ])("is refused with 400 and the parameter's name for %j", async (body, param) => {
    const provider = await simulator();
    const response = await ask(provider, "Hello", body);
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ error: { type: "invalid_request_error", param } });
    expect(provider.requests[0]!.outcome).toBe("rejected");
  });

  it("is refused with 400 when the body is no JSON object, and 404 or 405 elsewhere", async () => {
    const { baseURL, url } = await simulator();
    expect((await fetch(`${baseURL}/chat/completions`, { method: "POST", body: "{" })).status).toBe(400);
    expect((await fetch(`${baseURL}/chat/completions`, { method: "POST", body: "[]" })).status).toBe(400);
    expect((await fetch(`${baseURL}/chat/completions`, { method: "POST", body: new Uint8Array(65 * 1024 * 1024) })).status).toBe(413);
    expect((await fetch(`${baseURL}/chat/completions`)).status).toBe(405);
    expect((await fetch(`${url}/nowhere`)).status).toBe(404);
  });
});

describe("a streamed answer", () => {
  it("has the text, finish reason and usage of the whole one", async () => {
    const model = chatModel(await simulator());
    const { chunks, whole } = await collect(await model.stream("Hello"));
    expect(whole.content).toBe("Hello! How can I help you today?");
    expect(whole.response_metadata.finish_reason).toBe("stop");
    expect(whole.usage_metadata).toMatchObject({ output_tokens: 9 });
    expect(chunks.filter((chunk) => chunk.content !== "")).toHaveLength(9);
  });

  it("reports usage only when asked, and ends with [DONE]", async () => {
    const provider = await simulator();
    const plain = events(await (await ask(provider, "Hello", { stream: true })).text());
    const counted = events(await (await ask(provider, "Hello", { stream: true, stream_options: { include_usage: true } })).text());
    expect(plain.some((event) => event.usage)).toBe(false);
    expect(counted.at(-2)).toMatchObject({ choices: [], usage: { completion_tokens: 9 } });
    expect([plain.at(-1), counted.at(-1)]).toEqual([{ done: true }, { done: true }]);
  });

  it("has exactly as many chunks with text as the model's name says", async () => {
    const { chunks } = await collect(await chatModel(await simulator(), { model: "chunks-100" }).stream("anything"));
    expect(chunks.filter((chunk) => chunk.content !== "")).toHaveLength(100);
  });

  it("streams each of n choices", async () => {
    const streamed = events(await (await ask(await simulator(), "Tell me about cats", { stream: true, n: 2 })).text());
    const finished = streamed.flatMap((event) => event.choices ?? []).filter((choice) => choice.finish_reason === "stop");
    expect(finished.map((choice) => choice.index)).toEqual([0, 1]);
  });
});

describe("tools", () => {
  const question = "What is the weather in New York, and what is 12 * (3 + 4)?";
  const calls = [
    { name: "get_weather", args: { city: "New York" } },
    { name: "calculator", args: { expression: "12 * (3 + 4)" } },
  ];

  it("that fit are called together, with arguments from the question", async () => {
    const message = await chatModel(await simulator()).bindTools([weather, calculator]).invoke(question);
    expect(message.tool_calls).toMatchObject(calls);
    expect(new Set(message.tool_calls!.map((call) => call.id)).size).toBe(2);
    expect(message.response_metadata.finish_reason).toBe("tool_calls");
  });

  it("are called in pieces when streaming", async () => {
    const { chunks, whole } = await collect(await chatModel(await simulator()).bindTools([weather, calculator]).stream(question));
    expect(whole.tool_calls).toMatchObject(calls);
    const pieces = chunks.flatMap((chunk) => chunk.tool_call_chunks ?? []).filter((piece) => piece.index === 0);
    expect(pieces.length).toBeGreaterThan(2);
    expect(pieces[0]).toMatchObject({ name: "get_weather", args: "" });
    expect(pieces.slice(1).every((piece) => piece.id === undefined)).toBe(true);
  });

  it("are called one by one when parallel calls are off, then answered from their results", async () => {
    const provider = await simulator();
    const agent = createAgent({ model: chatModel(provider, { modelKwargs: { parallel_tool_calls: false } }), tools: [weather, calculator] });
    const { messages } = await agent.invoke({ messages: [{ role: "user", content: question }] });
    expect(messages.map((message) => message.type)).toEqual(["human", "ai", "tool", "ai", "tool", "ai"]);
    expect(messages.at(-1)!.content).toBe("It is sunny in New York. 12 * (3 + 4) is 84");
    expect(provider.count()).toBe(3);
  });

  it("are not called when none fits, or when forbidden; are when required or named", async () => {
    const model = chatModel(await simulator());
    expect((await model.bindTools([weather]).invoke("Who wrote Hamlet?")).tool_calls).toEqual([]);
    expect((await model.bindTools([weather], { tool_choice: "none" }).invoke("The weather in Rome?")).tool_calls).toEqual([]);
    expect((await model.bindTools([calculator], { tool_choice: "required" }).invoke("Who wrote Hamlet?")).tool_calls).toHaveLength(1);
    expect((await model.bindTools([weather, calculator], { tool_choice: "calculator" }).invoke("The weather in Rome?")).tool_calls).toMatchObject([{ name: "calculator" }]);
  });

  it("that search are called for a question that no other tool fits", async () => {
    const search = tool(() => "", { name: "search_docs", description: "Search the documentation", schema: z.object({ query: z.string() }) });
    const message = await chatModel(await simulator()).bindTools([weather, search]).invoke("Who wrote Hamlet?");
    expect(message.tool_calls).toMatchObject([{ name: "search_docs", args: { query: "Who wrote Hamlet?" } }]);
  });
});

describe("structured output", () => {
  it.each(["jsonSchema", "functionCalling"] as const)("follows the schema by %s, whole and streamed", async (method) => {
    const model = chatModel(await simulator()).withStructuredOutput(review, { method });
    const angry = { sentiment: "negative", rating: 1, recommended: false };
    expect(await model.invoke("The room was dirty and the staff rude.")).toMatchObject(angry);
    expect(await model.invoke("I loved the wonderful breakfast, 5 stars!")).toMatchObject({ sentiment: "positive", rating: 5, recommended: true });
    let last: unknown;
    for await (const part of await model.stream("The room was dirty and the staff rude.")) last = part;
    expect(last).toMatchObject(angry);
  });

  it("is any object for json_object", async () => {
    const body = await json(ask(await simulator(), "Hello", { response_format: { type: "json_object" } }));
    expect(JSON.parse(body.choices[0].message.content)).toEqual({ answer: "Hello" });
  });

  it("works in an agent, as a tool and natively", async () => {
    const provider = await simulator();
    const trip = z.object({ city: z.string(), days: z.number() });
    const agent = createAgent({ model: chatModel(provider), tools: [weather], responseFormat: trip });
    const { structuredResponse } = await agent.invoke({ messages: [{ role: "user", content: "How will the weather be in Rome? I stay for 5 days." }] });
    expect(structuredResponse).toEqual({ city: "Rome", days: 5 });
  });
});
