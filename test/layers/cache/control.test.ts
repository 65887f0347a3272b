import { Document } from "@langchain/core/documents";
import { tool } from "@langchain/core/tools";
import { CacheMissError, OptionError, createPerf, withPerf, type CacheOptions, type CacheQuestion, type CallWishes } from "langchain-perf";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { z } from "zod";
import { FakeChatModel } from "../../support/fakes/chat-model.ts";
import { FakeEmbeddings } from "../../support/fakes/embeddings.ts";
import { FakeRetriever } from "../../support/fakes/retriever.ts";
import { listening } from "../support/listening.ts";
import { ScriptedChat, textResult } from "../support/scripted-chat.ts";

const wishes = (perf: CallWishes): { configurable: { perf: CallWishes } } => ({ configurable: { perf } });
const numbered = (): ScriptedChat => new ScriptedChat({ whole: (_call, nth) => textResult(`answer ${nth}`) });

describe("a call's own wish", () => {
  it("use answers from the cache, refresh replaces the entry, bypass does neither", async () => {
    const { perf, facts } = listening();
    const fast = withPerf(numbered(), perf);
    const ask = async (cache?: CallWishes["cache"]): Promise<string> => (await fast.invoke("q", cache === undefined ? undefined : wishes({ cache }))).text;
    expect([await ask(), await ask(), await ask("use"), await ask("bypass"), await ask(), await ask("refresh"), await ask(), await ask("only")]).toEqual(
      ["answer 1", "answer 1", "answer 1", "answer 2", "answer 1", "answer 3", "answer 3", "answer 3"],
    );
    expect(facts.map(({ cache }) => cache?.status)).toEqual(["miss", "hit", "hit", "bypass", "hit", "miss", "hit", "hit"]);
  });

  it("only throws where the cache has no answer, and asks nobody", async () => {
    const model = numbered();
    const fast = withPerf(model, listening().perf);
    const failure: unknown = await fast.invoke("q", wishes({ cache: "only" })).catch((error: unknown) => error);
    expect(CacheMissError.isInstance(failure)).toBe(true);
    expect((failure as CacheMissError).key).toMatch(/^[\w-]{43}$/);
    await expect(async () => Array.fromAsync(await fast.stream("q", wishes({ cache: "only" })))).rejects.toThrow(CacheMissError);
    expect(model.seen).toHaveLength(0);
  });

  it("only throws too where there is no cache", async () => {
    const model = numbered();
    const fast = withPerf(model, createPerf({ coalesce: true }));
    await expect(fast.invoke("q", wishes({ cache: "only" }))).rejects.toThrow(CacheMissError);
    expect(model.seen).toHaveLength(0);
  });

  it("holds for everything below the call, and a nested wish beats it", async () => {
    const model = numbered();
    const perf = createPerf();
    const fast = withPerf(model, perf);
    await fast.invoke("q");
    const texts = await perf.run(async () => [(await fast.invoke("q")).text, (await fast.invoke("q", wishes({ cache: "bypass" }))).text]);
    expect(texts).toEqual(["answer 1", "answer 2"]);
  });

  it.each<[string, unknown, string]>([
    ["an unknown mode", { cache: "maybe" }, "configurable.perf.cache"],
    ["an unknown wish", { cached: "use" }, "configurable.perf.cached"],
    ["a negative ttl", { ttlMs: -1 }, "configurable.perf.ttlMs"],
    ["tags that are no list", { tags: "a" }, "configurable.perf.tags"],
    ["an empty tenant", { tenant: "" }, "configurable.perf.tenant"],
    ["no object", true, "configurable.perf"],
  ])("is refused: %s", async (_name, perf, option) => {
    const model = numbered();
    const fast = withPerf(model, listening().perf);
    for (const call of [() => fast.invoke("q", { configurable: { perf } }), () => fast.stream("q", { configurable: { perf } })]) {
      const failure: unknown = await call().catch((error: unknown) => error);
      expect(failure).toBeInstanceOf(OptionError);
      expect((failure as OptionError).option).toBe(option);
    }
    expect(model.seen).toHaveLength(0);
  });
});

describe("tenants and namespaces", () => {
  it("never see each other's entries", async () => {
    const model = numbered();
    const perf = createPerf();
    const other = createPerf({ cache: { namespace: "other" } });
    const ask = async (tenant?: string, through = perf): Promise<string> => (await withPerf(model, through).invoke("q", tenant === undefined ? undefined : wishes({ tenant }))).text;
    expect([await ask("a"), await ask("b"), await ask(), await ask("a"), await ask("b"), await ask(), await ask(undefined, other)]).toEqual(
      ["answer 1", "answer 2", "answer 3", "answer 1", "answer 2", "answer 3", "answer 4"],
    );
  });

  it("come from the config where the cache is told how; a call without one shares nothing", async () => {
    const model = numbered();
    const { perf, facts } = listening({ cache: { tenant: (_control, config) => (config as { configurable?: { user?: string } }).configurable?.user }, coalesce: true });
    const fast = withPerf(model, perf);
    const ask = async (user?: string): Promise<string> => (await fast.invoke("q", user === undefined ? undefined : { configurable: { user } })).text;
    expect([await ask("ann"), await ask("bob"), await ask("ann"), await ask(), await ask()]).toEqual(["answer 1", "answer 2", "answer 1", "answer 3", "answer 4"]);
    expect(facts.map(({ tenant }) => tenant)).toEqual(["ann", "bob", "ann", undefined, undefined]);
    expect(facts.map(({ cache }) => cache?.status)).toEqual(["miss", "miss", "hit", "bypass", "bypass"]);
    await Promise.all([ask(), ask()]);
    expect(model.seen).toHaveLength(6);
  });

  it("may differ within one batch", async () => {
    const model = numbered();
    const fast = withPerf(model, listening().perf);
    await fast.batch(["q", "q", "q"], [wishes({ tenant: "a" }), wishes({ tenant: "b" }), wishes({ tenant: "a" })] as never);
    expect(model.seen).toHaveLength(2);
  });
});

describe("kinds", () => {
  const documents = ["a cat", "a dog"].map((pageContent) => new Document({ pageContent, metadata: { tags: ["x"] } }));

  it("chat, llm and embeddings are kept, retrievers and tools are not", async () => {
    const perf = createPerf();
    const retriever = new FakeRetriever({ documents });
    const look = tool(({ n }) => `got ${n}`, { name: "look", description: "d", schema: z.object({ n: z.number() }) });
    const embeddings = new FakeEmbeddings();
    for (const _ of [1, 2]) {
      await withPerf(retriever, perf).invoke("cat");
      await withPerf(look, perf).invoke({ n: 1 });
      await withPerf(embeddings, perf).embedQuery("cat");
    }
    expect(retriever.counts.retriever).toBe(2);
    expect(embeddings.counts.embeddings).toBe(1);
    expect(perf.cache.stats().kinds).toEqual({ embeddings: 1 });
  });

  it("a kind that is off is not kept, but still shared while it is under way", async () => {
    const model = new FakeChatModel({ delayMs: 1 });
    const fast = withPerf(model, listening({ cache: { kinds: { chat: false } }, coalesce: true }).perf);
    await Promise.all([fast.invoke("q"), fast.invoke("q")]);
    expect(model.counts.chat).toBe(1);
    await fast.invoke("q");
    expect(model.counts.chat).toBe(2);
  });

  it("what is not cached at all is not concerned by \"only\"", async () => {
    const retriever = new FakeRetriever({ documents });
    const found = await withPerf(retriever, createPerf()).invoke("cat", { configurable: { perf: { cache: "only" } } });
    expect(found).toHaveLength(2);
  });

  it("a condition or a tenant that throws sends the call past the cache", async () => {
    const warned = vi.spyOn(process, "emitWarning").mockImplementation(() => {});
    const broken = (): never => {
      throw new Error("broken");
    };
    for (const cache of [{ when: broken }, { tenant: broken }, { kinds: { chat: { key: broken } } }]) {
      const model = new FakeChatModel();
      const fast = withPerf(model, createPerf({ cache }));
      await fast.invoke("q");
      await fast.invoke("q");
      expect(model.counts.chat).toBe(2);
      expect(warned.mock.lastCall?.[0]).toContain("broken");
    }
    warned.mockRestore();
  });

  it("a retriever is kept when asked for, under its own id, and its documents are copies", async () => {
    const perf = createPerf({ cache: { kinds: { retriever: { id: "docs" } } } });
    const [one, other] = [new FakeRetriever({ documents }), new FakeRetriever({ documents: [] })];
    const first = await withPerf(one, perf).invoke("cat");
    first[0]!.pageContent = "broken";
    first[0]!.metadata.tags = ["broken"];
    const again = await withPerf(other, perf).invoke("cat");
    expect(again[0]).toBeInstanceOf(Document);
    expect(again[0]!.pageContent).toBe("a cat");
    (again[0]!.metadata.tags as string[]).push("broken");
    again.pop();
    const third = await withPerf(one, perf).invoke("cat");
    expect(third).toHaveLength(2);
    expect(third[0]!.metadata.tags).toEqual(["x"]);
    expect(documents[0]!.metadata.tags).toEqual(["broken"]);
    expect(one.counts.retriever + other.counts.retriever).toBe(1);
  });

  it("a retriever without an id is kept for that very object", async () => {
    const perf = createPerf({ cache: { kinds: { retriever: {} } } });
    const [one, other] = [new FakeRetriever({ documents: [] }), new FakeRetriever({ documents: [] })];
    for (const retriever of [one, other, one]) await withPerf(retriever, perf).invoke("cat");
    expect([one.counts.retriever, other.counts.retriever]).toEqual([1, 1]);
  });

  it("tools are kept by name, or all by options with a key and a condition", async () => {
    let runs = 0;
    const make = (name: string) => tool(({ n }) => `${name} ${n} ${(runs += 1)}`, { name, description: "d", schema: z.object({ n: z.number() }) });
    const byName = createPerf({ cache: { kinds: { tool: ["a"] } } });
    const [a, b] = [withPerf(make("a"), byName), withPerf(make("b"), byName)];
    expect([await a.invoke({ n: 1 }), await a.invoke({ n: 1 }), await a.invoke({ n: 2 })]).toEqual(["a 1 1", "a 1 1", "a 2 2"]);
    expect([await b.invoke({ n: 1 }), await b.invoke({ n: 1 })]).toEqual(["b 1 3", "b 1 4"]);
    const keyed = createPerf({ cache: { kinds: { tool: { id: "t", key: (input) => (input as { n: number }).n % 2, when: ({ input }) => (input as { n: number }).n < 10 } } } });
    const c = withPerf(make("c"), keyed);
    expect([await c.invoke({ n: 1 }), await c.invoke({ n: 3 }), await c.invoke({ n: 2 }), await c.invoke({ n: 11 }), await c.invoke({ n: 11 })]).toEqual(
      ["c 1 5", "c 1 5", "c 2 6", "c 11 7", "c 11 8"],
    );
  });

  it("a tool that answers a tool call has the call's own id, also from the cache", async () => {
    const look = tool(({ n }) => `got ${n}`, { name: "look", description: "d", schema: z.object({ n: z.number() }) });
    const fast = withPerf(look, createPerf({ cache: { kinds: { tool: {} } } }));
    const call = (id: string) => ({ type: "tool_call" as const, id, name: "look", args: { n: 1 } });
    const results = [await fast.invoke(call("c1")), await fast.invoke(call("c2"))] as unknown as { tool_call_id: string; content: string }[];
    expect(results.map(({ tool_call_id, content }) => [tool_call_id, content])).toEqual([["c1", "got 1"], ["c2", "got 1"]]);
  });

  it("a key of the user's own stands for the question, not for the model", async () => {
    const cache: CacheOptions = { kinds: { chat: { key: (input) => String((input as { content: string }[]).at(-1)?.content).toLowerCase() } } };
    const perf = createPerf({ cache });
    const [one, other] = [new ScriptedChat({ model: "m1" }), new ScriptedChat({ model: "m2" })];
    for (const model of [one, other]) for (const text of ["Hello", "hello", "HELLO"]) await withPerf(model, perf).invoke(text);
    expect([one.seen.length, other.seen.length]).toEqual([1, 1]);
  });

  it("conditions see the question, and decide", async () => {
    const questions: CacheQuestion[] = [];
    const model = numbered();
    const { perf, facts } = listening({ cache: { when: (question) => (questions.push(question), question.tags?.includes("keep") === true) } });
    const fast = withPerf(model, perf);
    for (const tags of [["keep"], ["keep"], ["drop"]]) await fast.invoke("q", wishes({ tags, tenant: "t" }));
    expect(facts.map(({ cache }) => cache?.status)).toEqual(["miss", "hit", "bypass"]);
    expect(questions[0]).toMatchObject({ kind: "chat", mode: "invoke", name: "scripted-1", tenant: "t", tags: ["keep"] });
    expect((questions[0]!.input as { content: string }[])[0]!.content).toBe("q");
  });

  it("have a ttl of their own", async () => {
    vi.useFakeTimers({ toFake: ["Date", "performance"] });
    try {
      const model = numbered();
      const fast = withPerf(model, createPerf({ cache: { ttlMs: 10_000, kinds: { chat: { ttlMs: 1_000 } } } }));
      await fast.invoke("q");
      vi.advanceTimersByTime(1_001);
      await fast.invoke("q");
      expect(model.seen).toHaveLength(2);
    } finally {
      vi.useRealTimers();
    }
  });
});

describe("time", () => {
  beforeEach(() => vi.useFakeTimers({ toFake: ["Date", "performance"] }));
  afterEach(() => vi.useRealTimers());

  it("an entry is fresh for its ttl, and no longer", async () => {
    const { perf, facts } = listening({ cache: { ttlMs: 1_000 } });
    const fast = withPerf(numbered(), perf);
    const ask = async (): Promise<string> => (await fast.invoke("q")).text;
    expect(await ask()).toBe("answer 1");
    vi.advanceTimersByTime(999);
    expect(await ask()).toBe("answer 1");
    expect(facts.at(-1)?.cache).toMatchObject({ status: "hit", tier: "memory", ageMs: 999 });
    vi.advanceTimersByTime(1);
    expect(await ask()).toBe("answer 2");
    vi.advanceTimersByTime(999);
    expect(await ask()).toBe("answer 2");
  });

  it("a call's own ttl beats the cache's, and none means not kept", async () => {
    const fast = withPerf(numbered(), createPerf({ cache: { ttlMs: 1_000 } }));
    await fast.invoke("long", wishes({ ttlMs: 5_000 }));
    await fast.invoke("none", wishes({ ttlMs: 0 }));
    await fast.invoke("forever", wishes({ ttlMs: Infinity }));
    vi.advanceTimersByTime(4_999);
    expect((await fast.invoke("long")).text).toBe("answer 1");
    expect((await fast.invoke("none")).text).toBe("answer 4");
    vi.advanceTimersByTime(1e12);
    expect((await fast.invoke("forever")).text).toBe("answer 3");
  });
});

describe("size", () => {
  it("bounds the entries by bytes, by count, and each by itself", async () => {
    const perf = createPerf({ cache: { memory: { maxEntries: 3 } } });
    const fast = withPerf(numbered(), perf);
    for (const text of ["a", "b", "c", "a", "d"]) await fast.invoke(text);
    expect((await fast.invoke("a")).text).toBe("answer 1");
    expect((await fast.invoke("b")).text).toBe("answer 5");
    expect(perf.cache.stats()).toMatchObject({ entries: 3, evictions: 2, kinds: { chat: 3 } });

    const small = createPerf({ cache: { memory: { maxEntryBytes: 3_000 } } });
    const model = new ScriptedChat({ whole: ({ messages }) => textResult("x".repeat(Number(messages[0]!.content))) });
    for (const size of ["10", "10", "9000", "9000"]) await withPerf(model, small).invoke(size);
    expect(model.seen).toHaveLength(3);
    expect(small.cache.stats().sizeBytes).toBeGreaterThan(10);

    const bytes = createPerf({ cache: { memory: { maxBytes: 20_000, maxEntryBytes: 20_000 } } });
    for (const size of ["8000", "8001", "8002"]) await withPerf(model, bytes).invoke(size);
    expect(bytes.cache.stats().evictions).toBeGreaterThan(0);
    expect(bytes.cache.stats().sizeBytes).toBeLessThanOrEqual(20_000);
  });
});
