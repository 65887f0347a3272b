import { HumanMessage } from "@langchain/core/messages";
import { RunnableLambda } from "@langchain/core/runnables";
import { ChatOpenAI, OpenAIEmbeddings } from "@langchain/openai";
import { createPerf, DeadlineError, QueueFullError, withPerf, type Limiter, type Permit, type RequestOutcome } from "langchain-perf";
import { createSimulator } from "langchain-perf/testing";
import { describe, expect, it, vi } from "vitest";
import { errorOf } from "../../langchain/fixtures/ways.ts";
import { countingChat } from "../support/counting-model.ts";
import { Gate } from "../support/gate.ts";
import { listening } from "../support/listening.ts";
import { ScriptedChat, textChunks, textResult } from "../support/scripted-chat.ts";

const questions = Array.from({ length: 20 }, (_, at) => `question ${at}`);

/** A model that answers "held" only when the gate opens, and all else at once. */
function gatedChat(gate: Gate): ScriptedChat {
  return new ScriptedChat({
    async whole({ messages }) {
      if (messages[0]?.text === "held") await gate.promise;
      return textResult("answer");
    },
  });
}

describe("maxConcurrent", () => {
  it("holds for batch(), which nobody told of it", async () => {
    const { model, load } = countingChat();
    const answers = await withPerf(model, { rateLimit: { maxConcurrent: 3 } }).batch(questions);
    expect([answers.length, load.peak]).toEqual([20, 3]);
  });

  it("holds for calls and streams together, wherever in a program they are made", async () => {
    const { model, load } = countingChat();
    const inner = RunnableLambda.from(async (question: string) => {
      let text = "";
      for await (const part of await model.stream(question)) text += part.text;
      return text;
    });
    const perf = createPerf({ rateLimit: { maxConcurrent: 2 } });
    const calls = questions.map((question, at) => (at % 2 ? withPerf(inner, perf).invoke(question) : withPerf(model, perf).invoke(question).then(({ text }) => text)));
    expect((await Promise.all(calls))[1]).toBe("one two three");
    expect([load.peak, perf.stats().limits?.[0]]).toEqual([2, expect.objectContaining({ active: 0, queued: 0 })]);
  });

  it("covers a stream to its end, and to nobody's reading it any more", async () => {
    const gate = new Gate();
    const model = new ScriptedChat({
      async *stream() {
        const [first, ...rest] = textChunks(["one ", "two"]);
        yield first!;
        await gate.promise;
        yield* rest;
      },
    });
    const perf = createPerf({ rateLimit: { maxConcurrent: 1 } });
    const fast = withPerf(model, perf);
    const stream = await fast.stream("read");
    await stream.next();
    const waiting = fast.invoke("next");
    await vi.waitUntil(() => perf.stats().limits?.[0]?.queued === 1, { interval: 1 });
    // Its model is stuck and hears nothing.
    await stream.return();
    expect((await waiting).text).toBe("answer 2");
    gate.open();
  });

  it("is given back by a call that fails, and by one whose caller leaves", async () => {
    const gate = new Gate();
    const model = new ScriptedChat({
      whole: ({ messages }) => {
        if (messages[0]?.text === "stuck") return gate.promise.then(() => textResult("late"));
        if (messages[0]?.text === "fails") throw new Error("broken");
        return textResult("answer");
      },
    });
    const fast = withPerf(model, { rateLimit: { maxConcurrent: 1 } });
    const abort = new AbortController();
    const stuck = fast.invoke("stuck", { signal: abort.signal }).catch((error: unknown) => error);
    const failing = errorOf(fast.invoke("fails"));
    const fine = fast.invoke("fine");
    await vi.waitUntil(() => model.seen.length === 1, { interval: 1 });
    abort.abort(new Error("enough"));
    expect(await failing).toMatchObject({ message: "broken" });
    expect((await fine).text).toBe("answer");
    // A model that is deaf to its signal keeps its own caller waiting, but nobody else.
    gate.open();
    expect((await stuck) as object).toBeDefined();
  });

  it("does not deadlock where a model asks another of itself", async () => {
    const inside = new ScriptedChat();
    const outside = new ScriptedChat({
      model: "outside",
      whole: async () => textResult((await RunnableLambda.from(() => inside.invoke("inside")).invoke({})).text),
    });
    const fast = withPerf(outside, { rateLimit: { maxConcurrent: 1 } });
    expect((await fast.invoke("outside")).text).toBe("answer 1");
    expect(inside.seen.length).toBe(1);
  });

  it("does not deadlock where the model inside is asked what somebody else waits to ask it", async () => {
    const gate = new Gate();
    const inside = new ScriptedChat();
    const perf = createPerf({ coalesce: true, rateLimit: { maxConcurrent: 1 } });
    const outside = new ScriptedChat({
      model: "outside",
      whole: async () => (await gate.promise, textResult((await RunnableLambda.from(() => inside.invoke("shared")).invoke({})).text)),
    });
    const around = withPerf(outside, perf).invoke("outside");
    await vi.waitUntil(() => outside.seen.length === 1, { interval: 1 });
    const waiting = withPerf(inside, perf).invoke("shared");
    await vi.waitUntil(() => perf.stats().limits?.[0]?.queued === 1, { interval: 1 });
    gate.open();
    expect([(await around).text, (await waiting).text]).toEqual(["answer 1", "answer 2"]);
  });

  it("holds for the requests of one embedDocuments call, which LangChain's classes make at once", async () => {
    await using simulator = await createSimulator({ latency: { meanMs: 5, sdMs: 0 } });
    const embeddings = new OpenAIEmbeddings({ model: "text-embedding-3-small", apiKey: "simulated", batchSize: 2, configuration: { baseURL: simulator.baseURL } });
    const texts = ["a", "b", "c", "d", "e", "f", "g"];
    let peak = 0;
    const perf = createPerf({ rateLimit: { maxConcurrent: 1, requestsPerMinute: 6_000 } });
    const counting = setInterval(() => (peak = Math.max(peak, simulator.load.active)), 1);
    const vectors = await withPerf(embeddings, perf).embedDocuments(texts);
    clearInterval(counting);
    expect(vectors).toEqual(await embeddings.embedDocuments(texts));
    expect([peak, simulator.count()]).toEqual([1, 8]);
  });

  it("keeps nobody who leaves, though a limiter of the user's own is deaf, and whose permit comes too late goes back", async () => {
    const answer = new Gate<Permit>();
    const outcomes: (RequestOutcome | undefined)[] = [];
    const acquire = vi.fn(() => answer.promise);
    const limiter: Limiter = { name: "deaf", acquire, status: () => ({ name: "deaf", queued: 0, active: 0 }) };
    const perf = createPerf({ rateLimit: limiter });
    const abort = new AbortController();
    const left = errorOf(withPerf(new ScriptedChat(), perf).invoke("x", { signal: abort.signal }));
    await vi.waitUntil(() => acquire.mock.calls.length === 1, { interval: 1 });
    abort.abort(new Error("enough"));
    expect(await left).toMatchObject({ message: "enough" });
    expect(perf.stats().limits?.[1]).toMatchObject({ active: 0 });
    answer.open({ waitMs: 0, release: (outcome) => void outcomes.push(outcome) });
    await vi.waitUntil(() => outcomes.length > 0, { interval: 1 });
    expect(outcomes).toEqual([{ end: "left", tokens: 0, costUsd: 0 }]);
  });

  it("is not asked for by hits and followers", async () => {
    const gate = new Gate();
    const model = gatedChat(gate);
    const perf = createPerf({ cache: true, coalesce: true, rateLimit: { maxConcurrent: 1, maxQueue: 0 } });
    const fast = withPerf(model, perf);
    await fast.invoke("known");
    const held = Promise.all([fast.invoke("held"), fast.invoke("held")]);
    await vi.waitUntil(() => model.seen.length === 2, { interval: 1 });
    expect((await fast.invoke("known")).text).toBe("answer");
    expect(await errorOf(fast.invoke("unknown"))).toBeInstanceOf(QueueFullError);
    gate.open();
    await held;
  });
});

describe("a call's wishes", () => {
  it("decide who is served first, and who is refused because it would be too late", async () => {
    const gate = new Gate();
    const model = gatedChat(gate);
    const { perf, facts } = listening({ rateLimit: { maxConcurrent: 1, requestsPerMinute: 6_000 } });
    const fast = withPerf(model, perf);
    const held = fast.invoke("held");
    await vi.waitUntil(() => model.seen.length === 1, { interval: 1 });
    const asked = (text: string, wishes: object): Promise<unknown> => fast.invoke([new HumanMessage(text)], { configurable: { perf: wishes } });
    const late = errorOf(asked("late", { deadlineMs: 20 }));
    const calls = [asked("background", { priority: 9 }), asked("plain", {}), asked("urgent", { priority: 0 })];
    expect(await late).toBeInstanceOf(DeadlineError);
    gate.open();
    await Promise.all([held, ...calls]);
    expect(model.seen.map(({ messages }) => messages[0]?.text)).toEqual(["held", "urgent", "plain", "background"]);
    expect(facts.find(({ error }) => error)).toMatchObject({ error: { code: "PERF_DEADLINE" } });
    expect(facts.filter(({ error }) => !error).every(({ waitMs }) => typeof waitMs === "number")).toBe(true);
  });

  it("do not bind those who share its answer and have more time", async () => {
    const gate = new Gate();
    const model = gatedChat(gate);
    const fast = withPerf(model, { coalesce: true, cache: true, rateLimit: { maxConcurrent: 1 } });
    const held = fast.invoke("held");
    await vi.waitUntil(() => model.seen.length === 1, { interval: 1 });
    const hurried = errorOf(fast.invoke("shared", { configurable: { perf: { deadlineMs: 20 } } }));
    const patient = fast.invoke("shared");
    expect(await hurried).toBeInstanceOf(DeadlineError);
    gate.open();
    expect((await patient).text).toBe("answer");
    await held;
  });

  it("and the fallback that a call has, do not bind those who share its answer and have none", async () => {
    await using simulator = await createSimulator({ faults: ["status=429,retry-after-ms=200,times=1"] });
    const model = new ChatOpenAI({ model: "gpt-4o-mini", apiKey: "simulated", maxRetries: 0, configuration: { baseURL: simulator.baseURL } });
    const perf = createPerf({ coalesce: true, rateLimit: {} });
    const fallback = new ScriptedChat();
    await errorOf(withPerf(model, perf).invoke("refused"));
    const [first, second, third] = await Promise.all([
      withPerf(model.withFallbacks([fallback]), perf).invoke("shared"),
      withPerf(model, perf).invoke("shared"),
      withPerf(model.withFallbacks([fallback]), perf).invoke("shared"),
    ]);
    expect([first.text, third.text, second.text.startsWith("answer"), fallback.seen.length]).toEqual(["answer 1", "answer 1", false, 1]);
  });

  it("are refused where they make no sense", async () => {
    const fast = withPerf(new ScriptedChat(), { rateLimit: {} });
    for (const wishes of [{ priority: 10 }, { priority: 1.5 }, { deadlineMs: NaN }]) {
      expect(await errorOf(fast.invoke("x", { configurable: { perf: wishes } }))).toMatchObject({ code: "PERF_OPTION" });
    }
  });

  it("are refused as late where their deadline has passed", async () => {
    const model = new ScriptedChat();
    const error = await errorOf(withPerf(model, { rateLimit: {} }).invoke("x", { configurable: { perf: { deadlineMs: -5 } } }));
    expect(error).toMatchObject({ code: "PERF_DEADLINE", message: expect.stringMatching(/^The deadline had passed \d+ ms before the permit was asked for\.$/) });
    expect(model.seen.length).toBe(0);
  });
});
