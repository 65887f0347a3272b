import { RunnableLambda } from "@langchain/core/runnables";
import { tool } from "@langchain/core/tools";
import { FakeListChatModel } from "@langchain/core/utils/testing";
import { MemorySaver } from "@langchain/langgraph";
import { createAgent } from "langchain";
import { createPerf, withPerf } from "langchain-perf";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { createFakeKit } from "../../support/fakes/kit.ts";
import { ScriptedChat } from "../support/scripted-chat.ts";

type MessagePart = [{ text: string; id?: string }, Record<string, unknown>];

describe("an agent", () => {
  it("emits the text of a hit once under streamMode messages, chunk by chunk as the model did", async () => {
    const kit = createFakeKit();
    const agent = withPerf(createAgent({ model: kit.chat({ reply: () => "four words of text" }), tools: [] }), createPerf());
    const ask = async (): Promise<MessagePart[]> =>
      (await Array.fromAsync(await agent.stream({ messages: [{ role: "user", content: "hello" }] }, { streamMode: "messages" }))) as unknown as MessagePart[];
    const texts = (parts: MessagePart[]): string[] => parts.map(([message]) => message.text);
    const [first, second] = [await ask(), await ask()];
    expect(texts(first).join("")).toBe("four words of text");
    expect(texts(second)).toEqual(texts(first));
    expect(texts(second).length).toBeGreaterThan(3);
    expect(kit.counts.chat).toBe(1);
  });

  it("emits it once too when the entry was made by invoke", async () => {
    const kit = createFakeKit();
    const agent = withPerf(createAgent({ model: kit.chat({ reply: () => "four words of text" }), tools: [] }), createPerf());
    const input = { messages: [{ role: "user", content: "hello" }] };
    await agent.invoke(input);
    const parts = (await Array.fromAsync(await agent.stream(input, { streamMode: "messages" }))) as unknown as MessagePart[];
    expect(parts.map(([message]) => message.text).join("")).toBe("four words of text");
    expect(kit.counts.chat).toBe(1);
  });

  it("runs its tools again, and keeps its messages, when the same question comes twice in one thread", async () => {
    const kit = createFakeKit();
    const look = kit.tool({ name: "look" });
    const agent = withPerf(createAgent({ model: kit.chat(), tools: [look], checkpointer: new MemorySaver() }), createPerf());
    const config = { configurable: { thread_id: "1" } };
    const first = await agent.invoke({ messages: [{ role: "user", content: "hello" }] }, config);
    const second = await agent.invoke({ messages: [{ role: "user", content: "hello" }] }, config);
    expect(second.messages).toHaveLength(first.messages.length * 2);
    expect(new Set(second.messages.map(({ id }) => id)).size).toBe(second.messages.length);
    expect(kit.counts.tool).toBe(2);
  });

  it("asks a model that shows no parameters once for the same question", async () => {
    const model = new FakeListChatModel({ responses: ["one", "two"] });
    const agent = withPerf(createAgent({ model, tools: [] }), createPerf());
    const ask = async (): Promise<string> => (await agent.invoke({ messages: [{ role: "user", content: "hello" }] })).messages.at(-1)!.text;
    expect([await ask(), await ask()]).toEqual(["one", "one"]);
  });
});

describe("a cache that cannot keep an answer", () => {
  const circle = (): object => {
    const made: { self?: object } = {};
    made.self = made;
    return made;
  };

  it("still gives it", async () => {
    const look = tool(() => circle() as never, { name: "look", description: "d", schema: z.object({ n: z.number() }) });
    const fast = withPerf(look, createPerf({ cache: { kinds: { tool: ["look"] } } }));
    const made = (await fast.invoke({ n: 1 })) as { self?: object };
    expect(made.self).toBe(made);
  });
});

describe("a model that throws at once", () => {
  it("fails each time it is asked, and nobody waits for ever", async () => {
    const failure = new Error("at once");
    class Abrupt extends ScriptedChat {
      override _generate(): never {
        throw failure;
      }
    }
    const chain = withPerf(RunnableLambda.from((text: string) => model.invoke(text)), createPerf());
    const model = new Abrupt();
    for (const _ of [1, 2]) await expect(chain.invoke("q")).rejects.toBe(failure);
  });
});
