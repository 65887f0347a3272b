import { RunnableLambda } from "@langchain/core/runnables";
import { createAgent } from "langchain";
import { describe, expect, it } from "vitest";
import { createPerf, OptionError, type PerfOptions, withPerf } from "langchain-perf";
import { perfMiddleware } from "langchain-perf/agent";
import { FakeChatModel } from "../support/fakes/chat-model.ts";
import { allOf, errorOf } from "./fixtures/ways.ts";

/** Options, the path that the error must name, and what it must say. */
const WRONG: [options: unknown, option: string, says: RegExp][] = [
  [{ cach: true }, "cach", /known options.*cache/],
  [{ cache: { ttl: 5 } }, "cache.ttl", /known options.*ttlMs/],
  [{ cache: { memory: { maxbytes: 5 } } }, "cache.memory.maxbytes", /maxBytes/],
  [{ cache: { kinds: { chats: true } } }, "cache.kinds.chats", /chat/],
  [{ cache: "yes" }, "cache", /true, false or an object.*"yes"/],
  [{ cache: 1 }, "cache", /got 1/],
  [{ cache: null }, "cache", /got null/],
  [{ cache: [] }, "cache", /an array of 0/],
  [{ cache: { ttlMs: "60" } }, "cache.ttlMs", /a number.*"60"/],
  [{ cache: { ttlMs: -1 } }, "cache.ttlMs", /at least 0.*-1/],
  [{ cache: { ttlMs: Number.NaN } }, "cache.ttlMs", /NaN/],
  [{ cache: { memory: { maxBytes: 0 } } }, "cache.memory.maxBytes", /at least 1.*got 0/],
  [{ cache: { memory: { maxEntries: 1.5 } } }, "cache.memory.maxEntries", /whole number.*1.5/],
  [{ cache: { namespace: "" } }, "cache.namespace", /not empty/],
  [{ cache: { tenant: "acme" } }, "cache.tenant", /a function.*"acme"/],
  [{ cache: { when: true } }, "cache.when", /a function/],
  [{ cache: { kinds: { tool: [1] } } }, "cache.kinds.tool", /strings/],
  [{ cache: { kinds: { tool: true } } }, "cache.kinds.tool", /false or an object/],
  [{ cache: { kinds: { chat: { ttlMs: "x" } } } }, "cache.kinds.chat.ttlMs", /a number/],
  [{ coalesce: "yes" }, "coalesce", /"yes"/],
  [{ trace: { captureContent: 1 } }, "trace.captureContent", /true or false/],
  [{ trace: { tracer: {} } }, "trace.tracer", /startSpan/],
  [{ timeouts: { idleConsumerMs: 0 } }, "timeouts.idleConsumerMs", /at least 1/],
  [{ name: 7 }, "name", /a string/],
  [{ pricing: { "gpt-5": { input: 1 } } }, "pricing.gpt-5.output", /USD/],
  [{ pricing: [] }, "pricing", /an object of prices/],
  [42, "options", /an object of options.*42/],
  ["cache", "options", /"cache"/],
  [null, "options", /null/],
];

function thrownBy(work: () => unknown): unknown {
  try {
    work();
  } catch (error) {
    return error;
  }
  throw new Error("expected an exception");
}

describe("a wrong option", () => {
  it.each(WRONG)("%j is refused at construction", (options, option, says) => {
    for (const construct of [() => createPerf(options as PerfOptions), () => withPerf(new FakeChatModel(), options as PerfOptions)]) {
      const error = thrownBy(construct) as OptionError;
      expect(error).toBeInstanceOf(OptionError);
      expect(error).toMatchObject({ code: "PERF_OPTION", option, retryable: false, name: "OptionError" });
      expect(error.message).toMatch(says);
      expect(error.message).toContain(`"${option}"`);
    }
  });

  it("is not one when it is undefined", () => {
    expect(createPerf({ cache: undefined, coalesce: undefined, name: undefined, timeouts: undefined } as PerfOptions).name).toBe("perf");
  });
});

describe("a target that is nothing of LangChain's", () => {
  it.each([42, "chain", null, undefined, true, {}, [], () => 1, new Date(), class {}, { invoke: 1 }, { invoke() {} }])("%j is refused", (target) => {
    const error = thrownBy(() => withPerf(target as object)) as OptionError;
    expect(error).toBeInstanceOf(OptionError);
    expect(error.message).toMatch(/withPerf.*Runnable, agent, graph, model, embeddings, retriever, vector store or tool/);
  });

  it("perfMiddleware wants a perf", () => {
    for (const wrong of [undefined, 42, {}]) expect(thrownBy(() => perfMiddleware(wrong as never))).toBeInstanceOf(OptionError);
  });
});

/** Wishes, the path that the error must name, and what it must say. */
const WISHES: [perf: unknown, option: string, says: RegExp][] = [
  [{ cache: "maybe" }, "configurable.perf.cache", /"use", "refresh", "bypass", "only".*"maybe"/],
  [{ chache: "use" }, "configurable.perf.chache", /known options/],
  [{ ttlMs: -5 }, "configurable.perf.ttlMs", /at least 0/],
  [{ tags: "docs" }, "configurable.perf.tags", /array of strings/],
  [{ tenant: "" }, "configurable.perf.tenant", /not empty/],
  [{ tenant: 5 }, "configurable.perf.tenant", /string/],
  ["bypass", "configurable.perf", /an object of options.*"bypass"/],
  [null, "configurable.perf", /an object of options.*null/],
  [7, "configurable.perf", /an object of options.*7/],
];

describe("nonsense in configurable.perf", () => {
  it.each(WISHES)("%j is a rejected promise that names it", async (perf, option, says) => {
    const model = withPerf(new FakeChatModel());
    const chain = withPerf(RunnableLambda.from((text: string) => text));
    const agent = withPerf(createAgent({ model: new FakeChatModel(), tools: [] }));
    const config = { configurable: { perf } };
    const works = [
      () => model.invoke("Hello", config),
      () => model.batch(["Hello"], config),
      () => model.batch(["Hello", "Hello"], [{}, config]),
      () => model.stream("Hello", config),
      () => chain.invoke("Hello", config),
      () => agent.invoke({ messages: ["Hello"] }, config),
      () => agent.stream({ messages: ["Hello"] }, config),
    ];
    for (const work of works) {
      const promise: unknown = work();
      expect(promise).toBeInstanceOf(Promise);
      const error = (await errorOf(promise as Promise<unknown>)) as OptionError;
      expect(error).toBeInstanceOf(OptionError);
      expect(error.option).toBe(option);
      expect(error.message).toMatch(says);
    }
    expect(model.counts.chat).toBe(0);
  });

  it("ends a stream of events or of the log", async () => {
    const config = { version: "v2" as const, configurable: { perf: 7 } };
    const events = async () => allOf(withPerf(new FakeChatModel()).streamEvents("Hello", config));
    expect(await errorOf(events())).toBeInstanceOf(OptionError);
    const log = async () => allOf(withPerf(RunnableLambda.from((text: string) => text)).streamLog("Hello", { configurable: { perf: 7 } }));
    expect(await errorOf(log())).toBeInstanceOf(OptionError);
  });

  it("rejects where the call below is not wrapped itself", async () => {
    const model = new FakeChatModel();
    const inner = RunnableLambda.from((text: string) => text);
    const config = { configurable: { perf: 7 } };
    for (const call of [() => model.invoke("Hello", config), () => inner.invoke("Hello", config), () => model.stream("Hello", config).then(allOf)]) {
      let sync = true;
      const chain = withPerf(RunnableLambda.from(async () => {
        const promise = call();
        sync = false;
        return promise;
      }));
      expect(await errorOf(chain.invoke("Hello"))).toBeInstanceOf(OptionError);
      expect(sync, "thrown, not rejected").toBe(false);
    }
  });
});
