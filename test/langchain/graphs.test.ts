import { AIMessage, type BaseMessage, HumanMessage, ToolMessage } from "@langchain/core/messages";
import { Annotation, Command, interrupt, isInterrupted, MemorySaver, MessagesAnnotation, START, StateGraph } from "@langchain/langgraph";
import { ToolNode, toolsCondition } from "@langchain/langgraph/prebuilt";
import { createAgent, humanInTheLoopMiddleware } from "langchain";
import { describe, expect, it } from "vitest";
import { withPerf } from "langchain-perf";
import { createFakeKit, type FakeKit } from "../support/fakes/kit.ts";
import { allOf, WAYS } from "./fixtures/ways.ts";

const ask = (content: string) => ({ messages: [new HumanMessage(content)] });
const thread = (id: string) => ({ configurable: { thread_id: id } });

/** From the last question on: with so short a memory, a question that comes again is the same request again. */
const sinceQuestion = (messages: BaseMessage[]): BaseMessage[] => messages.slice(messages.findLastIndex(({ type }) => type === "human"));

/** The loop of a model and its tools, with a memory. */
function toolGraph(kit: FakeKit, seen = (messages: BaseMessage[]): BaseMessage[] => messages) {
  const tools = [kit.tool({ name: "weather" }), kit.tool({ name: "tides" })];
  const model = kit.chat().bindTools(tools);
  return new StateGraph(MessagesAnnotation)
    .addNode("model", async ({ messages }) => ({ messages: [await model.invoke(seen(messages))] }))
    .addNode("tools", new ToolNode(tools))
    .addEdge(START, "model")
    .addConditionalEdges("model", toolsCondition)
    .addEdge("tools", "model")
    .compile({ checkpointer: new MemorySaver() });
}

const Draft = Annotation.Root({ topic: Annotation<string>, text: Annotation<string>, approved: Annotation<boolean> });

/** Asks a person between two steps. */
function reviewGraph(kit: FakeKit) {
  const model = kit.chat();
  return new StateGraph(Draft)
    .addNode("write", async ({ topic }) => ({ text: (await model.invoke(topic)).text }))
    .addNode("review", async ({ text }) => {
      const again = await model.invoke(`Summarise: ${text}`);
      return { approved: interrupt<string, boolean>(again.text) };
    })
    .addEdge(START, "write")
    .addEdge("write", "review")
    .compile({ checkpointer: new MemorySaver() });
}

describe.each(WAYS)("a %s graph", (_way, wrap) => {
  it.each([["the whole thread", undefined], ["the last question alone", sinceQuestion]])("answers the same question twice in one thread, its model seeing %s: tools run twice, every message is kept", async (_what, seen) => {
    const kit = createFakeKit();
    const graph = wrap(toolGraph(kit, seen));
    await graph.invoke(ask("How is Oslo?"), thread("one"));
    const first = kit.counts.tool;
    expect(first).toBe(2);
    const { messages } = await graph.invoke(ask("How is Oslo?"), thread("one"));
    expect(kit.counts.tool).toBe(4);
    expect(messages.length).toBe(12);
    expect(new Set(messages.map(({ id }) => id)).size).toBe(12);
    expect(messages.every(({ id }) => typeof id === "string")).toBe(true);
    const asked = messages.filter(AIMessage.isInstance).flatMap(({ tool_calls = [] }) => tool_calls.map(({ id }) => id));
    const answered = messages.filter(ToolMessage.isInstance).map(({ tool_call_id }) => tool_call_id);
    expect(new Set(asked).size).toBe(4);
    expect(answered).toEqual(asked);
  });

  it("answers it in two threads, and streams it, likewise", async () => {
    const kit = createFakeKit();
    const graph = wrap(toolGraph(kit));
    const states = [await graph.invoke(ask("How is Oslo?"), thread("one")), await graph.invoke(ask("How is Oslo?"), thread("two"))];
    expect(kit.counts.tool).toBe(4);
    const texts = states.map(({ messages }) => messages.map(({ text }) => text));
    expect(texts[1]).toEqual(texts[0]);
    await allOf(graph.stream(ask("How is Oslo?"), { ...thread("two"), streamMode: "messages" }));
    expect(kit.counts.tool).toBe(6);
    const { values } = await graph.getState(thread("two"));
    expect(values.messages.length).toBe(12);
    expect(new Set(values.messages.map(({ id }: AIMessage) => id)).size).toBe(12);
  });

  it("stops at an interrupt, and goes on with the answer", async () => {
    const kit = createFakeKit();
    const graph = wrap(reviewGraph(kit));
    const stopped = await graph.invoke({ topic: "the sea" }, thread("one"));
    expect(isInterrupted(stopped)).toBe(true);
    expect((await graph.getState(thread("one"))).next).toEqual(["review"]);
    const done = await graph.invoke(new Command({ resume: true }), thread("one"));
    expect(done).toMatchObject({ topic: "the sea", approved: true, text: expect.stringContaining("the sea") });
    expect((await graph.getState(thread("one"))).next).toEqual([]);
  });

  it("keeps its checkpoints: history, replay, changed state", async () => {
    const kit = createFakeKit();
    const graph = wrap(reviewGraph(kit));
    await graph.invoke({ topic: "the sea" }, thread("one"));
    const history = await allOf(graph.getStateHistory(thread("one")) as unknown as AsyncIterable<{ config: object; next: string[] }>);
    expect(history.map(({ next }) => next)).toEqual([["review"], ["write"], ["__start__"]]);
    await graph.updateState(thread("one"), { text: "changed" });
    expect((await graph.getState(thread("one"))).values.text).toBe("changed");
    const replayed = await graph.invoke(null, history[1]?.config as ReturnType<typeof thread>);
    expect(replayed.text).toContain("the sea");
  });

  it("streams updates, values, messages and custom parts side by side", async () => {
    const kit = createFakeKit();
    const parts = await allOf(wrap(toolGraph(kit)).stream(ask("How is Oslo?"), { ...thread("one"), streamMode: ["updates", "values", "messages"] }));
    const modes = (parts as unknown as [string, unknown][]).map(([mode]) => mode);
    expect(new Set(modes)).toEqual(new Set(["updates", "values", "messages"]));
    expect(modes.filter((mode) => mode === "updates").length).toBe(5);
  });
});

describe.each(WAYS)("a %s agent", (_way, wrap) => {
  it("waits for a person's decision on a tool", async () => {
    const kit = createFakeKit();
    const middleware = [humanInTheLoopMiddleware({ interruptOn: { weather: true } })];
    const agent = wrap(createAgent({ model: kit.chat(), tools: [kit.tool({ name: "weather" })], middleware, checkpointer: new MemorySaver() }));
    for (const round of [1, 2]) {
      const stopped = await agent.invoke(ask("How is Oslo?"), thread(`thread ${round}`));
      expect(isInterrupted(stopped)).toBe(true);
      expect(kit.counts.tool).toBe(round - 1);
      const done = await agent.invoke(new Command({ resume: { decisions: [{ type: "approve" }] } }), thread(`thread ${round}`));
      expect(kit.counts.tool).toBe(round);
      expect(done.messages.at(-1)?.text).toContain("weather of");
    }
  });
});

it("a wrapped graph asks the model once for what it asks again", async () => {
  const kit = createFakeKit();
  const graph = withPerf(toolGraph(kit, sinceQuestion));
  for (const id of ["one", "one"]) await graph.invoke(ask("How is Oslo?"), thread(id));
  expect(kit.counts).toMatchObject({ chat: 3, tool: 4 });
});
