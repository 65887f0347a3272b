import { RunnableLambda } from "@langchain/core/runnables";
import { OpenAIEmbeddings } from "@langchain/openai";
import { createPerf, DeadlineError, withPerf } from "langchain-perf";
import { createSimulator } from "langchain-perf/testing";
import { describe, expect, it, vi } from "vitest";
import { errorOf } from "../../langchain/fixtures/ways.ts";
import { Gate } from "../support/gate.ts";
import { ScriptedChat, textResult } from "../support/scripted-chat.ts";

describe("texts that share a request which waits for its permit", () => {
  it("are each refused at their own deadline, and the others go on", async () => {
    await using simulator = await createSimulator();
    const gate = new Gate();
    const perf = createPerf({ batch: true, rateLimit: { maxConcurrent: 1 } });
    const held = withPerf(new ScriptedChat({ whole: async () => (await gate.promise, textResult("answer")) }), perf).invoke("held");
    await vi.waitUntil(() => perf.stats().limits?.[0]?.active === 1, { interval: 1 });
    const embeddings = new OpenAIEmbeddings({ model: "text-embedding-3-small", apiKey: "simulated", configuration: { baseURL: simulator.baseURL } });
    const bound = withPerf(embeddings, perf);
    const hurried = errorOf(perf.run(() => bound.embedQuery("hurried"), { deadlineMs: 30 }));
    const patient = perf.run(() => bound.embedQuery("patient"), { deadlineMs: 20_000 });
    expect(await hurried).toBeInstanceOf(DeadlineError);
    gate.open();
    expect((await patient).length).toBeGreaterThan(0);
    await held;
    expect(simulator.count()).toBe(1);
  });

  it("do not share it with a call that has a fallback, and will not wait for a provider that has refused", async () => {
    await using simulator = await createSimulator({ faults: ["status=429,retry-after-ms=200,times=1"] });
    const perf = createPerf({ batch: true, rateLimit: {} });
    const embeddings = new OpenAIEmbeddings({ model: "text-embedding-3-small", apiKey: "simulated", maxRetries: 0, configuration: { baseURL: simulator.baseURL } });
    const bound = withPerf(embeddings, perf);
    await errorOf(bound.embedQuery("refused"));
    const withFallback = RunnableLambda.from((text: string) => embeddings.embedQuery(text)).withFallbacks([RunnableLambda.from(() => [0])]);
    const [instead, vector] = await Promise.all([withPerf(withFallback, perf).invoke("a"), bound.embedQuery("b")]);
    expect([instead, vector.length > 1]).toEqual([[0], true]);
  });
});
