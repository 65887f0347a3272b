import { Document } from "@langchain/core/documents";
import { AIMessage, HumanMessage, type AIMessageChunk } from "@langchain/core/messages";
import { tool } from "@langchain/core/tools";
import { withPerf, type CacheOptions } from "langchain-perf";
import { afterAll, describe, expect, it, vi } from "vitest";
import { z } from "zod";
import { FakeChatModel } from "../../support/fakes/chat-model.ts";
import { FakeEmbeddings } from "../../support/fakes/embeddings.ts";
import { FakeLLM } from "../../support/fakes/llm.ts";
import { FakeRetriever } from "../../support/fakes/retriever.ts";
import { end, endRedis, farTier, life } from "../support/far.ts";
import { settle } from "../support/gate.ts";
import { Numbered, wishing } from "../support/replies.ts";
import { seen } from "../support/seen.ts";
import { sumOf } from "../support/sum.ts";

afterAll(endRedis);

const callsTools = (): FakeChatModel => new FakeChatModel({ reply: () => ({ text: "let me see", toolCalls: [{ name: "weather", args: { city: "Rome" } }] }) });
const hits = (tier: string, nth: number): string[] => [`hit ${tier}`, ...Array.from({ length: nth }, () => "hit memory")];

describe.each(["persistent", "redis"] as const)("a second process over the %s tier", (tier) => {
  it.each<[string, () => FakeChatModel]>([["text", () => new FakeChatModel()], ["tool calls", callsTools]])("has a chat answer, whole and streamed, fresh each time: %s", async (_name, make) => {
    for (const first of ["invoke", "stream"] as const) {
      const cache = await farTier(tier);
      const model = make();
      const before = life(cache);
      const paid = first === "invoke" ? await withPerf(model, before.perf).invoke("q") : await sumOf(withPerf(model, before.perf).stream("q"));
      await end(before);
      const after = life(cache);
      const fast = withPerf(model, after.perf);
      const whole = await fast.invoke("q");
      const chunks: AIMessageChunk[] = await Array.fromAsync(await fast.stream("q"));
      const streamed = chunks.reduce((sum, part) => sum.concat(part));
      expect([seen(whole), seen(streamed)]).toEqual([seen(paid), seen(paid)]);
      if (first === "invoke") expect(whole.constructor.name).toBe(paid.constructor.name);
      expect(whole.usage_metadata).toMatchObject({ input_tokens: 0, output_tokens: 0, total_tokens: 0 });
      expect(whole.response_metadata.perf).toMatchObject({ cached: true, usage: { total_tokens: paid.usage_metadata!.total_tokens } });
      expect(new Set([paid.id, whole.id, streamed.id]).size).toBe(3);
      const ids = [paid, whole, streamed].flatMap(({ tool_calls = [] }) => tool_calls.map(({ id }) => id));
      expect(new Set(ids).size).toBe(ids.length);
      expect(model.counts.chat).toBe(1);
      expect(after.found()).toEqual(hits(tier, 1));
      expect(after.facts[0]!.cache!.key).toBe(before.facts[0]!.cache!.key);
    }
  });

  it("has an answer that was streamed as events, as events and whole", async () => {
    const cache = await farTier(tier);
    const model = callsTools();
    type Streamed = AsyncIterable<{ event: string; delta?: { type: string; text?: string } }> & PromiseLike<AIMessage>;
    const events = async ({ perf }: ReturnType<typeof life>) => {
      const streamed = await Array.fromAsync(withPerf(model, perf).streamEvents("q") as unknown as Streamed);
      return streamed.map(({ event, delta }) => [event, delta?.type, delta?.text]);
    };
    const before = life(cache);
    const bare = await events(before);
    await end(before);
    const after = life(cache);
    expect(await events(after)).toEqual(bare);
    const whole = await withPerf(model, after.perf).invoke("q");
    expect([whole.text, whole.tool_calls?.map(({ name, args }) => [name, args])]).toEqual(["let me see", [["weather", { city: "Rome" }]]]);
    expect(bare.length).toBeGreaterThan(4);
    expect(after.found()).toEqual(hits(tier, 1));
    expect(model.counts.chat).toBe(1);
  });

  it("has LangChain's own objects in the results of functions, of their own classes", async () => {
    const cache = await farTier(tier);
    const make = () => ({ documents: [new Document({ pageContent: "a cat", metadata: { at: new Date(5) } })], messages: [new HumanMessage("hi"), new AIMessage({ content: "ho", tool_calls: [{ id: "c1", name: "f", args: { x: 1 } }] })] });
    const before = life(cache);
    await before.perf.cached("objects", async () => make())();
    await end(before);
    const after = life(cache);
    const { documents, messages } = await after.perf.cached("objects", async (): Promise<ReturnType<typeof make>> => Promise.reject(new Error("asked")))();
    expect(documents).toEqual(make().documents);
    expect(documents[0]).toBeInstanceOf(Document);
    expect(messages.map((message) => [message.constructor.name, message.text])).toEqual([["HumanMessage", "hi"], ["AIMessage", "ho"]]);
    expect((messages[1] as AIMessage).tool_calls).toEqual([{ id: "c1", name: "f", args: { x: 1 } }]);
  });

  it("replays a stream chunk by chunk", async () => {
    const cache = await farTier(tier);
    const model = new FakeChatModel();
    const texts = async (perf: ReturnType<typeof life>["perf"]): Promise<string[]> => (await Array.fromAsync(await withPerf(model, perf).stream("a question of some words"))).map(({ text }) => text);
    const before = life(cache);
    const bare = await texts(before.perf);
    await end(before);
    const after = life(cache);
    expect(await texts(after.perf)).toEqual(bare);
    expect(await texts(after.perf)).toEqual(bare);
    expect(bare.length).toBeGreaterThan(5);
    expect(model.counts.chat).toBe(1);
  });

  it("has completions, vectors and results of functions", async () => {
    const cache: CacheOptions = { ...(await farTier(tier)), kinds: { embeddings: { id: "fake" } } };
    const [llm, embeddings] = [new FakeLLM(), new FakeEmbeddings()];
    const work = vi.fn(async (n: number) => ({ n, at: new Date(n), map: new Map([["k", n]]), bytes: new Uint8Array([n]), none: undefined }));
    const ask = async ({ perf }: ReturnType<typeof life>) => [
      await withPerf(llm, perf).invoke("one two"),
      (await Array.fromAsync(await withPerf(llm, perf).stream("one two"))).join(""),
      await withPerf(embeddings, perf).embedQuery("a"),
      await withPerf(embeddings, perf).embedDocuments(["a", "b"]),
      await perf.cached("work", work)(7),
      await perf.cached("nothing", async () => undefined)(),
    ];
    const before = life(cache);
    const paid = await ask(before);
    await end(before);
    const after = life(cache);
    expect(await ask(after)).toEqual(paid);
    expect([llm.counts.llm, embeddings.counts.embeddings, work.mock.calls.length]).toEqual([1, 2, 1]);
    expect(after.found()).toEqual([`hit ${tier}`, "hit memory", `hit ${tier}`, "hit", `hit ${tier}`, `hit ${tier}`]);
  });

  it("asks only for the texts that no process knew", async () => {
    const cache: CacheOptions = { ...(await farTier(tier)), kinds: { embeddings: { id: "fake" } } };
    const embeddings = new FakeEmbeddings();
    const asked = vi.spyOn(embeddings, "embedDocuments");
    const before = life(cache);
    await withPerf(embeddings, before.perf).embedDocuments(["a", "b", "c"]);
    await end(before);
    const after = life(cache);
    asked.mockClear();
    const vectors = await withPerf(embeddings, after.perf).embedDocuments(["x", "c", "a", "y"]);
    expect(vectors).toEqual(await new FakeEmbeddings().embedDocuments(["x", "c", "a", "y"]));
    expect(after.facts.at(-1)?.cache).toMatchObject({ status: "miss", items: { total: 4, hits: 2 } });
    expect(embeddings.counts.embeddings).toBe(2);
  });

  it("has the results of retrievers and tools that were given an id, and of no others", async () => {
    const tierOptions = await farTier(tier);
    const documents = [new Document({ pageContent: "a cat", metadata: { source: "cats.md" }, id: "1" })];
    let runs = 0;
    const ask = async (kinds: NonNullable<CacheOptions["kinds"]>) => {
      const one = life({ ...tierOptions, kinds });
      const found = await withPerf(new FakeRetriever({ documents }), one.perf).invoke("cat");
      const look = tool(async ({ n }) => `got ${n} ${(runs += 1)}`, { name: "look", description: "d", schema: z.object({ n: z.number() }) });
      const got: unknown = await withPerf(look, one.perf).invoke({ n: 1 });
      await end(one);
      return { found, got, facts: one.found() };
    };
    const named = { retriever: { id: "docs" }, tool: { id: "look@1" } };
    const [first, second] = [await ask(named), await ask(named)];
    expect(second).toEqual({ ...first, facts: [`hit ${tier}`, `hit ${tier}`] });
    expect(second.found[0]).toBeInstanceOf(Document);
    expect(second.found[0]).toMatchObject({ pageContent: "a cat", metadata: { source: "cats.md" }, id: "1" });
    const held = async (): Promise<unknown> => (await life(tierOptions).perf.cache.contents()).find(({ tier: at }) => at === tier)?.entries;
    const before = await held();
    const nameless = { retriever: {}, tool: {} };
    expect([(await ask(nameless)).facts, (await ask(nameless)).facts]).toEqual([["miss", "miss"], ["miss", "miss"]]);
    expect(await held()).toBe(before);
  });

  it("knows questions by the bytes of their images", async () => {
    const cache = await farTier(tier);
    const model = new Numbered();
    const question = (data: string) => [new HumanMessage({ content: [{ type: "text", text: "what is it?" }, { type: "image_url", image_url: { url: `data:image/png;base64,${data}` } }] })];
    const before = life(cache);
    await withPerf(model, before.perf).invoke(question("AAAA"));
    await end(before);
    const after = life(cache);
    const fast = withPerf(model, after.perf);
    expect([(await fast.invoke(question("AAAA"))).text, (await fast.invoke(question("AAAB"))).text]).toEqual(["answer 1", "answer 2"]);
    expect(after.found()).toEqual([`hit ${tier}`, "miss"]);
  });

  it("counts an entry's age from when it was stored, and refreshes a stale one once", async () => {
    const cache = { ...(await farTier(tier)), ttlMs: 60_000, staleMs: 60_000 };
    const model = new Numbered();
    vi.useFakeTimers({ toFake: ["Date"] });
    try {
      vi.setSystemTime(Date.now() - 100_000);
      const before = life(cache);
      await withPerf(model, before.perf).invoke("q");
      await end(before);
      vi.useRealTimers();
      const after = life(cache);
      const fast = withPerf(model, after.perf);
      expect((await Promise.all([fast.invoke("q"), fast.invoke("q")])).map(({ text }) => text)).toEqual(["answer 1", "answer 1"]);
      expect(after.facts[0]?.cache).toMatchObject({ status: "stale", tier });
      expect(after.facts[0]!.cache!.ageMs).toBeGreaterThanOrEqual(100_000);
      await after.perf.flush();
      expect((await fast.invoke("q")).text).toBe("answer 2");
      expect(model.seen).toHaveLength(2);
    } finally {
      vi.useRealTimers();
    }
  });

  it("has no entry whose time is up", async () => {
    const cache = await farTier(tier);
    const model = new Numbered();
    const before = life(cache);
    await withPerf(model, before.perf).invoke("q", wishing({ ttlMs: 30 }));
    await withPerf(model, before.perf).invoke("long", wishing({ ttlMs: Infinity }));
    await end(before);
    const until = Date.now() + 31;
    while (Date.now() < until) await settle();
    const after = life(cache);
    expect((await withPerf(model, after.perf).invoke("q")).text).toBe("answer 3");
    expect((await withPerf(model, after.perf).invoke("long")).text).toBe("answer 2");
    expect(after.found()).toEqual(["miss", `hit ${tier}`]);
  });
});
