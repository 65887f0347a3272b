import { MemoryVectorStore } from "@langchain/classic/vectorstores/memory";
import { type RunnableConfig, RunnableLambda } from "@langchain/core/runnables";
import { createAgent } from "langchain";
import { describe, expect, it } from "vitest";
import { type CacheOptions, createPerf, instrument, type Perf, withPerf } from "langchain-perf";
import { perfMiddleware } from "langchain-perf/agent";
import { FakeEmbeddings } from "../support/fakes/embeddings.ts";
import { createFakeKit } from "../support/fakes/kit.ts";
import { allOf } from "./fixtures/ways.ts";

const as = (user: string): RunnableConfig => ({ configurable: { user } });
const wish = (tenant: string): RunnableConfig => ({ configurable: { perf: { tenant } } });
/** The tenant as programs have it: a field of their own in the config. */
const byUser: CacheOptions["tenant"] = (_control, config) => (config as RunnableConfig).configurable?.user as string | undefined;
/** The same, with a tenant for those who are nobody. */
const orPublic: CacheOptions["tenant"] = (control, config) => byUser(control, config) ?? "public";

/** The tenants of all calls, by kind. */
function tenantsOf(perf: Perf): Record<string, (string | undefined)[]> {
  const seen: Record<string, (string | undefined)[]> = {};
  perf.on("call", ({ kind, tenant }) => void (kind !== "chain" && (seen[kind] ??= []).push(tenant)));
  return seen;
}

describe("tenants", () => {
  it("never see each other's entries", async () => {
    const kit = createFakeKit();
    await using perf = createPerf({ cache: true, coalesce: true });
    const fast = withPerf(kit.chat(), perf);
    for (const tenant of ["a", "b", "a", "b"]) await fast.invoke("Hello", wish(tenant));
    await Promise.all(["a", "b", "a", "b"].map((tenant) => fast.invoke("Hello again", wish(tenant))));
    expect(kit.counts.chat).toBe(4);
    expect(await perf.cache.invalidate({ tenant: "a" })).toBe(2);
    expect(perf.cache.stats().entries).toBe(2);
  });

  it("may differ within a batch, by wishes or by the config", async () => {
    for (const [options, config] of [[{}, wish], [{ tenant: byUser }, as]] as const) {
      const kit = createFakeKit();
      await using perf = createPerf({ cache: options });
      const seen = tenantsOf(perf);
      const chain = withPerf(RunnableLambda.from((text: string) => text).pipe(kit.chat()), perf);
      const tenants = ["a", "b", "a", "c"];
      for (const _ of [1, 2]) await chain.batch(tenants.map(() => "Hello"), tenants.map(config));
      expect(seen.chat?.toSorted()).toEqual(["a", "a", "a", "a", "b", "b", "c", "c"]);
      expect(kit.counts.chat).toBeGreaterThanOrEqual(3);
      expect(perf.cache.stats().entries).toBe(3);
    }
  });

  it("reach embeddings below a RunnableLambda in a batch", async () => {
    for (const [options, config] of [[{}, wish], [{ tenant: byUser }, as]] as const) {
      const kit = createFakeKit();
      instrument(FakeEmbeddings);
      await using perf = createPerf({ cache: options });
      const seen = tenantsOf(perf);
      const embeddings = kit.embeddings();
      const lambda = withPerf(RunnableLambda.from((text: string) => embeddings.embedQuery(text)), perf);
      for (const _ of [1, 2]) await lambda.batch(["Hello", "Hello"], ["a", "b"].map(config));
      expect(seen.embeddings?.toSorted()).toEqual(["a", "a", "b", "b"]);
      expect(kit.counts.embeddings).toBe(2);
    }
  });

  it("reach embeddings below a vector store's retriever in a batch", async () => {
    const kit = createFakeKit();
    const store = await MemoryVectorStore.fromTexts(["the sea", "the sky"], [{}, {}], kit.embeddings());
    await using perf = createPerf({ cache: { tenant: byUser } });
    const seen = tenantsOf(perf);
    const chain = withPerf(store.asRetriever(1).pipe((documents) => documents[0]?.pageContent), perf);
    expect(await chain.batch(["sea", "sea"], [as("a"), as("b")])).toEqual(["the sea", "the sea"]);
    expect(seen.embeddings?.toSorted()).toEqual(["a", "b"]);
    expect(seen.retriever?.toSorted()).toEqual(["a", "b"]);
  });

  it("share nothing when a configured tenant yields nothing", async () => {
    const kit = createFakeKit();
    await using perf = createPerf({ cache: { tenant: byUser }, coalesce: true });
    const fast = withPerf(kit.chat({ delayMs: 2 }), perf);
    await Promise.all([fast.invoke("Hello"), fast.invoke("Hello")]);
    await allOf(fast.stream("Hello"));
    expect(kit.counts.chat).toBe(3);
    expect(perf.cache.stats().entries).toBe(0);
  });

  it("are known in every stream and event", async () => {
    const kit = createFakeKit();
    await using perf = createPerf({ cache: { tenant: byUser } });
    const seen = tenantsOf(perf);
    const chain = withPerf(RunnableLambda.from((text: string) => text).pipe(kit.chat()), perf);
    for (const user of ["a", "b"]) {
      await allOf(chain.stream("Hello", as(user)));
      await allOf(chain.streamEvents("Hello", { version: "v2", ...as(user) }));
    }
    expect(seen.chat).toEqual(["a", "a", "b", "b"]);
    expect(kit.counts.chat).toBe(2);
  });

  it("are told apart inside one perf.run, by the config of each call", async () => {
    for (const tenant of [byUser, orPublic]) {
      const kit = createFakeKit();
      await using perf = createPerf({ cache: { tenant } });
      const seen = tenantsOf(perf);
      const model = kit.chat();
      await perf.run(async () => {
        for (const user of ["a", "b"]) await model.invoke("Hello", as(user));
      });
      expect(seen.chat).toEqual(["a", "b"]);
      expect(kit.counts.chat).toBe(2);
    }
  });

  it("are told apart by calls with a config of their own inside a wrapped program", async () => {
    const kit = createFakeKit();
    await using perf = createPerf({ cache: { tenant: orPublic } });
    const seen = tenantsOf(perf);
    const model = kit.chat();
    const wrapped = withPerf(kit.chat(), perf);
    const job = RunnableLambda.from(async (text: string) => {
      for (const user of ["a", "b"]) {
        await model.invoke(text, as(user));
        await wrapped.invoke(text, as(user));
      }
      await model.invoke(text);
      return text;
    });
    await withPerf(job, perf).invoke("Hello");
    expect(seen.chat).toEqual(["a", "a", "b", "b", "public"]);
    seen.chat = [];
    await withPerf(job, perf).invoke("Hello", as("outer"));
    expect(seen.chat).toEqual(["a", "a", "b", "b", "outer"]);
  });

  it("given as a wish hold for every call below, whatever the config says", async () => {
    const kit = createFakeKit();
    await using perf = createPerf({ cache: { tenant: orPublic } });
    const seen = tenantsOf(perf);
    const model = kit.chat();
    const job = withPerf(RunnableLambda.from((text: string) => model.invoke(text, as("b"))), perf);
    await job.invoke("Hello", { configurable: { user: "a", perf: { tenant: "acme" } } });
    expect(seen.chat).toEqual(["acme"]);
  });

  it("are known to perfMiddleware", async () => {
    const kit = createFakeKit();
    await using perf = createPerf({ cache: { tenant: orPublic } });
    const seen = tenantsOf(perf);
    const agent = createAgent({ model: kit.chat(), tools: [], middleware: [perfMiddleware(perf)] });
    for (const user of ["a", "b"]) await agent.invoke({ messages: ["Hello"] }, as(user));
    expect(seen.chat).toEqual(["a", "b"]);
  });
});
