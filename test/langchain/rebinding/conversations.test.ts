import { HumanMessage, type AIMessage, type BaseMessage } from "@langchain/core/messages";
import { concat } from "@langchain/core/utils/stream";
import { ChatOpenAI } from "@langchain/openai";
import { createAgent } from "langchain";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { z } from "zod";
import type { ChatInput } from "../../../src/langchain/kinds/model-inputs.ts";
import { call, rebound, weather } from "./models.ts";
import { simulated, SIMULATED } from "./simulated.ts";

async function generated({ model, messages, options }: ChatInput): Promise<AIMessage> {
  const { generations } = await model._generate(messages, options as never);
  return generations[0]?.message as AIMessage;
}

async function streamed({ model, messages, options }: ChatInput): Promise<AIMessage> {
  let whole: AIMessage | undefined;
  for await (const { message } of model._streamResponseChunks(messages, options as never)) whole = whole ? (concat(whole as never, message as never) as AIMessage) : (message as AIMessage);
  return whole as AIMessage;
}

const pairs = SIMULATED.flatMap((first) => SIMULATED.filter((second) => second !== first).map((second) => [first, second] as const));

describe("a conversation with tools", () => {
  it.each(pairs.flatMap(([first, second]) => [[first, second, "whole", generated] as const, [first, second, "in parts", streamed] as const]))(
    "made of %s is begun by %s, %s, and goes on and back at both", async (first, second, _, answer) => {
      const all = await simulated();
      const asked = all[first];
      const question = new HumanMessage("What is the weather in Oslo?");
      const begun = await answer(rebound(call(asked.bindTools([weather]), {}, [question]), all[second]));
      expect(begun.tool_calls).toMatchObject([{ name: "get_weather", args: { city: "Oslo" } }]);

      const messages: BaseMessage[] = [question, begun, await weather.invoke(begun.tool_calls?.[0] as never)];
      for (const name of SIMULATED) {
        const ended = await answer(rebound(call(asked.bindTools([weather]), {}, messages), all[name]));
        expect(ended.text).toBe("Rain in Oslo.");
        expect(ended.tool_calls).toEqual([]);
      }
    });

  it("can be led to one tool by another's choice", async () => {
    const all = await simulated();
    for (const [first, second] of [["OpenAI", "Anthropic"], ["Anthropic", "OpenAI"]] as const) {
      const input = call(all[first].bindTools([weather], { tool_choice: "get_weather" } as never), {}, [new HumanMessage("Hello")]);
      expect((await generated(rebound(input, all[second]))).tool_calls).toMatchObject([{ name: "get_weather" }]);
    }
  });

  it("of an agent moves from one format to the other and back", async () => {
    const all = await simulated();
    const targets = [all.Anthropic, all.OpenAI, all.Anthropic];
    const original = ChatOpenAI.prototype._generate;
    let calls = 0;
    // Answers as a route would. On the prototype: an agent binds tools to a model of its own.
    const spy = vi.spyOn(ChatOpenAI.prototype, "_generate").mockImplementation(function (this: ChatOpenAI, messages, options, runManager) {
      const target = this === all.OpenAI ? undefined : targets[calls++];
      const made = rebound(call(this, options, messages), target ?? this);
      return target ? made.model._generate(made.messages, made.options as never, runManager) : original.call(this, made.messages, made.options as never, runManager);
    });
    onTestFinished(() => spy.mockRestore());
    const agent = createAgent({ model: all.OpenAI, tools: [weather] });
    const { messages } = await agent.invoke({ messages: [new HumanMessage("What is the weather in Oslo?")] });
    expect(messages.at(-1)?.text).toBe("Rain in Oslo.");
    const again = await agent.invoke({ messages: [...messages, new HumanMessage("What is the weather in Rome?")] });
    expect(again.messages.at(-1)?.text).toBe("Rain in Rome.");
    expect(calls).toBe(4);
  });

  it("answers in the form that was asked for by a tool, at whoever is asked", async () => {
    const all = await simulated();
    const pipeline = all.OpenAI.withStructuredOutput(z.object({ mood: z.enum(["positive", "negative"]) }), { method: "functionCalling" }) as unknown as { first: object; last: { invoke(message: AIMessage): unknown } };
    const answer = await generated(rebound(call(pipeline.first, {}, [new HumanMessage("An awful day")]), all.Anthropic));
    expect(await pipeline.last.invoke(answer)).toEqual({ mood: expect.stringMatching(/tive$/) });
  });
});
