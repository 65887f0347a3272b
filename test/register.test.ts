import { createRequire } from "node:module";
import { Document } from "@langchain/core/documents";
import { HumanMessage } from "@langchain/core/messages";
import { StringOutputParser } from "@langchain/core/output_parsers";
import { ChatPromptTemplate } from "@langchain/core/prompts";
import { Runnable, RunnableLambda, type RunnableSequence } from "@langchain/core/runnables";
import { createAgent } from "langchain";
import { describe, expect, it, vi } from "vitest";
import { createPerf, OptionError, perfOf } from "langchain-perf";
import "langchain-perf/register";
import { createFakeKit, type FakeKit } from "./support/fakes/kit.ts";

function answering(kit: FakeKit): RunnableSequence<{ topic: string }, string> {
  return ChatPromptTemplate.fromTemplate<{ topic: string }>("{topic}").pipe(kit.chat()).pipe(new StringOutputParser()) as RunnableSequence<{ topic: string }, string>;
}

describe("langchain-perf/register", () => {
  it("wraps a chain with the defaults: equal calls, together or later, reach the model once", async () => {
    const kit = createFakeKit();
    const chain = answering(kit);
    const bare = await chain.invoke({ topic: "owls" });
    const fast = chain.withPerf();
    const answers = await Promise.all([fast.invoke({ topic: "owls" }), fast.invoke({ topic: "owls" })]);
    answers.push(await fast.invoke({ topic: "owls" }));
    expect(answers).toEqual([bare, bare, bare]);
    expect(kit.counts.chat).toBe(2);
    expect(fast).toBeInstanceOf(chain.constructor);
    expect(perfOf(fast)?.stats().kinds.chat).toBeDefined();
  });

  it("wraps a model, a tool and a retriever, each with options of its own", async () => {
    const kit = createFakeKit();
    const model = kit.chat().withPerf({ cache: true });
    await model.invoke("owls");
    await model.invoke("owls");
    const tool = kit.tool({ name: "search" }).withPerf({ cache: { kinds: { tool: ["search"] } } });
    const results = [await tool.invoke({ topic: "owls" }), await tool.invoke({ topic: "owls" })];
    const retriever = kit.retriever({ documents: [new Document({ pageContent: "Owls hunt at night." })] }).withPerf({ coalesce: true });
    const [document] = await retriever.invoke("owls");
    expect(results).toEqual(["search of owls", "search of owls"]);
    expect(document?.pageContent).toBe("Owls hunt at night.");
    expect(kit.counts).toMatchObject({ chat: 1, tool: 1, retriever: 1 });
  });

  it("wraps an agent of createAgent, and keeps its class and answers", async () => {
    const kit = createFakeKit();
    const agent = createAgent({ model: kit.chat(), tools: [kit.tool({ name: "search" })] });
    const question = { messages: [new HumanMessage("owls")] };
    const bare = await agent.invoke(question);
    const fast = agent.withPerf();
    const first = await fast.invoke(question);
    const calls = kit.counts.chat;
    const second = await fast.invoke(question);
    expect(first.messages.map(({ text }) => text)).toEqual(bare.messages.map(({ text }) => text));
    expect(second.messages.map(({ text }) => text)).toEqual(bare.messages.map(({ text }) => text));
    expect(kit.counts.chat).toBe(calls);
    expect(fast).toBeInstanceOf(agent.constructor);
    expect(agent.withConfig({ tags: ["again"] }).withPerf()).toBeInstanceOf(agent.constructor);
  });

  it("shares a perf between all that it is given to", async () => {
    const kit = createFakeKit();
    await using perf = createPerf({ cache: true });
    const model = kit.chat();
    const heard: string[] = [];
    perf.on("call", ({ kind, cache }) => void (kind === "chat" && heard.push(cache?.status ?? "none")));
    const [chain, other] = [model.pipe(new StringOutputParser()).withPerf(perf), model.withPerf(perf)];
    await chain.invoke("owls");
    await other.invoke("owls");
    expect([perfOf(chain), perfOf(other)]).toEqual([perf, perf]);
    expect(heard).toEqual(["miss", "hit"]);
    expect(kit.counts.chat).toBe(1);
  });

  it("the last perf holds when something wrapped is wrapped again", () => {
    const [first, second] = [createPerf(), createPerf()];
    expect(perfOf(RunnableLambda.from(() => 1).withPerf(first).withPerf(second))).toBe(second);
  });

  it.each([
    [{ nonsense: 1 }, "nonsense"],
    [{ cache: { ttlMs: "1m" } }, "cache.ttlMs"],
  ])("refuses %j", (options, option) => {
    const kit = createFakeKit();
    const targets = [answering(kit), kit.chat(), createAgent({ model: kit.chat(), tools: [] })];
    for (const target of targets) {
      const wrap = (): object => target.withPerf(options as object);
      expect(wrap).toThrow(OptionError);
      expect(wrap).toThrow(expect.objectContaining({ option }));
    }
  });

  it("adds one method to the class and nothing that shows", () => {
    const lambda = RunnableLambda.from(() => 1);
    const shown: string[] = [];
    for (const key in lambda) shown.push(key);
    expect(shown).not.toContain("withPerf");
    expect(Object.keys(Runnable.prototype)).toEqual([]);
    expect(JSON.stringify(lambda)).not.toContain("withPerf");
  });

  it("can be imported again, by a second copy of the package too", async () => {
    const { withPerf, isRunnable } = { withPerf: Runnable.prototype.withPerf, isRunnable: Runnable.isRunnable };
    vi.resetModules();
    await import("langchain-perf/register");
    expect(Runnable.prototype.withPerf).toBe(withPerf);
    expect(Runnable.isRunnable).toBe(isRunnable);
    await expect(RunnableLambda.from(() => 1).withPerf().invoke(0)).resolves.toBe(1);
  });

  it("reaches a CommonJS copy of core that is already loaded, and the agents made with it", async () => {
    const require = createRequire(import.meta.url);
    const runnables = require("@langchain/core/runnables") as typeof import("@langchain/core/runnables");
    const langchain = require("langchain") as typeof import("langchain");
    vi.resetModules();
    await import("langchain-perf/register");
    expect(runnables.Runnable).not.toBe(Runnable);
    await expect(runnables.RunnableLambda.from((x: number) => x + 1).withPerf().invoke(1)).resolves.toBe(2);
    const agent = langchain.createAgent({ model: createFakeKit().chat() as never, tools: [] });
    const { messages } = await agent.withPerf().invoke({ messages: [{ role: "user", content: "owls" }] });
    expect(messages.at(-1)?.text).toContain("You said: owls");
  });
});
