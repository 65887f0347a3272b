import { RunnableLambda } from "@langchain/core/runnables";
import { MessagesAnnotation, START, StateGraph } from "@langchain/langgraph";
import { createAgent } from "langchain";
import { describe, expect, it, vi } from "vitest";
import { createPerf, type Perf, PerfError, withPerf } from "langchain-perf";
import { FakeChatModel } from "../support/fakes/chat-model.ts";
import { StallingChatModel } from "./fixtures/stalling-model.ts";
import { allOf, errorOf } from "./fixtures/ways.ts";

const question = { messages: [{ role: "user", content: "Hello" }] };

/** Programs around a model that falls silent, and how each is streamed. */
const PROGRAMS: [name: string, open: (model: StallingChatModel, perf: Perf) => Promise<ReadableStream>][] = [
  ["a model", (model, perf) => withPerf(model, perf).stream("Hello")],
  ["a chain", (model, perf) => withPerf(RunnableLambda.from((text: string) => text).pipe(model), perf).stream("Hello")],
  ["a lambda that streams a model", (model, perf) => withPerf(RunnableLambda.from(async function* (text: string) { yield* await model.stream(text); }), perf).stream("Hello")],
  ["a lambda that invokes a model", (model, perf) => withPerf(RunnableLambda.from(async function* (text: string) { yield text; yield await model.invoke(text); }), perf).stream("Hello")],
  ["a graph", (model, perf) => withPerf(graphOf(model), perf).stream(question, { streamMode: "messages" })],
  ["updates of a graph", (model, perf) => withPerf(graphOf(model), perf).stream(question, { streamMode: ["values"] })],
  ["an agent", (model, perf) => withPerf(createAgent({ model, tools: [] }), perf).stream(question, { streamMode: "messages" })],
  ["events of a model", async (model, perf) => withPerf(model, perf).streamEvents("Hello", { version: "v2" })],
  ["events of a chain", async (model, perf) => withPerf(RunnableLambda.from((text: string) => text).pipe(model), perf).streamEvents("Hello", { version: "v2" })],
  ["events of a graph", async (model, perf) => withPerf(graphOf(model), perf).streamEvents(question, { version: "v2" })],
];

function graphOf(model: FakeChatModel) {
  return new StateGraph(MessagesAnnotation).addNode("ask", async ({ messages }) => ({ messages: await model.invoke(messages) })).addEdge(START, "ask").compile();
}

/** Layers that hold something while a call is open. */
const LAYERS: [name: string, make: () => Perf][] = [
  ["all layers", () => createPerf({ cache: true, coalesce: true, trace: true })],
  ["the cache alone", () => createPerf({ cache: true })],
  ["no layer", () => createPerf({})],
];

/** Events of LangChain's own end, when they are cancelled, with the abort that ended their program: wrapped or bare. */
async function cancel(reader: ReadableStreamDefaultReader): Promise<void> {
  await reader.cancel().catch((error: Error) => expect(error.name).toBe("AbortError"));
}

async function released(model: StallingChatModel, calls: CallFactsOf): Promise<void> {
  await vi.waitUntil(() => model.ended === 1 && calls.ended === 1, { interval: 1, timeout: 2_000 });
  expect(model.opened).toBe(1);
}

interface CallFactsOf {
  ended: number;
}

function watch(perf: Perf): CallFactsOf {
  const calls = { ended: 0 };
  perf.on("call", ({ kind }) => {
    if (kind === "chat") calls.ended += 1;
  });
  return calls;
}

describe.each(LAYERS)("a stalled stream under %s", (_layers, makePerf) => {
  describe.each(PROGRAMS)("of %s", (_name, open) => {
    it("is over at once when its reader cancels while it waits", async () => {
      const model = new StallingChatModel();
      await using perf = makePerf();
      const calls = watch(perf);
      const reader = (await open(model, perf)).getReader();
      const read = (async () => {
        while (!(await reader.read()).done);
      })();
      await vi.waitUntil(() => model.silent === 1, { interval: 1 });
      await cancel(reader);
      await released(model, calls);
      await read;
    });

    it("is over at once when its reader cancels between two parts", async () => {
      const model = new StallingChatModel({ chunks: 1 });
      await using perf = makePerf();
      const calls = watch(perf);
      const reader = (await open(model, perf)).getReader();
      await reader.read();
      await vi.waitUntil(() => model.opened === 1, { interval: 1 });
      await cancel(reader);
      await released(model, calls);
    });
  });

  it.each(PROGRAMS)("of %s ends by an early break", async (_name, open) => {
    const model = new StallingChatModel();
    await using perf = makePerf();
    const calls = watch(perf);
    const read = async (): Promise<void> => {
      for await (const _ of (await open(model, perf)) as unknown as AsyncIterable<unknown>) {
        await vi.waitUntil(() => model.opened === 1, { interval: 1 });
        break;
      }
    };
    await read().catch((error: Error) => expect(error.name).toBe("AbortError"));
    await released(model, calls);
  });

  it("of a deaf model lets its reader go all the same", async () => {
    const model = new StallingChatModel({ deaf: true });
    await using perf = makePerf();
    const calls = watch(perf);
    const reader = (await withPerf(model, perf).stream("Hello")).getReader();
    const read = (async () => {
      while (!(await reader.read()).done);
    })();
    await vi.waitUntil(() => model.silent === 1, { interval: 1 });
    await reader.cancel();
    await read;
    await vi.waitUntil(() => calls.ended === 1, { interval: 1 });
    await vi.waitUntil(() => model.reasons.length === 1, { interval: 1 });
  });
});

describe("a stream", () => {
  it("that is left early is not kept, and the next reader gets it whole", async () => {
    const model = new FakeChatModel({ chunkDelayMs: 1 });
    await using perf = createPerf();
    const fast = withPerf(model, perf);
    for await (const _ of await fast.stream("Hello there")) break;
    await vi.waitUntil(() => perf.stats().kinds.chat?.calls === 1, { interval: 1 });
    expect(perf.cache.stats().entries).toBe(0);
    const text = (await allOf(fast.stream("Hello there"))).map((chunk) => chunk.text).join("");
    expect(text).toContain("Hello there");
    expect(perf.cache.stats().entries).toBe(1);
  });

  it("that one of two leaves goes on for the other", async () => {
    const model = new FakeChatModel({ chunkDelayMs: 2 });
    const fast = withPerf(model, { coalesce: true });
    const [first, second] = [await fast.stream("Hello there"), await fast.stream("Hello there")];
    const whole = allOf(second);
    for await (const _ of first) break;
    expect((await whole).map((chunk) => chunk.text).join("")).toContain("Hello there");
    expect(model.counts.chat).toBe(1);
  });

  it("that is dropped without being closed is ended by the idle deadline", async () => {
    const model = new StallingChatModel({ chunks: 50 });
    await using perf = createPerf({ coalesce: true, timeouts: { idleConsumerMs: 30 } });
    const errors: unknown[] = [];
    perf.on("call", ({ error }) => errors.push(error));
    const reader = (await withPerf(model, perf).stream("Hello")).getReader();
    await reader.read();
    await vi.waitUntil(() => model.ended === 1, { interval: 5 });
    expect(errors).toMatchObject([{ code: "PERF_DEADLINE" }]);
    const error = await errorOf((async () => {
      while (!(await reader.read()).done);
    })());
    expect(PerfError.isInstance(error)).toBe(true);
    expect(error).toMatchObject({ code: "PERF_DEADLINE", message: expect.stringContaining("idleConsumerMs") });
  });

  it("that is read slowly, but read, is not ended", async () => {
    const model = new FakeChatModel({ chunkDelayMs: 1 });
    await using perf = createPerf({ timeouts: { idleConsumerMs: 200 } });
    const seen: string[] = [];
    for await (const { text } of await withPerf(model, perf).stream("one two three four five six")) {
      seen.push(text);
      await new Promise((resolve) => setTimeout(resolve, 40));
    }
    expect(seen.join("")).toContain("six");
  });
});
