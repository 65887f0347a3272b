import { AIMessage, HumanMessage, SystemMessage, ToolMessage, type BaseMessage } from "@langchain/core/messages";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { copyMessage, type MessageLike } from "../../../src/langchain/messages.ts";
import { anthropic, call, FORMATS, google, MODELS, openai, rebound, unfit } from "./models.ts";

const copies = (messages: readonly BaseMessage[]): BaseMessage[] => messages.map((message) => copyMessage(message as unknown as MessageLike) as unknown as BaseMessage);
const calls = [{ type: "tool_call" as const, id: "toolu_1", name: "get_weather", args: { city: "Oslo" } }];
const result = new ToolMessage({ content: "Rain.", tool_call_id: "toolu_1", name: "get_weather" });

/** One answer as each provider's class writes it. */
const SAID = {
  OpenAI: new AIMessage({
    content: [{ type: "text", text: "Let me see." }], tool_calls: calls, id: "msg_1",
    additional_kwargs: { reasoning: { id: "rs_1", type: "reasoning", summary: [] }, tool_calls: [{ id: "toolu_1", type: "function", function: { name: "get_weather", arguments: "{}" } }] },
    response_metadata: { model_provider: "openai", output: [{ type: "reasoning", id: "rs_1" }, { type: "function_call", id: "fc_1" }] },
  }),
  Anthropic: new AIMessage({
    content: [
      { type: "thinking", thinking: "Hm.", signature: "s" }, { type: "redacted_thinking", data: "d" }, { type: "text", text: "Let me see." },
      { type: "tool_use", id: "toolu_1", name: "get_weather", input: { city: "Oslo" } },
    ],
    tool_calls: calls, id: "msg_2", response_metadata: { model_provider: "anthropic" },
  }),
  Google: new AIMessage({
    content: [{ type: "thinking", thinking: "Hm.", signature: "s" }, { type: "text", text: "Let me see." }, { type: "functionCall", functionCall: { name: "get_weather", args: { city: "Oslo" } } }],
    tool_calls: calls, additional_kwargs: { finishReason: "STOP", __gemini_function_call_thought_signatures__: { toolu_1: "s" } },
  }),
};

describe("a conversation", () => {
  it.each(FORMATS)("in which a model of %s spoke holds nothing of it that others cannot read", (from) => {
    const messages = [new HumanMessage("Weather?"), SAID[from], result];
    const before = copies(messages);
    for (const to of FORMATS.filter((one) => one !== from)) {
      // Whoever was asked before: a call may have been made of a model, answered by a second and now be made of a third.
      for (const asked of FORMATS) {
        const [question, said, answer] = rebound(call(MODELS[asked]({ apiKey: "other" }), {}, messages), MODELS[to]()).messages as [BaseMessage, AIMessage, BaseMessage];
        expect([question, answer]).toEqual([messages[0], result]);
        expect(AIMessage.isInstance(said)).toBe(true);
        expect(said).toMatchObject({ content: [{ type: "text", text: "Let me see." }], tool_calls: calls, additional_kwargs: {}, response_metadata: {}, id: undefined });
        expect(said.toDict().data).toMatchObject({ content: said.content, response_metadata: {} });
      }
    }
    expect(messages).toEqual(before);
  });

  it.each(FORMATS)("goes back to the model of %s that was asked as that one can read it", (to) => {
    for (const from of FORMATS) {
      const input = call(MODELS[to](), {}, [new HumanMessage("Weather?"), SAID[from], result]);
      const made = rebound(input, input.model);
      if (from === to) expect(made).toBe(input);
      else expect(made.messages[1]).toMatchObject({ content: [{ type: "text", text: "Let me see." }], tool_calls: calls });
    }
  });

  it("stays as it is for another model of the same format", () => {
    for (const format of ["Anthropic", "Google"] as const) {
      const input = call(MODELS[format](), {}, [new HumanMessage("Weather?"), SAID[format], result]);
      expect(rebound(input, MODELS[format]({ apiKey: "other" })).messages).toBe(input.messages);
    }
    const input = call(openai(), {}, [new HumanMessage("a"), SAID.OpenAI]);
    expect(rebound(input, openai({ model: "gpt-4.1" })).messages).toBe(input.messages);
  });

  it("on another account names none of the items that OpenAI keeps", () => {
    const { messages } = rebound(call(openai(), {}, [new HumanMessage("a"), SAID.OpenAI]), openai({ apiKey: "other" }));
    expect(messages[1]).toMatchObject({ content: [{ type: "text", text: "Let me see." }], tool_calls: calls, additional_kwargs: {}, response_metadata: {}, id: undefined });
  });

  it("that holds what others cannot be told is not taken to them", () => {
    const search = new AIMessage({ content: [{ type: "server_tool_use", id: "s", name: "web_search", input: {} }, { type: "text", text: "Found." }], response_metadata: { model_provider: "anthropic" } });
    const spoken = new AIMessage({ content: "", additional_kwargs: { audio: { id: "a" } }, response_metadata: { model_provider: "openai" } });
    expect(unfit(call(anthropic(), {}, [search]), openai())).toBe('cannot read what is in the conversation as "server_tool_use" of Anthropic');
    expect(unfit(call(openai(), {}, [spoken]), anthropic())).toBe("cannot hear what was said in the conversation");
    const input = call(openai(), {}, [search]);
    expect(rebound(input, input.model)).toBe(input);
  });

  it.each([
    ["Anthropic", "OpenAI", { type: "document", source: { type: "text", data: "a" } }, "document"],
    ["Anthropic", "Google", { type: "image", source: { type: "base64", data: "AA==" } }, "image"],
    ["OpenAI", "Anthropic", { type: "input_audio", input_audio: { data: "AA==", format: "wav" } }, "input_audio"],
    ["OpenAI", "Google", { type: "image_url", image_url: { url: "https://example.com/a.png" } }, "image_url"],
    ["Google", "Anthropic", { type: "media", mimeType: "audio/mp3", data: "AA==" }, "media"],
  ] as const)("that asks %s in a way of which %s hears nothing is not taken there", (from, to, block, type) => {
    const messages = [new HumanMessage({ content: [{ type: "text", text: "See:" }, block] as never })];
    expect(unfit(call(MODELS[from](), {}, messages), MODELS[to]())).toBe(`cannot read what is in the conversation as "${type}" of ${from}`);
    expect(unfit(call(MODELS[from](), {}, messages), MODELS[from]({ apiKey: "other" }))).toBeUndefined();
  });

  it("takes its images along, and not the marks of Anthropic's cache", () => {
    const image = { type: "image_url" as const, image_url: { url: "data:image/png;base64,AA==" } };
    const messages = [new SystemMessage({ content: [{ type: "text", text: "Be brief.", cache_control: { type: "ephemeral" } }] }), new HumanMessage({ content: [image] })];
    const before = copies(messages);
    const made = rebound(call(anthropic(), {}, messages), openai()).messages;
    expect(made.map(({ content }) => content)).toEqual([[{ type: "text", text: "Be brief." }], [image]]);
    expect(made[1]).toBe(messages[1]);
    expect(messages).toEqual(before);
  });

  it("is not taken to a model that would want to have thought before the calls it is shown", () => {
    const thinking = anthropic({ thinking: { type: "enabled", budget_tokens: 2_000 } });
    const open = [new HumanMessage("Weather?"), SAID.OpenAI, result];
    expect(unfit(call(openai(), {}, open), thinking)).toBe("wants its own thoughts before the tool calls of the conversation, which another provider made");
    expect(unfit(call(openai(), {}, [...open, new AIMessage("Rain."), new HumanMessage("Thanks")]), thinking)).toBeUndefined();
    expect(unfit(call(openai(), {}, open), anthropic())).toBeUndefined();
  });
});

describe("ids of tool calls", () => {
  const idText = fc.string({ unit: fc.constantFrom("a", "_", ".", ":", "é"), minLength: 1, maxLength: 4 });

  it("are such as Anthropic takes, as many as before, and the same for a call and its result", () => {
    fc.assert(fc.property(fc.uniqueArray(idText, { minLength: 1, maxLength: 6 }), (ids) => {
      const messages = [
        new HumanMessage("Do it"),
        new AIMessage({ content: "", tool_calls: ids.map((id) => ({ type: "tool_call" as const, id, name: "f", args: {} })) }),
        ...ids.map((id) => new ToolMessage({ content: id, tool_call_id: id })),
      ];
      const before = copies(messages);
      const [, said, ...results] = rebound(call(openai(), {}, messages), anthropic()).messages as [BaseMessage, AIMessage, ...ToolMessage[]];
      const made = said.tool_calls?.map(({ id }) => id as string) ?? [];
      expect(new Set(made).size).toBe(ids.length);
      for (const id of made) expect(id).toMatch(/^[a-zA-Z0-9_-]+$/);
      expect(results.map(({ tool_call_id: id }) => id)).toEqual(made);
      expect(results.map(({ content }) => content)).toEqual(ids);
      expect(messages).toEqual(before);
    }), { seed: 11 });
  });

  it("that are valid stay", () => {
    const messages = [new HumanMessage("a"), SAID.OpenAI, result];
    expect(rebound(call(openai(), {}, messages), anthropic()).messages[2]).toBe(result);
    expect(rebound(call(openai(), {}, messages), google()).messages[2]).toBe(result);
  });
});
