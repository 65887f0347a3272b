import { MemoryVectorStore } from "@langchain/classic/vectorstores/memory";
import type { Embeddings } from "@langchain/core/embeddings";
import { AzureOpenAIEmbeddings, OpenAIEmbeddings } from "@langchain/openai";
import { withPerf, type CallFacts, type PerfOptions } from "langchain-perf";
import { createSimulator, type Simulator, type SimulatorOptions } from "langchain-perf/testing";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { embeddingsJoining } from "../../src/langchain/kinds/embeddings-joining.ts";
import { listening } from "../layers/support/listening.ts";
import { FakeEmbeddings } from "../support/fakes/embeddings.ts";

const texts = (count: number, from = 0): string[] => Array.from({ length: count }, (_, at) => `text ${from + at}`);

async function setting(options: PerfOptions = { batch: true }, fields: object = {}, simulated: SimulatorOptions = {}) {
  const provider = await createSimulator({ ...simulated, recordBodies: true });
  onTestFinished(() => provider.close());
  const bare = new OpenAIEmbeddings({ model: "text-embedding-3-small", dimensions: 32, apiKey: "any", maxRetries: 0, configuration: { baseURL: provider.baseURL }, ...fields });
  const { perf, facts } = listening(options);
  return { provider, bare, perf, facts, fast: withPerf(bare, perf) };
}

/** How many texts each request had; a query's is `"query"`. */
function sizes({ requests }: Simulator): (number | "query")[] {
  return requests.map(({ body }) => {
    const { input } = body as { input: string | string[] };
    return typeof input === "string" ? "query" : input.length;
  });
}

const batchSizes = (facts: readonly CallFacts[]): (number | undefined)[] => facts.map(({ batchSize }) => batchSize);

describe("OpenAIEmbeddings with batch: true", () => {
  it("put as many texts in a request as their own batchSize says, also where that is more than the default", async () => {
    const { provider, fast } = await setting({ batch: true }, { batchSize: 1_000 });
    await fast.embedDocuments(texts(1_500));
    expect(sizes(provider)).toEqual([1_000, 500]);
  });

  it("put no more tokens in a request than half of what a minute allows", async () => {
    const { provider, fast } = await setting({ batch: true, rateLimit: { tokensPerMinute: 2_000 } });
    const long = texts(20).map((text) => `${text} ${"word ".repeat(60)}`);
    void fast.embedDocuments(long).catch(() => {});
    await vi.waitUntil(() => provider.count() > 0, { interval: 1 });
    expect(sizes(provider)[0]).toBeLessThan(20);
  });

  it("ask for concurrent queries in as few requests as may be, and the vectors are the same", async () => {
    const { provider, bare, fast, facts } = await setting({ batch: { maxBatchSize: 40 } });
    const vectors = await Promise.all(texts(100).map((text) => fast.embedQuery(text)));
    expect(sizes(provider)).toEqual([40, 40, 20]);
    expect(batchSizes(facts)).toEqual([...Array<number>(80).fill(40), ...Array<number>(20).fill(20)]);
    provider.reset();
    expect(vectors).toEqual(await Promise.all(texts(100).map((text) => bare.embedQuery(text))));
    expect(provider.count()).toBe(100);
  });

  it("put queries and documents in one request, and ask for one alone as ever", async () => {
    const { provider, bare, fast } = await setting();
    const [one, several, other] = await Promise.all([fast.embedQuery("a"), fast.embedDocuments(["b", "c"]), fast.embedDocuments(["d"])]);
    expect(await fast.embedQuery("e")).toEqual((await bare.embedDocuments(["e"]))[0]);
    expect(await fast.embedDocuments(["f"])).toEqual(await bare.embedDocuments(["f"]));
    expect([[one], several, other].flat()).toEqual(await bare.embedDocuments(["a", "b", "c", "d"]));
    expect(sizes(provider)).toEqual([4, "query", 1, 1, 1, 4]);
  });

  it("keep to the batchSize of the embeddings", async () => {
    const { provider, fast } = await setting({ batch: true }, { batchSize: 4 });
    await Promise.all(texts(10).map((text) => fast.embedQuery(text)));
    expect(sizes(provider)).toEqual([4, 4, 2]);
  });

  it("fail a text that the provider refuses alone, though LangChain hides that it was refused", async () => {
    const { provider, fast } = await setting();
    provider.fault({ kind: "status", status: 400, message: "This model's maximum context length is 8192 tokens.", times: 1 });
    const outcomes = await Promise.allSettled(texts(8).map((text) => fast.embedQuery(text)));
    // The fault strikes once: all that was asked in parts afterwards is answered.
    expect(outcomes.map(({ status }) => status)).toEqual(Array(8).fill("fulfilled"));
    expect(sizes(provider)).toEqual([8, 2, 2, 2, 2]);
  });

  it("fail all who share a request when the provider fails", async () => {
    const { provider, fast, facts } = await setting();
    provider.fault("status=500,times=1");
    const outcomes = await Promise.allSettled([fast.embedQuery("a"), fast.embedDocuments(["b", "c"])]);
    expect(outcomes.map((outcome) => outcome.status === "rejected" && (outcome.reason as { status?: number }).status)).toEqual([500, 500]);
    expect(facts.map(({ error, batchSize }) => [error?.message, batchSize])).toEqual(Array(2).fill([expect.stringContaining("Simulated error 500."), 3]));
    expect(provider.count()).toBe(1);
  });

  it("are asked only for what the cache has not, and equal questions once", async () => {
    const { provider, bare, fast, facts } = await setting({ cache: true, coalesce: true, batch: true });
    await fast.embedDocuments(["a", "b"]);
    const [documents, query, again] = await Promise.all([fast.embedDocuments(["a", "c", "d"]), fast.embedQuery("c"), fast.embedQuery("c")]);
    expect(sizes(provider)).toEqual([2, 3]);
    expect([...documents, query, again]).toEqual(await bare.embedDocuments(["a", "c", "d", "c", "c"]));
    expect(facts.map(({ cache, coalesced }) => [cache?.status, cache?.items, coalesced])).toContainEqual(["miss", { total: 3, hits: 1 }, undefined]);
    expect(facts.filter(({ coalesced }) => coalesced === "follower")).toHaveLength(1);
    await Promise.all([fast.embedQuery("c"), fast.embedDocuments(["c", "d"])]);
    expect(provider.count()).toBe(3);
  });

  it("of a vector store share a request for the questions of many", async () => {
    const { provider, bare, perf } = await setting();
    const store = await MemoryVectorStore.fromTexts(["a lost card", "a late parcel"], [{}, {}], bare);
    const retriever = withPerf(store.asRetriever(1), perf);
    const found = await retriever.batch(texts(20).map((text) => `${text}: the card`));
    expect(found.map(([document]) => document?.pageContent)).toEqual(Array(20).fill("a lost card"));
    expect(sizes(provider)).toEqual([2, 20]);
  });

  it("are refused a wrong option by name", () => {
    expect(() => listening({ batch: { maxBatchSize: 0 } })).toThrow('"batch.maxBatchSize"');
    expect(() => listening({ batch: { size: 3 } as object })).toThrow('"batch.size"');
  });
});

describe("whether queries share requests", () => {
  class Prefixing extends OpenAIEmbeddings {
    override embedQuery(text: string): Promise<number[]> {
      return super.embedQuery(`query: ${text}`);
    }
  }

  class PrefixingDocuments extends OpenAIEmbeddings {
    override embedDocuments(documents: string[]): Promise<number[][]> {
      return super.embedDocuments(documents.map((document) => `passage: ${document}`));
    }
  }

  async function queries(make: (fields: object) => Embeddings, options: PerfOptions = { batch: true }): Promise<(number | "query")[]> {
    const provider = await createSimulator({ recordBodies: true });
    onTestFinished(() => provider.close());
    const fast = withPerf(make({ model: "text-embedding-3-small", dimensions: 16, apiKey: "any", maxRetries: 0, configuration: { baseURL: provider.baseURL } }), listening(options).perf);
    await Promise.all(["a", "b"].map((text) => fast.embedQuery(text)));
    return sizes(provider);
  }

  it("is known of LangChain's class, not of a subclass with a method of its own", async () => {
    expect(await queries((fields) => new OpenAIEmbeddings(fields))).toEqual([2]);
    expect(await queries((fields) => new (class Tagged extends OpenAIEmbeddings {})(fields))).toEqual([2]);
    expect(await queries((fields) => new Prefixing(fields))).toEqual(["query", "query"]);
    expect(await queries((fields) => new PrefixingDocuments(fields))).toEqual(["query", "query"]);
  });

  it("is not known where spies stand in the methods' place", async () => {
    const spies: ReturnType<typeof vi.spyOn>[] = [];
    const spied = (fields: object): OpenAIEmbeddings => {
      const bare = new OpenAIEmbeddings(fields);
      spies.push(vi.spyOn(bare, "embedQuery"), vi.spyOn(bare, "embedDocuments"));
      return bare;
    };
    expect(await queries(spied)).toEqual(["query", "query"]);
    expect(spies.map((spy) => spy.mock.calls.length)).toEqual([2, 0]);
  });

  it("is what the option says, if it says so", async () => {
    expect(await queries((fields) => new OpenAIEmbeddings(fields), { batch: { symmetric: false } })).toEqual(["query", "query"]);
    const { perf } = listening({ batch: { symmetric: true } });
    const unknown = new FakeEmbeddings();
    const fast = withPerf(unknown, perf);
    const vectors = await Promise.all(texts(10).map((text) => fast.embedQuery(text)));
    expect(unknown.counts.embeddings).toBe(1);
    expect(vectors).toEqual(await unknown.embedDocuments(texts(10)));
  });

  it("is known of Azure's, which take one text at a time unless told otherwise", () => {
    const azure = (fields: object) => new AzureOpenAIEmbeddings({ azureOpenAIApiKey: "any", azureOpenAIApiInstanceName: "any", azureOpenAIApiVersion: "2024-10-21", azureOpenAIApiDeploymentName: "embeddings", ...fields });
    for (const [fields, most] of [[{}, 1], [{ batchSize: 16 }, 16]] as const) {
      const input = { embeddings: azure(fields), method: "embedQuery", text: "a" } as const;
      expect(embeddingsJoining.lane(input, undefined)).toEqual([input.embeddings, "texts"]);
      expect(embeddingsJoining.maxBatchSize(input)).toBe(most);
    }
  });

  it("is not for a class of which nothing is known: its documents alone do", async () => {
    const unknown = new FakeEmbeddings();
    const fast = withPerf(unknown, listening({ batch: true }).perf);
    await Promise.all([...texts(3).map((text) => fast.embedQuery(text)), fast.embedDocuments(["a"]), fast.embedDocuments(["b", "c"])]);
    expect(unknown.counts.embeddings).toBe(3 + 1);
  });
});
