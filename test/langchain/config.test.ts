import { type RunnableConfig, RunnableLambda } from "@langchain/core/runnables";
import { describe, expect, it } from "vitest";
import { RunTreeRecorder } from "../support/run-tree.ts";
import { FakeChatModel } from "../support/fakes/chat-model.ts";
import { fakeTool } from "../support/fakes/tool.ts";
import { allOf, WAYS } from "./fixtures/ways.ts";

/** What a function in the middle of a chain sees of its config. */
function witness(): { seen: RunnableConfig[]; lambda: RunnableLambda<string, string> } {
  const seen: RunnableConfig[] = [];
  const lambda = RunnableLambda.from((text: string, config: RunnableConfig) => {
    seen.push(config);
    return text;
  });
  return { seen, lambda };
}

const wishes = { perf: { cache: "use", tags: ["docs"], tenant: "acme" } };

describe.each(WAYS)("the config of a call of a %s program", (way, wrap) => {
  it("brings tags, metadata and name to every run", async () => {
    const recorder = new RunTreeRecorder();
    const chain = wrap(witness().lambda.pipe(new FakeChatModel().withConfig({ tags: ["inner"] })));
    for (const _ of [1, 2]) await chain.invoke("Hello", { tags: ["outer"], metadata: { user: "me" }, runName: "mine", callbacks: [recorder] });
    expect(recorder.roots.length).toBe(2);
    for (const root of recorder.roots) {
      expect(root).toMatchObject({ name: "mine", tags: ["outer"], metadata: { user: "me" } });
      const [first, model] = root.children;
      expect(first?.tags.toSorted()).toEqual(["outer", "seq:step:1"]);
      expect(model).toMatchObject({ type: "chat", metadata: { user: "me" } });
      expect(model?.tags).toEqual(expect.arrayContaining(["outer", "inner", "seq:step:2"]));
    }
  });

  it("brings configurable to functions and tools, without the wishes for perf", async () => {
    const { seen, lambda } = witness();
    const tool = fakeTool({ name: "look", run: (_input, config) => JSON.stringify((config as RunnableConfig).configurable) });
    const configurable = { thread: 7, ...(way === "wrapped" ? wishes : {}) };
    await wrap(lambda).invoke("Hello", { configurable });
    expect(seen[0]?.configurable).toEqual({ thread: 7 });
    expect(await wrap(tool).invoke({ topic: "x" }, { configurable })).toBe('{"thread":7}');
    await wrap(lambda).batch(["a", "b"], [{ configurable }, { configurable: { thread: 8 } }]);
    expect(seen.slice(1).map((config) => config.configurable?.thread).toSorted()).toEqual([7, 8]);
    await allOf(wrap(lambda).stream("Hello", { configurable }));
    await allOf(wrap(lambda).streamEvents("Hello", { version: "v2", configurable }));
    expect(seen.slice(3).map((config) => config.configurable)).toEqual([{ thread: 7 }, { thread: 7 }]);
  });

  it("is left as the caller made it", async () => {
    const config = Object.freeze({ tags: Object.freeze(["a"]) as string[], configurable: Object.freeze({ ...(way === "wrapped" ? wishes : { thread: 1 }) }) });
    const before = JSON.stringify(config);
    await wrap(new FakeChatModel()).invoke("Hello", config);
    await wrap(witness().lambda).batch(["Hello"], [config]);
    expect(JSON.stringify(config)).toBe(before);
  });

  it("picks alternatives by configurable fields", async () => {
    const model = new FakeChatModel({ model: "one" });
    const chain = wrap(RunnableLambda.from((_: string, config: RunnableConfig) => (config.configurable?.loud ? "HELLO" : "hello")).pipe(model).pipe(({ text }) => text));
    expect(await chain.invoke("x", { configurable: { loud: true } })).toContain("HELLO");
    expect(await chain.invoke("x", { configurable: { loud: false } })).toContain("hello");
  });

  it("gives the run the id that was asked for", async () => {
    const ids: string[] = [];
    const runId = "6f1f3b9c-7c1e-4b7a-9c55-0a2f1e8f5d10";
    await wrap(new FakeChatModel()).invoke("Hello", { runId, callbacks: [{ handleChatModelStart: (_model, _messages, id) => void ids.push(id) }] });
    expect(ids).toEqual([runId]);
  });
});
