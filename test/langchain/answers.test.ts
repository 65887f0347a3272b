import { AIMessage, AIMessageChunk, HumanMessage } from "@langchain/core/messages";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { withPerf } from "langchain-perf";
import { FakeChatModel } from "../support/fakes/chat-model.ts";
import { createFakeKit } from "../support/fakes/kit.ts";
import { allOf, WAYS } from "./fixtures/ways.ts";

const city = z.object({ name: z.string(), large: z.boolean() });

/** One question, asked twice: of the model and, where there is one, of the cache. */
describe.each(WAYS)("answers of a %s model", (_way, wrap) => {
  it("keeps tool calls, with an id of its own for each receiver", async () => {
    const kit = createFakeKit();
    const model = wrap(kit.chat()).bindTools([kit.tool({ name: "weather" })]);
    const config = { callbacks: [{ handleLLMEnd: () => {} }] };
    const answers = [await model.invoke("How is Oslo?", config), await model.invoke("How is Oslo?", config)];
    for (const { tool_calls: [call] = [] } of answers) {
      expect(call).toMatchObject({ name: "weather", args: { topic: "How is Oslo?" }, type: "tool_call" });
      expect(call?.id).toMatch(/^call_/);
    }
    expect(new Set(answers.map(({ tool_calls }) => tool_calls?.[0]?.id)).size).toBe(2);
    expect(new Set(answers.map(({ id }) => id)).size).toBe(2);
  });

  it("streams tool calls in pieces that make a whole", async () => {
    const kit = createFakeKit();
    const model = wrap(kit.chat()).bindTools([kit.tool({ name: "weather" })]);
    for (const chunks of [await allOf(model.stream("How is Oslo?")), await allOf(model.stream("How is Oslo?"))]) {
      const pieces = chunks.flatMap(({ tool_call_chunks = [] }) => tool_call_chunks);
      expect(pieces.length).toBe(3);
      const [first, ...rest] = pieces;
      expect(first?.id).toMatch(/^call_/);
      expect(rest.every(({ id }) => id === undefined)).toBe(true);
      const whole = chunks.reduce((sum, chunk) => sum.concat(chunk));
      expect(whole).toBeInstanceOf(AIMessageChunk);
      expect(whole.tool_calls).toMatchObject([{ name: "weather", args: { topic: "How is Oslo?" }, id: first?.id }]);
    }
  });

  it("parses structured output, with the raw message where it is wanted", async () => {
    const kit = createFakeKit();
    const model = wrap(kit.chat());
    const structured = model.withStructuredOutput(city, { name: "city" });
    const answers = [await structured.invoke("Oslo"), await structured.invoke("Oslo")];
    expect(answers[0]).toMatchObject({ name: "Oslo", large: expect.any(Boolean) });
    expect(answers[1]).toEqual(answers[0]);
    expect(answers[1]).not.toBe(answers[0]);
    const { raw, parsed } = await model.withStructuredOutput(city, { name: "city", includeRaw: true }).invoke("Oslo");
    expect(parsed).toEqual(answers[0]);
    expect(raw).toBeInstanceOf(AIMessage);
  });

  it("leaves the answer to its receiver, who may change it", async () => {
    const model = wrap(new FakeChatModel());
    const first = await model.invoke("Hello");
    const { content } = first;
    first.content = "changed";
    first.response_metadata.model_name = "changed";
    first.additional_kwargs.mine = true;
    const second = await model.invoke("Hello");
    expect(second.content).toBe(content);
    expect(second.response_metadata.model_name).toBe("fake-chat");
    expect(second.additional_kwargs).toEqual({});
  });
});

describe("usage", () => {
  const model = (): FakeChatModel => withPerf(new FakeChatModel());
  const paid = { input_tokens: 2, output_tokens: 5, total_tokens: 7 };
  const free = { input_tokens: 0, output_tokens: 0, total_tokens: 0 };

  it("is the provider's on a miss", async () => {
    const answer = await model().invoke("Hello there");
    expect(answer.usage_metadata).toMatchObject(paid);
    expect(answer.response_metadata).not.toHaveProperty("perf");
  });

  it("is zero on a hit, with the original in the metadata", async () => {
    const fast = model();
    await fast.invoke("Hello there");
    const hit = await fast.invoke("Hello there");
    expect(hit.usage_metadata).toMatchObject(free);
    expect(hit.response_metadata.perf).toMatchObject({ cached: true, usage: paid });
    expect(hit.response_metadata.tokenUsage).toEqual({ promptTokens: 0, completionTokens: 0, totalTokens: 0 });
  });

  it("is zero for a hit that is streamed, and for one whose entry was written by a stream", async () => {
    const fast = model();
    await allOf(fast.stream("Hello there"));
    const whole = (await allOf(fast.stream("Hello there"))).reduce((sum, chunk) => sum.concat(chunk));
    expect(whole.usage_metadata).toMatchObject(free);
    expect(whole.response_metadata.perf).toMatchObject({ cached: true, usage: paid });
    const invoked = await fast.invoke("Hello there");
    expect(invoked.usage_metadata).toMatchObject(free);
    expect(invoked.response_metadata.perf).toMatchObject({ cached: true, usage: paid });
    expect(invoked.text).toBe(whole.text);
  });

  it("is counted once for all who shared one call", async () => {
    const fast = model();
    const answers = await Promise.all(Array.from({ length: 5 }, () => fast.invoke([new HumanMessage("Hello there")])));
    const tokens = answers.map(({ usage_metadata }) => usage_metadata?.total_tokens);
    expect(tokens.toSorted()).toEqual([0, 0, 0, 0, 7]);
  });
});
