import { context, trace } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import { Document } from "@langchain/core/documents";
import { MemoryVectorStore } from "@langchain/classic/vectorstores/memory";
import { OpenAIEmbeddings } from "@langchain/openai";
import { InMemorySpanExporter, SimpleSpanProcessor, TracerProvider } from "@opentelemetry/sdk-trace";
import { createPerf, withPerf } from "langchain-perf";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { simulator } from "../../testing/support.ts";
import { FakeEmbeddings } from "../../support/fakes/embeddings.ts";
import { listening } from "../support/listening.ts";

describe("OpenAIEmbeddings", () => {
  it("sends the texts that are not known, in as many requests as it makes of them", async () => {
    const provider = await simulator();
    const bare = new OpenAIEmbeddings({ model: "text-embedding-3-small", dimensions: 32, apiKey: "any", maxRetries: 0, batchSize: 4, configuration: { baseURL: provider.baseURL } });
    const { perf, facts } = listening();
    const fast = withPerf(bare, perf);
    const texts = Array.from({ length: 10 }, (_, at) => `text ${at}`);
    const expected = await bare.embedDocuments(texts);
    expect(await fast.embedDocuments(texts.slice(0, 5))).toEqual(expected.slice(0, 5));
    expect(await fast.embedDocuments(texts)).toEqual(expected);
    expect(await fast.embedDocuments(texts.toReversed())).toEqual(expected.toReversed());
    expect(facts.map(({ cache }) => cache?.items)).toEqual([{ total: 5, hits: 0 }, { total: 10, hits: 5 }, { total: 10, hits: 10 }]);
    const { requests } = (await (await fetch(new URL("/_control/requests", provider.baseURL))).json()) as { requests: unknown[] };
    expect(requests).toHaveLength(3 + 2 + 2);
    expect(await fast.embedQuery("text 1")).toEqual(expected[1]);
  });

  it("of other dimensions are other embeddings", async () => {
    const provider = await simulator();
    const perf = createPerf();
    for (const dimensions of [16, 32, 16]) {
      const fast = withPerf(new OpenAIEmbeddings({ model: "text-embedding-3-small", dimensions, apiKey: "any", configuration: { baseURL: provider.baseURL } }), perf);
      expect((await fast.embedDocuments(["a"]))[0]).toHaveLength(dimensions);
    }
    expect(perf.cache.stats().entries).toBe(2);
  });
});

describe("a vector store", () => {
  it("embeds a document once, however often it is added, and a query once", async () => {
    const bare = new FakeEmbeddings();
    const { perf, facts } = listening();
    const documents = ["a lost card", "a late parcel"].map((pageContent) => new Document({ pageContent }));
    for (const _ of [1, 2]) {
      const store = withPerf(new MemoryVectorStore(bare), perf);
      await store.addDocuments(documents);
      for (const _again of [1, 2]) expect((await store.similaritySearch("card", 1))[0]?.pageContent).toBe("a lost card");
    }
    expect(bare.counts.embeddings).toBe(2);
    expect(facts.filter(({ kind }) => kind === "embeddings").map(({ cache }) => cache?.status)).toEqual(["miss", "miss", "hit", "hit", "hit", "hit"]);
  });

  it("behind a retriever shows the same through a chain", async () => {
    const bare = new FakeEmbeddings();
    const perf = createPerf();
    const store = await MemoryVectorStore.fromDocuments(["a lost card", "a late parcel"].map((pageContent) => new Document({ pageContent })), bare);
    const retriever = withPerf(store.asRetriever(1), perf);
    for (const _ of [1, 2, 3]) expect((await retriever.invoke("card")).map(({ pageContent }) => pageContent)).toEqual(["a lost card"]);
    expect(bare.counts.embeddings).toBe(2);
  });
});

describe("spans", () => {
  const exporter = new InMemorySpanExporter();
  beforeAll(() => {
    context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
    trace.setGlobalTracerProvider(new TracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter })] }));
  });
  afterAll(() => {
    trace.disable();
    context.disable();
  });

  it("are one for each embedDocuments, however many texts it has", async () => {
    const fast = withPerf(new FakeEmbeddings(), createPerf({ cache: true, coalesce: true, trace: true }));
    await fast.embedDocuments(["a", "b", "c"]);
    await fast.embedDocuments(["a", "b", "d"]);
    await fast.embedDocuments(["a"]);
    const spans = exporter.getFinishedSpans();
    expect(spans.map(({ name }) => name)).toEqual(["embeddings fake-embeddings", "embeddings fake-embeddings", "embeddings fake-embeddings"]);
  });
});
