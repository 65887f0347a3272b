import { OpenAI } from "@langchain/openai";
import { describe, expect, it } from "vitest";
import { events, post, simulator } from "./support.ts";

describe("legacy completions", () => {
  it("answer OpenAI, whole, in batches and streamed", async () => {
    const { baseURL } = await simulator();
    const model = new OpenAI({ model: "gpt-3.5-turbo-instruct", apiKey: "any", configuration: { baseURL } });
    expect(await model.invoke("Hello")).toBe("Hello! How can I help you today?");
    const { generations, llmOutput } = await model.generate(["Tell me about cats", "Tell me about dogs"]);
    expect(generations.map(([first]) => first!.text)).toEqual([expect.stringContaining("cats"), expect.stringContaining("dogs")]);
    expect(llmOutput!.tokenUsage.promptTokens).toBe(10);
    const pieces: string[] = [];
    for await (const piece of await model.stream("Hello")) pieces.push(piece);
    expect(pieces.join("")).toBe("Hello! How can I help you today?");
    expect(pieces.length).toBeGreaterThan(5);
  });

  it("report usage in streams when asked", async () => {
    const { baseURL } = await simulator();
    const response = await post(`${baseURL}/completions`, { model: "m", prompt: "Hello", stream: true, stream_options: { include_usage: true } });
    expect(events(await response.text()).at(-2)).toMatchObject({ usage: { completion_tokens: 9 } });
  });

  it("refuse a prompt that is no text", async () => {
    const { baseURL } = await simulator();
    expect((await post(`${baseURL}/completions`, { model: "m", prompt: [5] })).status).toBe(400);
  });
});
