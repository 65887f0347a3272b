import { HumanMessage, SystemMessage } from "@langchain/core/messages";
import { OptionError, createPerf, withPerf, type CallWishes, type Perf } from "langchain-perf";
import { describe, expect, it } from "vitest";
import { Gate, settle } from "../support/gate.ts";
import { listening } from "../support/listening.ts";
import { ScriptedChat, textResult } from "../support/scripted-chat.ts";

const wishes = (perf: CallWishes): { configurable: { perf: CallWishes } } => ({ configurable: { perf } });

describe("explain", () => {
  it("says what a key was made of, where its answer is, and which message differs from the nearest question", async () => {
    const { perf, facts } = listening();
    const fast = withPerf(new ScriptedChat(), perf);
    const ask = (time: string, question: string) => fast.invoke([new SystemMessage(`It is ${time}.`), new HumanMessage(question)]);
    await ask("10:00", "how are you?");
    await ask("10:00", "something else");
    await ask("10:01", "how are you?");
    const [first, , third] = facts.map(({ cache }) => cache!.key as string);
    const explained = await perf.cache.explain(third!);
    expect(explained).toMatchObject({ key: third, tier: "memory" });
    expect(explained.ageMs).toBeGreaterThanOrEqual(0);
    expect(explained.freshForMs).toBeGreaterThan(3_590_000);
    expect(explained.sizeBytes).toBeGreaterThan(100);
    expect(explained.question?.map(({ name }) => name)).toEqual(["model", "endpoint", "parameters", "message 0 (system)", "message 1 (human)"]);
    expect(explained.question?.find(({ name }) => name === "message 1 (human)")?.text).toContain("how are you?");
    expect(explained.nearest?.key).toBe(first);
    expect(explained.nearest?.fields.map(({ name }) => name)).toEqual(["message 0 (system)"]);
    expect(explained.nearest?.fields[0]?.here).toContain("10:01");
    expect(explained.nearest?.fields[0]?.there).toContain("10:00");
  });

  it("knows nothing of an unknown key, and nothing nearer of the only one", async () => {
    const { perf, facts } = listening();
    expect(await perf.cache.explain("unknown")).toEqual({ key: "unknown" });
    await withPerf(new ScriptedChat(), perf).invoke("q");
    expect((await perf.cache.explain(facts[0]!.cache!.key as string)).nearest).toBeUndefined();
  });

  it("still tells what a question was made of whose answer was not kept", async () => {
    const { perf, facts } = listening();
    const fast = withPerf(new ScriptedChat({ type: "openai", whole: () => ({ generations: [] }), stream: () => [] }), perf);
    await Array.fromAsync(await fast.stream("q"));
    const explained = await perf.cache.explain(facts[0]!.cache!.key as string);
    expect(explained.tier).toBeUndefined();
    expect(explained.question?.map(({ name }) => name)).toContain("message 0 (human)");
  });
});

describe("invalidate and clear", () => {
  it("forget by tag, tenant, namespace, key, and all conditions together", async () => {
    const { perf, facts } = listening({ cache: { namespace: "ns" } });
    const model = new ScriptedChat();
    const fast = withPerf(model, perf);
    const fill = async (): Promise<void> => {
      await fast.invoke("a", wishes({ tags: ["x", "y"], tenant: "t1" }));
      await fast.invoke("b", wishes({ tags: ["y"], tenant: "t2" }));
      await fast.invoke("c");
    };
    await fill();
    expect(await perf.cache.invalidate({ tags: ["x"] })).toBe(1);
    await fill();
    expect(model.seen).toHaveLength(4);
    expect(await perf.cache.invalidate({ tags: ["x", "y"] })).toBe(2);
    await fill();
    expect(await perf.cache.invalidate({ tags: ["y"], tenant: "t2" })).toBe(1);
    expect(await perf.cache.invalidate({ tenant: "t1" })).toBe(1);
    expect(await perf.cache.invalidate({ tenant: "nobody" })).toBe(0);
    expect(await perf.cache.invalidate({ tags: [] })).toBe(0);
    await fill();
    expect(await perf.cache.invalidate({ namespace: "other" })).toBe(0);
    expect(await perf.cache.invalidate({ key: facts.at(-1)!.cache!.key as string })).toBe(1);
    expect(await perf.cache.invalidate({ namespace: "ns" })).toBe(2);
    await fill();
    await perf.cache.clear();
    expect(perf.cache.stats()).toMatchObject({ entries: 0, sizeBytes: 0, kinds: {} });
  });

  it("keep out an answer that was asked for before and comes in afterwards", async () => {
    for (const forget of [(perf: Perf) => perf.cache.clear(), (perf: Perf) => perf.cache.invalidate({ tags: ["x"] })]) {
      const gate = new Gate();
      const model = new ScriptedChat({ whole: async (_call, nth) => (nth === 1 && (await gate.promise), textResult(`answer ${nth}`)) });
      const perf = createPerf();
      const fast = withPerf(model, perf);
      const asked = fast.invoke("q", wishes({ tags: ["x"] }));
      await settle();
      await forget(perf);
      gate.open();
      expect((await asked).text).toBe("answer 1");
      expect((await fast.invoke("q", wishes({ tags: ["x"] }))).text).toBe("answer 2");
    }
  });

  it.each<[string, unknown, string]>([
    ["no condition", {}, "invalidate"],
    ["conditions that are undefined", { tags: undefined }, "invalidate"],
    ["nothing", undefined, "invalidate"],
    ["an unknown condition", { tag: ["x"] }, "invalidate.tag"],
    ["a tag that is no list", { tags: "x" }, "invalidate.tags"],
    ["an empty key", { key: "" }, "invalidate.key"],
  ])("refuse %s", async (_name, by, option) => {
    const failure: unknown = await createPerf().cache.invalidate(by as never).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(OptionError);
    expect((failure as OptionError).option).toBe(option);
  });

  it("forget what a tenant asked together with the answers, and never show one tenant's question to another", async () => {
    const { perf, facts } = listening();
    const fast = withPerf(new ScriptedChat(), perf);
    await fast.invoke("the diagnosis of patient X", wishes({ tenant: "acme" }));
    await fast.invoke("the diagnosis of patient Y", wishes({ tenant: "globex" }));
    const [acme, globex] = facts.map(({ cache }) => cache!.key as string);
    expect((await perf.cache.explain(globex!)).nearest).toBeUndefined();
    await perf.cache.invalidate({ tags: ["unrelated"] });
    expect((await perf.cache.explain(acme!)).question).toBeDefined();
    await perf.cache.invalidate({ tenant: "acme" });
    expect(await perf.cache.explain(acme!)).toEqual({ key: acme });
    expect((await perf.cache.explain(globex!)).question).toBeDefined();
  });

  it("do nothing where there is no cache", async () => {
    const perf = createPerf({ coalesce: true });
    expect(await perf.cache.invalidate({ tags: ["x"] })).toBe(0);
    await perf.cache.clear();
    expect(perf.cache.stats()).toMatchObject({ entries: 0, sizeBytes: 0, evictions: 0, kinds: {} });
    expect(await perf.cache.explain("k")).toEqual({ key: "k" });
  });
});
