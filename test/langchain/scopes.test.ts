import { Embeddings } from "@langchain/core/embeddings";
import { RunnableLambda } from "@langchain/core/runnables";
import { describe, expect, it, vi } from "vitest";
import { type CallFacts, createPerf, instrument, OptionError, perfOf, withPerf } from "langchain-perf";
import { FakeChatModel } from "../support/fakes/chat-model.ts";
import { FakeEmbeddings } from "../support/fakes/embeddings.ts";
import { createFakeKit } from "../support/fakes/kit.ts";
import { wait } from "../support/fakes/wait.ts";
import { QueuedChatModel } from "./fixtures/queued-model.ts";

const range = (count: number): number[] => Array.from({ length: count }, (_, at) => at);

describe("scopes", () => {
  it("are kept apart when two perfs share a model, by 100 concurrent calls", async () => {
    const model = new FakeChatModel({ delayMs: 2 });
    await using cached = createPerf({ cache: true, coalesce: true, name: "cached" });
    await using traced = createPerf({ trace: true, name: "traced" });
    const seen = { cached: [] as CallFacts[], traced: [] as CallFacts[] };
    cached.on("call", (facts) => void (facts.kind === "chat" && seen.cached.push(facts)));
    traced.on("call", (facts) => void (facts.kind === "chat" && seen.traced.push(facts)));
    const chains = [cached, traced].map((perf) =>
      withPerf(RunnableLambda.from(async (text: string) => (await model.invoke(text)).text).pipe((text) => text), perf),
    );
    const answers = await Promise.all(range(100).map((at) => chains[at % 2]?.invoke(`question ${Math.floor(at / 2) % 10}`)));
    for (const at of range(100)) expect(answers[at]).toContain(`question ${Math.floor(at / 2) % 10}`);
    expect(seen.cached.length).toBe(50);
    expect(seen.traced.length).toBe(50);
    expect(seen.traced.every(({ cache, coalesced }) => cache === undefined && coalesced === undefined)).toBe(true);
    expect(model.counts.chat).toBe(10 + 50);
    expect([cached.stats().kinds.chat?.calls, traced.stats().kinds.chat?.calls]).toEqual([50, 50]);
  });

  it("nest: the inner one wins, and the outer one is back after it", async () => {
    const model = new FakeChatModel();
    await using outer = createPerf({ cache: true, name: "outer" });
    await using inner = createPerf({ cache: true, name: "inner" });
    const calls: string[] = [];
    for (const perf of [outer, inner]) perf.on("call", ({ kind }) => void (kind === "chat" && calls.push(perf.name)));
    const wrapped = withPerf(model, inner);
    const program = RunnableLambda.from(async (text: string) => {
      await model.invoke(`${text} 1`);
      await wrapped.invoke(`${text} 2`);
      await wrapped.pipe((message) => message).invoke(`${text} 3`);
      await inner.run(() => model.invoke(`${text} 4`));
      return (await model.invoke(`${text} 5`)).text;
    });
    await withPerf(program, outer).invoke("Hello");
    expect(calls).toEqual(["outer", "inner", "inner", "inner", "outer"]);
  });

  it("hold for calls that are not awaited, and for those that come later", async () => {
    const kit = createFakeKit();
    const model = kit.chat({ delayMs: 5 });
    await using perf = createPerf({ cache: true });
    const late: Promise<unknown>[] = [];
    const program = RunnableLambda.from((text: string) => {
      late.push(model.invoke(text));
      late.push(wait(10).then(() => model.invoke(`${text}, later`)));
      return text;
    });
    await withPerf(program, perf).invoke("Hello");
    await Promise.all(late);
    expect(perf.stats().kinds.chat?.calls).toBe(2);
    expect(perf.cache.stats().entries).toBe(2);
  });

  it("end with the call: what is outside stays bare", async () => {
    const model = new FakeChatModel();
    await using perf = createPerf();
    await withPerf(model, perf).invoke("Hello");
    await model.invoke("Hello");
    await model.invoke("Hello");
    expect(model.counts.chat).toBe(3);
    expect(perf.stats().kinds.chat?.calls).toBe(1);
  });

  it("survive the queue of a model with maxConcurrency 1, which runs jobs in the first caller's context", async () => {
    const inner = new FakeEmbeddings();
    class EmbeddingModel extends QueuedChatModel {
      override async _generate(...args: Parameters<QueuedChatModel["_generate"]>): ReturnType<QueuedChatModel["_generate"]> {
        return this.caller.call(async () => {
          await inner.embedQuery(String(args[0].at(-1)?.content));
          return FakeChatModel.prototype._generate.apply(this, args);
        });
      }
    }
    instrument(FakeEmbeddings);
    const model = new EmbeddingModel({ maxConcurrency: 1, delayMs: 1 });
    const perfs = [createPerf({ cache: true }), createPerf({ cache: true })];
    const questions = range(6).map((at) => withPerf(RunnableLambda.from((text: string) => model.invoke(text)), perfs[at % 2]).invoke(`question ${at}`));
    await Promise.all(questions);
    for (const perf of perfs) {
      expect(perf.stats().kinds.chat?.calls).toBe(3);
      expect(perf.stats().kinds.embeddings?.calls).toBe(3);
      expect(perf.cache.stats().kinds).toEqual({ chat: 3, embeddings: 3 });
    }
  });

  it("leave maxConcurrency as it is", async () => {
    const model = new QueuedChatModel({ maxConcurrency: 1, delayMs: 2 });
    const answers = await withPerf(model).batch(["one", "two", "three"]);
    expect(answers.map(({ text }) => text.split(" ").at(-1))).toEqual(["one", "two", "three"]);
    expect(model.most).toBe(1);
    const many = new FakeChatModel({ delayMs: 2 });
    expect((await withPerf(many).batch(["one", "two", "three"], { maxConcurrency: 1 })).length).toBe(3);
  });
});

describe("perf.run", () => {
  it("covers every call made inside it", async () => {
    const kit = createFakeKit();
    await using perf = createPerf({ cache: true });
    const ask = (): Promise<string> => perf.run(async () => (await kit.chat().pipe((message) => message.text).invoke("Hello")));
    const model = kit.chat();
    const answers = [await perf.run(() => model.invoke("Hello")), await perf.run(() => model.invoke("Hello"))];
    expect(answers[0]?.text).toBe(answers[1]?.text);
    expect(kit.counts.chat).toBe(1);
    await ask();
    expect(perf.stats().kinds.chat?.calls).toBe(3);
  });

  it("gives back what the function gives, and throws what it throws", async () => {
    await using perf = createPerf();
    expect(perf.run(() => 42)).toBe(42);
    const error = new Error("mine");
    expect(() => perf.run(() => { throw error; })).toThrow(error);
  });

  it("takes wishes", async () => {
    const model = new FakeChatModel();
    await using perf = createPerf({ cache: true });
    for (const _ of [1, 2]) await perf.run(() => model.invoke("Hello"), { cache: "bypass" });
    expect(model.counts.chat).toBe(2);
  });
});

describe("perfOf", () => {
  it("gives the perf behind a wrapped object, to read and to close", async () => {
    const model = new FakeChatModel();
    const fast = withPerf(model, { cache: true, name: "mine" });
    await fast.invoke("Hello");
    const perf = perfOf(fast);
    expect(perf?.name).toBe("mine");
    expect(perf?.cache.stats().entries).toBe(1);
    await perf?.close();
    expect((await fast.invoke("Hello")).text).toContain("Hello");
    expect(model.counts.chat).toBe(2);
    expect(perfOf(model)).toBeUndefined();
  });

  it("that is closed leaves also those calls alone that a running program makes later", async () => {
    const model = new FakeChatModel();
    const perf = createPerf({ cache: true });
    const job = RunnableLambda.from(async (text: string) => {
      await perf.close();
      return [await model.invoke(text), await model.invoke(text)];
    });
    await withPerf(job, perf).invoke("Hello");
    expect(model.counts.chat).toBe(2);
    expect(perf.cache.stats().entries).toBe(0);
  });
});

describe("LANGCHAIN_PERF=off", () => {
  it("turns everything into a pass-through from the next wrapping on, and so does its end", async () => {
    const model = new FakeChatModel();
    await using perf = createPerf({ cache: true });
    const fast = withPerf(model, perf);
    vi.stubEnv("LANGCHAIN_PERF", "off");
    try {
      withPerf(model, perf);
      for (const _ of [1, 2]) await fast.invoke("Hello", { configurable: { perf: { cache: "use" } } });
      await perf.run(() => model.invoke("Hello"));
      expect(model.counts.chat).toBe(3);
      expect(perf.stats().kinds).toEqual({});
    } finally {
      vi.unstubAllEnvs();
    }
    withPerf(model, perf);
    for (const _ of [1, 2]) await fast.invoke("Hello");
    expect(model.counts.chat).toBe(4);
  });
});

describe("instrument", () => {
  // Not derived from the fakes, whose own class other tests make known.
  class HiddenEmbeddings extends Embeddings {
    readonly model = "hidden";
    readonly counts = { embeddings: 0 };

    async embedQuery(text: string): Promise<number[]> {
      this.counts.embeddings += 1;
      return [text.length];
    }

    async embedDocuments(texts: string[]): Promise<number[][]> {
      return Promise.all(texts.map((text) => this.embedQuery(text)));
    }
  }

  it("makes the calls of a class seen that is reached in a closure alone", async () => {
    const hidden = new HiddenEmbeddings({});
    const chain = withPerf(RunnableLambda.from((text: string) => hidden.embedQuery(text)), { cache: true });
    await chain.invoke("Hello");
    await chain.invoke("Hello");
    expect(hidden.counts.embeddings).toBe(2);
    instrument(HiddenEmbeddings);
    await chain.invoke("Hello");
    expect(await chain.invoke("Hello")).toEqual([5]);
    expect(hidden.counts.embeddings).toBe(3);
    await hidden.embedQuery("Hello");
    expect(hidden.counts.embeddings).toBe(4);
  });

  it("refuses what is no class of LangChain's", () => {
    for (const wrong of [class Other {}, 42, undefined, {}]) expect(() => instrument(wrong as never)).toThrow(OptionError);
  });
});
