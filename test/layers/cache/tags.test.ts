import { Document } from "@langchain/core/documents";
import { AIMessage, HumanMessage, type BaseMessage } from "@langchain/core/messages";
import { StringOutputParser } from "@langchain/core/output_parsers";
import { ChatPromptTemplate } from "@langchain/core/prompts";
import { RunnableLambda } from "@langchain/core/runnables";
import { createPerf, withPerf, type CacheQuestion, type Perf } from "langchain-perf";
import { describe, expect, it, vi } from "vitest";
import { FakeEmbeddings } from "../../support/fakes/embeddings.ts";
import { FakeLLM } from "../../support/fakes/llm.ts";
import { FakeRetriever } from "../../support/fakes/retriever.ts";
import { fakeTool } from "../../support/fakes/tool.ts";
import { Gate, settle } from "../support/gate.ts";
import { listening } from "../support/listening.ts";
import { Numbered, wishing } from "../support/replies.ts";
import { ScriptedChat, textResult } from "../support/scripted-chat.ts";
import { temporarySqlite } from "../support/temporary.ts";

const documents = (): Document[] => [
  new Document({ pageContent: "cards are free", metadata: { source: "cards.md" } }),
  new Document({ pageContent: "parcels take a day", metadata: { source: "parcels.md" } }),
];

describe("cache.tags", () => {
  it("hears the question and the whole answer of every kind", async () => {
    const heard: [CacheQuestion, unknown][] = [];
    const perf = createPerf({ cache: { tags: (question, whole) => (heard.push([question, whole]), []), kinds: { retriever: { id: "r" }, tool: { id: "t" } } } });
    const model = withPerf(new Numbered(), perf);
    await model.invoke("whole", wishing({ tenant: "ann", tags: ["x"] }));
    await Array.fromAsync(await model.stream("parts"));
    await withPerf(new FakeLLM(), perf).invoke("one two");
    await Array.fromAsync(await withPerf(new FakeLLM(), perf).stream("three"));
    await withPerf(new FakeEmbeddings({ dimensions: 4 }), perf).embedDocuments(["a", "b"]);
    await withPerf(new FakeEmbeddings({ dimensions: 4 }), perf).embedQuery("a");
    await withPerf(new FakeRetriever({ documents: documents(), k: 1 }), perf).invoke("cards");
    await withPerf(fakeTool({ name: "look" }), perf).invoke({ topic: "cats" });
    await perf.cached("work", async (n: number) => ({ n }))(7);
    const [whole, parts, llm, streamed, a, , query, retrieved, tool, work] = heard as [[CacheQuestion, BaseMessage], [CacheQuestion, BaseMessage], ...[CacheQuestion, unknown][]];
    expect(whole[0]).toMatchObject({ kind: "chat", mode: "invoke", name: "scripted-1", tenant: "ann", tags: ["x"] });
    expect((whole[0].input as BaseMessage[])[0]).toBeInstanceOf(HumanMessage);
    expect([whole[1].text, parts[1].text, AIMessage.isInstance(whole[1])]).toEqual(["answer 1", "answer 2", true]);
    expect(parts[0].mode).toBe("stream");
    expect(llm).toMatchObject([{ kind: "llm", input: ["one two"] }, expect.stringContaining("one two")]);
    expect(streamed).toMatchObject([{ kind: "llm", mode: "stream" }, expect.stringContaining("three")]);
    expect(a).toMatchObject([{ kind: "embeddings", input: "a" }, expect.any(Array)]);
    expect(query?.[1]).toHaveLength(4);
    expect(retrieved).toMatchObject([{ kind: "retriever", input: "cards" }, [{ metadata: { source: "cards.md" } }]]);
    expect(tool).toMatchObject([{ kind: "tool", name: "look", input: { topic: "cats" } }, "look of cats"]);
    expect(work).toMatchObject([{ kind: "function", name: "work", input: [7] }, { n: 7 }]);
    expect(heard).toHaveLength(10);
  });

  it("join those of the call, and what their function does to an answer does not reach the cache", async () => {
    const perf = createPerf({
      cache: {
        tags(_question, whole) {
          (whole as AIMessage).content = "changed";
          return ["own"];
        },
      },
    });
    const fast = withPerf(new Numbered(), perf);
    await fast.invoke("q", wishing({ tags: ["call"] }));
    expect((await fast.invoke("q")).text).toBe("answer 1");
    expect(await perf.cache.invalidate({ tags: ["own"] })).toBe(1);
    await fast.invoke("q", wishing({ tags: ["call"] }));
    expect(await perf.cache.invalidate({ tags: ["call"] })).toBe(1);
  });

  it("that fail keep the answer out: nobody could invalidate it", async () => {
    const warned = vi.spyOn(process, "emitWarning").mockImplementation(() => {});
    const model = new Numbered();
    const perf = createPerf({ cache: { tags: () => { throw new Error("no tags"); } } });
    const fast = withPerf(model, perf);
    expect([(await fast.invoke("q")).text, (await fast.invoke("q")).text]).toEqual(["answer 1", "answer 2"]);
    expect(warned.mock.lastCall?.[0]).toContain("no tags");
    warned.mockRestore();
  });
});

describe("a document that changes", () => {
  const prompt = ChatPromptTemplate.fromTemplate("{context}\n\n{question}");

  it("invalidates the answers of a whole chain that were made of it, and no others", async () => {
    const perf = createPerf();
    const retriever = new FakeRetriever({ documents: documents(), k: 1 });
    const model = new Numbered();
    const chain = RunnableLambda.from(async (question: string) => {
      const sources = await retriever.invoke(question);
      const answer = await prompt.pipe(model).pipe(new StringOutputParser()).invoke({ context: sources.map(({ pageContent }) => pageContent).join("\n"), question });
      return { answer, sources };
    });
    const ask = perf.cached("rag", (question: string) => chain.invoke(question), { tags: ({ sources }) => sources.map(({ metadata }) => `doc:${String(metadata.source)}`) });
    const both = async (): Promise<string[]> => [(await ask("are cards free")).answer, (await ask("how long do parcels take")).answer];
    expect(await both()).toEqual(["answer 1", "answer 2"]);
    expect(await both()).toEqual(["answer 1", "answer 2"]);
    expect(retriever.counts.retriever).toBe(2);
    retriever.documents[0]!.pageContent = "cards cost five";
    expect(await perf.cache.invalidate({ tags: ["doc:cards.md"] })).toBe(1);
    expect(await both()).toEqual(["answer 3", "answer 2"]);
  });

  it("invalidates chat answers by what stands in their question", async () => {
    const tags = ({ input }: CacheQuestion): string[] => (input as BaseMessage[]).flatMap(({ text }) => [...text.matchAll(/\[(\w+\.md)\]/g)].map(([, source]) => source!));
    const perf = createPerf({ cache: { tags }, coalesce: true });
    const model = new Numbered();
    const fast = withPerf(model, perf);
    const ask = async (text: string): Promise<string> => (await fast.invoke(text)).text;
    await ask("[cards.md] cards are free. Are they?");
    await Array.fromAsync(await fast.stream("[cards.md] [parcels.md] Both?"));
    await ask("[parcels.md] Parcels?");
    expect(await perf.cache.invalidate({ tags: ["cards.md"] })).toBe(2);
    expect(await ask("[parcels.md] Parcels?")).toBe("answer 3");
    expect(await ask("[cards.md] cards are free. Are they?")).toBe("answer 4");
  });
});

describe("an invalidation", () => {
  const asking = (perf: Perf) => {
    const gates = [new Gate(), new Gate(), new Gate()];
    const model = new ScriptedChat({ whole: async (_call, nth) => (await gates[nth - 1]!.promise, textResult(`answer ${nth}`)) });
    return { gates, model, fast: withPerf(model, perf) };
  };

  it("while a call is in flight keeps its answer out, whose tags come from the answer, and lets nobody join it", async () => {
    const { perf } = listening({ cache: { tags: (_question, whole) => [(whole as AIMessage).text] }, coalesce: true });
    const { gates, model, fast } = asking(perf);
    const before = fast.invoke("q");
    await settle();
    expect(await perf.cache.invalidate({ tags: ["answer 1"] })).toBe(0);
    const after = fast.invoke("q");
    await settle();
    expect(model.seen).toHaveLength(2);
    gates[1]!.open();
    gates[0]!.open();
    expect([(await before).text, (await after).text]).toEqual(["answer 1", "answer 2"]);
    expect((await fast.invoke("q")).text).toBe("answer 2");
  });

  it("of something else leaves a call in flight alone", async () => {
    const perf = createPerf();
    const { gates, model, fast } = asking(perf);
    const asked = fast.invoke("q", wishing({ tags: ["x"] }));
    await settle();
    await perf.cache.invalidate({ tags: ["y"] });
    gates[0]!.open();
    await asked;
    expect((await fast.invoke("q")).text).toBe("answer 1");
    expect(model.seen).toHaveLength(1);
  });

  it("while a refresh is in flight keeps the refreshed answer out", async () => {
    vi.useFakeTimers({ toFake: ["Date", "performance"] });
    try {
      const perf = createPerf({ cache: { ttlMs: 1_000, staleMs: 9_000 }, coalesce: true });
      const { gates, fast } = asking(perf);
      gates[0]!.open();
      await fast.invoke("q");
      vi.advanceTimersByTime(1_000);
      await fast.invoke("q");
      await settle();
      expect(await perf.cache.invalidate({ namespace: "default" })).toBe(1);
      gates[1]!.open();
      gates[2]!.open();
      await settle();
      expect((await fast.invoke("q")).text).toBe("answer 3");
    } finally {
      vi.useRealTimers();
    }
  });

  it("counts the entries of the tier that had most of them", async () => {
    const perf = createPerf({ cache: { persistent: temporarySqlite().address, memory: { maxEntries: 2 } } });
    const fast = withPerf(new Numbered(), perf);
    for (const question of ["a", "b", "c", "d", "e"]) await fast.invoke(question, wishing({ tags: [question === "e" ? "x" : "y"] }));
    await perf.flush();
    expect(await perf.cache.invalidate({ tags: ["y"] })).toBe(4);
    expect(await perf.cache.invalidate({ tags: ["y"] })).toBe(0);
    expect(await perf.cache.invalidate({ tags: ["x", "y"] })).toBe(1);
    await perf.close();
  });
});

describe("an answer that the program refuses", () => {
  it("is forgotten in the persistent tier too: a second process does not see it", async () => {
    const { address } = temporarySqlite();
    const open = (): Perf => createPerf({ cache: { persistent: address }, coalesce: true });
    const model = new ScriptedChat({ whole: (_call, nth) => textResult(nth === 1 ? "no json" : '{"fine":true}') });
    const strict = RunnableLambda.from((message: BaseMessage) => JSON.parse(message.text) as object);
    const chain = ChatPromptTemplate.fromTemplate("{question}").pipe(model).pipe(strict);
    await using first = open();
    await expect(withPerf(chain, first).invoke({ question: "q" })).rejects.toThrow(SyntaxError);
    await first.flush();
    await using second = open();
    expect(await withPerf(chain, second).invoke({ question: "q" })).toEqual({ fine: true });
    expect(await withPerf(chain, first).invoke({ question: "q" })).toEqual({ fine: true });
    await second.flush();
    await using third = open();
    expect(await withPerf(chain, third).invoke({ question: "q" })).toEqual({ fine: true });
    expect(model.seen.length).toBeLessThanOrEqual(3);
  });

  it("that came from the persistent tier is forgotten there", async () => {
    const { address } = temporarySqlite();
    const open = (): Perf => createPerf({ cache: { persistent: address }, coalesce: true });
    const model = new Numbered();
    const refusing = RunnableLambda.from((text: string) => model.invoke(text)).pipe(() => {
      throw new TypeError("refused");
    });
    await using first = open();
    await withPerf(model, first).invoke("q");
    await first.flush();
    await using second = open();
    await expect(withPerf(refusing, second).invoke("q")).rejects.toThrow("refused");
    expect(model.seen).toHaveLength(1);
    await second.flush();
    await using third = open();
    expect((await withPerf(model, third).invoke("q")).text).toBe("answer 2");
  });
});
