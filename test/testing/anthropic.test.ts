import { describe, expect, it } from "vitest";
import { events, json, post, simulator } from "./support.ts";

const tools = [{ name: "get_weather", description: "Get the current weather for a city", input_schema: { type: "object", properties: { city: { type: "string" } } } }];

async function messages(body: object, options = {}): Promise<Response> {
  const { anthropicBaseURL } = await simulator(options);
  return post(`${anthropicBaseURL}/v1/messages`, { model: "claude-sonnet-4-5", max_tokens: 100, ...body });
}

const user = (content: unknown): object => ({ messages: [{ role: "user", content }] });

describe("Anthropic's messages API", () => {
  it("answers with text, stop reason and usage", async () => {
    expect(await (await messages(user([{ type: "text", text: "Hello" }]))).json()).toMatchObject({
      type: "message",
      role: "assistant",
      content: [{ type: "text", text: "Hello! How can I help you today?" }],
      stop_reason: "end_turn",
      usage: { output_tokens: 9, cache_read_input_tokens: 0 },
    });
  });

  it("says why an answer ended", async () => {
    expect(await (await messages({ ...user("Hello"), max_tokens: 2 })).json()).toMatchObject({ stop_reason: "max_tokens" });
    expect(await (await messages({ ...user("Hello"), stop_sequences: ["can"] })).json()).toMatchObject({ stop_reason: "stop_sequence", stop_sequence: "can" });
  });

  it("streams text by its events", async () => {
    const stream = events(await (await messages({ ...user("Hello"), stream: true })).text());
    expect(stream.map((event) => event.type).filter((type, at, all) => type !== all[at - 1])).toEqual([
      "message_start", "content_block_start", "content_block_delta", "content_block_stop", "message_delta", "message_stop",
    ]);
    expect(stream.map((event) => event.delta?.text ?? "").join("")).toBe("Hello! How can I help you today?");
  });

  it("calls tools, whole and in pieces, and answers from their results", async () => {
    const question = user("What is the weather in Oslo?");
    const called = await json(messages({ ...question, tools }));
    expect(called).toMatchObject({ content: [{ type: "tool_use", name: "get_weather", input: { city: "Oslo" } }], stop_reason: "tool_use" });
    const stream = events(await (await messages({ ...question, tools, stream: true })).text());
    expect(JSON.parse(stream.map((event) => event.delta?.partial_json ?? "").join(""))).toEqual({ city: "Oslo" });
    const answered = await messages({
      tools,
      messages: [
        { role: "user", content: "What is the weather in Oslo?" },
        { role: "assistant", content: called.content },
        { role: "user", content: [{ type: "tool_result", tool_use_id: called.content[0].id, content: "Rain in Oslo." }] },
      ],
    });
    expect(await answered.json()).toMatchObject({ content: [{ text: "Rain in Oslo." }], stop_reason: "end_turn" });
  });

  it("follows tool_choice and an output schema", async () => {
    const hello = { ...user("Hello"), tools };
    expect(await (await messages({ ...hello, tool_choice: { type: "tool", name: "get_weather" } })).json()).toMatchObject({ stop_reason: "tool_use" });
    expect(await (await messages({ ...hello, tool_choice: { type: "any" } })).json()).toMatchObject({ stop_reason: "tool_use" });
    expect(await (await messages({ ...user("Weather in Oslo?"), tools, tool_choice: { type: "none" } })).json()).toMatchObject({ stop_reason: "end_turn" });
    const schema = { type: "object", properties: { mood: { enum: ["positive", "negative"] } } };
    const body = await json(messages({ ...user("An awful day"), output_config: { format: { type: "json_schema", schema } } }));
    expect(JSON.parse(body.content[0].text)).toEqual({ mood: "negative" });
  });

  it("refuses as Anthropic does, and names its limits so", async () => {
    const wrong = await messages({ messages: [{ role: "system", content: "x" }] });
    expect([wrong.status, await wrong.json()]).toEqual([400, { type: "error", error: expect.objectContaining({ type: "invalid_request_error" }) }]);
    expect((await messages({ ...user("Hello"), max_tokens: undefined })).status).toBe(400);
    const { headers } = await messages(user("Hello"), { limits: { requestsPerMinute: 10 } });
    expect(headers.get("anthropic-ratelimit-requests-remaining")).toBe("9");
    expect(Date.parse(headers.get("anthropic-ratelimit-requests-reset")!)).not.toBeNaN();
    expect(await (await messages({ ...user("Hello"), model: "claude+status=529" })).json()).toMatchObject({ error: { type: "overloaded_error" } });
  });
});
