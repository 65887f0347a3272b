import { createPerf, DeadlineError, QueueFullError, withPerf } from "langchain-perf";
import { describe, expect, it, vi } from "vitest";
import { errorOf } from "../../langchain/fixtures/ways.ts";
import { countingChat } from "../support/counting-model.ts";
import { Gate } from "../support/gate.ts";
import { ScriptedChat, textChunks, textResult } from "../support/scripted-chat.ts";

describe("perf.handler with a rateLimit, where nothing is wrapped", () => {
  it("delays the starts of calls and streams", async () => {
    const { model, load } = countingChat();
    const perf = createPerf({ rateLimit: { maxConcurrent: 2 } });
    const callbacks = [perf.handler];
    const read = async (question: string): Promise<string> => {
      let text = "";
      for await (const part of await model.stream(question, { callbacks })) text += part.text;
      return text;
    };
    const answers = await Promise.all(Array.from({ length: 10 }, (_, at) => (at % 2 ? read(`${at}`) : model.invoke(`${at}`, { callbacks }).then(({ text }) => text))));
    expect([load.peak, answers[1], answers[0]]).toEqual([2, "one two three", expect.stringContaining("answer")]);
    expect(perf.stats().limits?.[0]).toMatchObject({ active: 0, queued: 0 });
  });

  it("refuses starts that the limits cannot take, and the model is not asked", async () => {
    const gate = new Gate();
    const model = new ScriptedChat({ whole: async () => (await gate.promise, textResult("answer")) });
    const perf = createPerf({ rateLimit: { maxConcurrent: 1, maxQueue: 1, maxWaitMs: 30 } });
    const callbacks = [perf.handler];
    const held = model.invoke("held", { callbacks });
    await vi.waitUntil(() => model.seen.length === 1, { interval: 1 });
    const waiting = errorOf(model.invoke("waits too long", { callbacks }));
    await vi.waitUntil(() => perf.stats().limits?.[0]?.queued === 1, { interval: 1 });
    expect(await errorOf(model.invoke("one too many", { callbacks }))).toBeInstanceOf(QueueFullError);
    expect(await waiting).toBeInstanceOf(DeadlineError);
    gate.open();
    await held;
    expect(model.seen.length).toBe(1);
  });

  it("gives the place back when a call fails", async () => {
    const model = new ScriptedChat({ whole: () => { throw new Error("broken"); } });
    const perf = createPerf({ rateLimit: { maxConcurrent: 1 } });
    for (const question of ["a", "b"]) expect(await errorOf(model.invoke(question, { callbacks: [perf.handler] }))).toMatchObject({ message: "broken" });
    expect(perf.stats().limits?.[0]?.active).toBe(0);
  });

  it("gives the place of a stream that its reader dropped to the next call, once it has been silent for idleConsumerMs", async () => {
    const model = new ScriptedChat({ stream: () => textChunks(["one ", "two ", "three"]) });
    const perf = createPerf({ rateLimit: { maxConcurrent: 1 }, timeouts: { idleConsumerMs: 20 } });
    for await (const _ of await model.stream("dropped", { callbacks: [perf.handler] })) break;
    expect((await model.invoke("next", { callbacks: [perf.handler] })).text).toBe("answer 2");
  });

  it("holds nobody back once its perf is closed, or everything is switched off", async () => {
    const gate = new Gate();
    const model = new ScriptedChat({ whole: ({ messages }) => (messages[0]?.text === "held" ? gate.promise : Promise.resolve()).then(() => textResult("answer")) });
    const perf = createPerf({ rateLimit: { maxConcurrent: 1, maxQueue: 0 } });
    const callbacks = [perf.handler];
    const held = model.invoke("held", { callbacks });
    await vi.waitUntil(() => model.seen.length === 1, { interval: 1 });
    vi.stubEnv("LANGCHAIN_PERF", "off");
    expect((await model.invoke("off", { callbacks })).text).toBe("answer");
    vi.unstubAllEnvs();
    expect(await errorOf(model.invoke("on", { callbacks }))).toBeInstanceOf(QueueFullError);
    await perf.close();
    expect((await model.invoke("closed", { callbacks })).text).toBe("answer");
    gate.open();
    await held;
    expect(perf.stats().limits?.[0]?.active).toBe(0);
  });

  it("takes no second permit where the same perf wraps the program", async () => {
    const { model, load } = countingChat();
    const perf = createPerf({ rateLimit: { maxConcurrent: 1 } });
    const answers = await withPerf(model, perf).batch(["a", "b", "c"], { callbacks: [perf.handler] });
    expect([answers.length, load.peak]).toEqual([3, 1]);
  });
});
