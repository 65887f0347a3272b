import { createAgent, createMiddleware } from "langchain";
import { describe, expect, it } from "vitest";
import { createPerf } from "langchain-perf";
import { perfMiddleware } from "langchain-perf/agent";
import { createFakeKit } from "../support/fakes/kit.ts";
import { allOf, errorOf } from "./fixtures/ways.ts";

const question = { messages: [{ role: "user", content: "How is Oslo?" }] };

describe("perfMiddleware", () => {
  it("sends the agent's model calls through the perf, and leaves its tools alone", async () => {
    const kit = createFakeKit();
    await using perf = createPerf();
    const agent = createAgent({ model: kit.chat(), tools: [kit.tool({ name: "weather" })], middleware: [perfMiddleware(perf)] });
    const states = [await agent.invoke(question), await agent.invoke(question)];
    expect(kit.counts).toMatchObject({ chat: 2, tool: 2 });
    expect(perf.stats().kinds.chat).toMatchObject({ calls: 4, hits: 2 });
    const texts = states.map(({ messages }) => messages.map(({ text }) => text));
    expect(texts[1]).toEqual(texts[0]);
  });

  it("gives what the bare agent gives", async () => {
    const kit = createFakeKit();
    await using perf = createPerf();
    const make = (middleware: ReturnType<typeof perfMiddleware>[]) => createAgent({ model: kit.chat(), tools: [kit.tool({ name: "weather" })], middleware });
    const [bare, wrapped] = [await make([]).invoke(question), await make([perfMiddleware(perf)]).invoke(question)];
    expect(wrapped.messages.map(({ type, text }) => [type, text])).toEqual(bare.messages.map(({ type, text }) => [type, text]));
  });

  it("streams tokens, and a hit's too", async () => {
    const kit = createFakeKit();
    await using perf = createPerf();
    const agent = createAgent({ model: kit.chat(), tools: [], middleware: [perfMiddleware(perf)] });
    const tokens = async (): Promise<string[]> => ((await allOf(agent.stream(question, { streamMode: "messages" }))) as unknown as [{ text: string }][]).map(([{ text }]) => text).filter(Boolean);
    const first = await tokens();
    expect(first.length).toBeGreaterThan(3);
    expect(await tokens()).toEqual(first);
    expect(kit.counts.chat).toBe(1);
  });

  it("hears the wishes of a call", async () => {
    const kit = createFakeKit();
    await using perf = createPerf();
    const agent = createAgent({ model: kit.chat(), tools: [], middleware: [perfMiddleware(perf)] });
    for (const _ of [1, 2]) await agent.invoke(question, { configurable: { perf: { cache: "bypass" } } });
    expect(kit.counts.chat).toBe(2);
  });

  it("goes with other middleware", async () => {
    const kit = createFakeKit();
    await using perf = createPerf();
    let seen = 0;
    const other = createMiddleware({ name: "other", wrapModelCall: (request, handler) => (seen++, handler(request)) });
    const agent = createAgent({ model: kit.chat(), tools: [], middleware: [other, perfMiddleware(perf)] });
    for (const _ of [1, 2]) await agent.invoke(question);
    expect([seen, kit.counts.chat]).toEqual([2, 1]);
  });

  it("passes errors on as LangChain does around any middleware", async () => {
    const kit = createFakeKit();
    await using perf = createPerf();
    const failure = new Error("enough");
    const passThrough = createMiddleware({ name: "other", wrapModelCall: (request, handler) => handler(request) });
    const make = (middleware: ReturnType<typeof perfMiddleware>[]) => createAgent({ model: kit.chat({ failure: () => failure }), tools: [], middleware });
    const [expected, error] = [await errorOf(make([passThrough as ReturnType<typeof perfMiddleware>]).invoke(question)), await errorOf(make([perfMiddleware(perf)]).invoke(question))];
    expect((error as Error).constructor).toBe((expected as Error).constructor);
    expect((error as Error).cause).toBe((expected as Error).cause);
    expect((error as Error).message).toBe((expected as Error).message);
  });
});
