import type { AIMessageChunk } from "@langchain/core/messages";
import { tool } from "@langchain/core/tools";
import { createAgent } from "langchain";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { chatModel, events, json, post, simulator } from "./support.ts";

const weather = tool(({ city }) => `It is sunny in ${city}.`, {
  name: "get_weather",
  description: "Get the current weather for a city",
  schema: z.object({ city: z.string() }),
});

async function last(stream: AsyncIterable<AIMessageChunk>): Promise<AIMessageChunk> {
  let whole: AIMessageChunk | undefined;
  for await (const chunk of stream) whole = whole === undefined ? chunk : whole.concat(chunk);
  return whole!;
}

describe("the responses API", () => {
  it("answers ChatOpenAI, whole and streamed, with the same text and usage", async () => {
    const provider = await simulator();
    const model = chatModel(provider, { useResponsesApi: true });
    const whole = await model.invoke("Hello");
    const streamed = await last(await model.stream("Hello"));
    expect([whole.text, streamed.text]).toEqual(Array(2).fill("Hello! How can I help you today?"));
    expect(streamed.usage_metadata).toEqual(whole.usage_metadata);
    expect([whole.response_metadata.status, streamed.response_metadata.status]).toEqual(["completed", "completed"]);
    expect(whole.response_metadata.metadata).toEqual({ digest: provider.requests[0]!.digest });
    expect(provider.count({ path: "/v1/responses" })).toBe(2);
  });

  it("says that an answer was cut by its limit", async () => {
    const model = chatModel(await simulator(), { useResponsesApi: true, maxTokens: 2 });
    expect((await model.invoke("Hello")).response_metadata).toMatchObject({ status: "incomplete", incomplete_details: { reason: "max_output_tokens" } });
    expect((await last(await model.stream("Hello"))).response_metadata.status).toBe("incomplete");
  });

  it("calls tools, whole and in pieces", async () => {
    const model = chatModel(await simulator(), { useResponsesApi: true }).bindTools([weather]);
    const expected = [{ name: "get_weather", args: { city: "Oslo" } }];
    expect((await model.invoke("What is the weather in Oslo?")).tool_calls).toMatchObject(expected);
    expect((await last(await model.stream("What is the weather in Oslo?"))).tool_calls).toMatchObject(expected);
  });

  it("takes part in an agent's loop", async () => {
    const agent = createAgent({ model: chatModel(await simulator(), { useResponsesApi: true }), tools: [weather] });
    const { messages } = await agent.invoke({ messages: [{ role: "user", content: "What is the weather in Oslo?" }] });
    expect(messages.at(-1)!.text).toBe("It is sunny in Oslo.");
  });

  it("follows schemas", async () => {
    const model = chatModel(await simulator(), { useResponsesApi: true }).withStructuredOutput(z.object({ mood: z.enum(["positive", "negative"]) }));
    expect(await model.invoke("What a great day")).toEqual({ mood: "positive" });
  });

  it("keeps conversations", async () => {
    const { baseURL } = await simulator();
    const model = "gpt-4o-mini";
    const first = await json(post(`${baseURL}/responses`, { model, instructions: "Be kind.", input: "My name is Ada." }));
    const second = await json(post(`${baseURL}/responses`, { model, input: "What is my name?", previous_response_id: first.id }));
    expect(second.output[0].content[0].text).toContain("Your name is Ada");
    const unknown = await post(`${baseURL}/responses`, { model, input: "x", previous_response_id: "resp_none" });
    expect(unknown.status).toBe(400);
  });

  it("numbers the events of a stream, from created to completed", async () => {
    const { baseURL } = await simulator();
    const stream = events(await (await post(`${baseURL}/responses`, { model: "gpt-4o", input: "Hello", stream: true })).text());
    expect(stream.map((event) => event.sequence_number)).toEqual(stream.map((_, at) => at));
    expect([stream[0]!.type, stream.at(-1)!.type]).toEqual(["response.created", "response.completed"]);
  });
});
