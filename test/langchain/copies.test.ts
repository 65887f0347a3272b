import { createRequire } from "node:module";
import { BaseChatModel } from "@langchain/core/language_models/chat_models";
import { RunnableLambda } from "@langchain/core/runnables";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { createPerf, instrument, withPerf } from "langchain-perf";
import { FakeChatModel } from "../support/fakes/chat-model.ts";
import { FakeEmbeddings } from "../support/fakes/embeddings.ts";
import { type OpenAIStub, startOpenAIStub } from "../support/fakes/openai-stub.ts";
import { noCalls } from "../support/fakes/counts.ts";
import { allOf, errorOf } from "./fixtures/ways.ts";

const require = createRequire(import.meta.url);

describe("ESM and CommonJS copies of LangChain in one process", () => {
  const models = require("@langchain/core/language_models/chat_models") as typeof import("@langchain/core/language_models/chat_models");
  const runnables = require("@langchain/core/runnables") as typeof import("@langchain/core/runnables");
  const { ChatOpenAI } = require("@langchain/openai") as typeof import("@langchain/openai");
  const counts = noCalls();
  let stub: OpenAIStub;
  beforeAll(async () => {
    stub = await startOpenAIStub(counts);
  });
  afterAll(() => stub.close());

  class CommonModel extends models.SimpleChatModel {
    asked = 0;
    override _llmType(): string {
      return "common";
    }
    override async _call(): Promise<string> {
      this.asked += 1;
      return `answer ${this.asked}`;
    }
  }

  it("are two copies", () => {
    expect(models.BaseChatModel).not.toBe(BaseChatModel);
  });

  it("a CommonJS model is wrapped as any other", async () => {
    const model = new CommonModel({});
    const fast = withPerf(model);
    expect(fast).toBeInstanceOf(models.BaseChatModel);
    expect((await fast.invoke("Hello")).text).toBe("answer 1");
    expect((await fast.invoke("Hello")).text).toBe("answer 1");
    expect(model.asked).toBe(1);
  });

  it("a CommonJS model in the closure of an ESM chain is reached, and the other way round", async () => {
    const common = new CommonModel({});
    const esm = new FakeChatModel();
    const perf = createPerf();
    const chains = [
      withPerf(RunnableLambda.from(async (text: string) => (await common.invoke(text)).text), perf),
      withPerf(runnables.RunnableLambda.from(async (text: string) => (await esm.invoke(text)).text), perf),
      withPerf(runnables.RunnableLambda.from((text: string) => text).pipe(common as never), perf),
    ];
    for (const chain of chains) for (const _ of [1, 2]) await chain.invoke("Hello");
    expect([common.asked, esm.counts.chat]).toEqual([1, 1]);
    expect(perf.stats().kinds.chat?.calls).toBe(6);
  });

  it("wishes, tenants and retries hold in a CommonJS chain", async () => {
    const model = new CommonModel({});
    const chain = withPerf(runnables.RunnableLambda.from(async (text: string) => (await model.invoke(text)).text), { cache: true });
    const asked = async (perf: object) => chain.invoke("Hello", { configurable: { perf } });
    expect([await asked({}), await asked({ tenant: "a" }), await asked({ cache: "refresh" }), await asked({})]).toEqual(["answer 1", "answer 2", "answer 3", "answer 3"]);
  });

  it("a CommonJS ChatOpenAI answers from the cache, streams too", async () => {
    const fast = withPerf(new ChatOpenAI({ apiKey: "none", model: "gpt-test", configuration: { baseURL: stub.baseURL } }));
    const before = counts.chat;
    const texts = [(await fast.invoke("Hello")).text, (await allOf(fast.stream("Hello"))).map(({ text }) => text).join("")];
    expect(texts[1]).toBe(texts[0]);
    expect(counts.chat - before).toBe(1);
  });
});

describe("two copies of langchain-perf", () => {
  type Copy = typeof import("langchain-perf");
  let other: Copy;
  beforeAll(async () => {
    vi.resetModules();
    other = await import("langchain-perf");
  });

  it("are two copies", () => expect(other.createPerf).not.toBe(createPerf));

  it("see each call once, whichever wrapped", async () => {
    const model = new FakeChatModel();
    const [mine, theirs] = [createPerf({ cache: true }), other.createPerf({ cache: true })];
    const [a, b] = [withPerf(model, mine), other.withPerf(model, theirs)];
    for (const _ of [1, 2]) {
      await a.invoke("Hello");
      await b.invoke("Hello");
      await allOf(b.stream("Hello"));
    }
    expect(mine.stats().kinds.chat).toMatchObject({ calls: 2, hits: 1 });
    expect(theirs.stats().kinds.chat).toMatchObject({ calls: 4, hits: 3 });
    expect(model.counts.chat).toBe(2);
  });

  it("nest: the inner one wins", async () => {
    const model = new FakeChatModel();
    const [outer, inner] = [createPerf({ cache: true }), other.createPerf({ cache: true })];
    const wrapped = other.withPerf(model, inner);
    await withPerf(RunnableLambda.from(async (text: string) => [await wrapped.invoke(text), await model.invoke(text)]), outer).invoke("Hello");
    expect([inner, outer].map((perf) => perf.stats().kinds.chat?.calls)).toEqual([1, 1]);
  });

  it("take each other's perfs, and know each other's wrapped objects", async () => {
    const model = new FakeChatModel();
    const theirs = other.createPerf({ cache: true, name: "theirs" });
    const fast = withPerf(model, theirs);
    await fast.invoke("Hello");
    expect(theirs.stats().kinds.chat?.calls).toBe(1);
    expect(other.perfOf(fast)).toBe(theirs);
    const again = other.withPerf(fast, { cache: true, name: "again" });
    await again.invoke("Hello");
    expect(other.perfOf(again)?.stats().kinds.chat?.calls).toBe(1);
    expect(theirs.stats().kinds.chat?.calls).toBe(1);
  });

  it("know each other's errors", async () => {
    const fast = other.withPerf(new FakeChatModel(), { cache: true });
    const error = await errorOf(fast.invoke("Hello", { configurable: { perf: { cache: "only" } } }));
    const { PerfError, CacheMissError, OptionError } = await vi.importActual<Copy>("langchain-perf");
    expect([PerfError, CacheMissError, OptionError].map((each) => each.isInstance(error))).toEqual([true, true, false]);
  });

  it("instrument the same class without doing it twice", async () => {
    instrument(FakeEmbeddings);
    other.instrument(FakeEmbeddings);
    const embeddings = new FakeEmbeddings();
    const perf = createPerf({ cache: true });
    for (const _ of [1, 2]) await perf.run(() => embeddings.embedQuery("Hello"));
    expect(perf.stats().kinds.embeddings).toMatchObject({ calls: 2, hits: 1 });
    expect(embeddings.counts.embeddings).toBe(1);
  });
});
