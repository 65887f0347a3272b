import { HumanMessage } from "@langchain/core/messages";
import { JsonOutputParser } from "@langchain/core/output_parsers";
import { RunnableLambda } from "@langchain/core/runnables";
import { tool } from "@langchain/core/tools";
import { ChatOpenAI } from "@langchain/openai";
import { createPerf, withPerf } from "langchain-perf";
import { createSimulator } from "langchain-perf/testing";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { Gate } from "../layers/support/gate.ts";
import { ScriptedChat, textResult } from "../layers/support/scripted-chat.ts";
import { FakeChatModel } from "../support/fakes/chat-model.ts";

const wish = (perf: object) => ({ configurable: { perf } });

describe("edges of interception", () => {
  it("tools of one class are not one tool, for a model that shows no parameters", async () => {
    const named = (name: string) => tool(() => "", { name, description: name, schema: z.object({}) });
    const model = new ScriptedChat();
    const fast = withPerf(model, createPerf());
    for (const name of ["one", "two", "one"]) await fast.withConfig({ tools: [named(name)] } as never).invoke("q");
    expect(model.seen.length).toBeGreaterThanOrEqual(2);
  });

  it("a perf.run inside a call keeps that call's tenant", async () => {
    const model = new FakeChatModel();
    const perf = createPerf();
    const job = withPerf(RunnableLambda.from(() => perf.run(() => model.invoke("q"))), perf);
    for (const tenant of ["acme", "other"]) await job.invoke("x", wish({ tenant }));
    expect(model.counts.chat).toBe(2);
  });

  it("a parser's plain error makes the answer forgotten, the model's own does not", async () => {
    const model = new ScriptedChat({ whole: (_call, nth) => textResult(nth === 1 ? "not json" : '{"a":1}') });
    const chain = withPerf(model.pipe(new JsonOutputParser()), createPerf());
    await expect(chain.invoke("q")).rejects.toThrow();
    expect(await chain.invoke("q")).toEqual({ a: 1 });
  });

  it("an inner perf keeps its calls when the outer one is listened to", async () => {
    const model = new FakeChatModel();
    const [outer, inner] = [createPerf(), createPerf()];
    outer.on("call", () => {});
    const wrapped = withPerf(model, inner);
    await withPerf(RunnableLambda.from((text: string, config) => wrapped.invoke(text, config)), outer).invoke("q");
    expect(inner.stats().kinds.chat?.calls).toBe(1);
    expect(outer.stats().kinds.chat).toBeUndefined();
  });

  it("who asks twice at once gets two parts", async () => {
    const parts = withPerf(new FakeChatModel(), createPerf())._streamResponseChunks([new HumanMessage("hello there")], {} as never);
    const [one, two] = await Promise.all([parts.next(), parts.next()]);
    expect([one.done, two.done]).toEqual([false, false]);
    expect(one.value).not.toBe(two.value);
    await parts.return(undefined);
  });

  it("another instance's short patience is not this one's failure", async () => {
    await using provider = await createSimulator({ latency: { ttftMs: 150, interTokenMs: 0 } });
    const perf = createPerf();
    const ask = (timeout: number) => withPerf(new ChatOpenAI({ model: "gpt-4o-mini", apiKey: "k", timeout, maxRetries: 0, configuration: { baseURL: provider.baseURL } }), perf).invoke("q");
    const [hasty, patient] = await Promise.allSettled([ask(40), ask(5_000)]);
    expect([hasty.status, patient.status]).toEqual(["rejected", "fulfilled"]);
  });

  it("a rejection that nobody handles is still nobody's", async () => {
    const seen: unknown[] = [];
    const listen = (error: unknown): void => void seen.push(error);
    const others = process.listeners("unhandledRejection");
    process.removeAllListeners("unhandledRejection").on("unhandledRejection", listen);
    try {
      void withPerf(new FakeChatModel({ failure: () => new Error("unheard") }), createPerf()).invoke("q");
      await new Promise((resolve) => setTimeout(resolve, 20));
    } finally {
      process.removeAllListeners("unhandledRejection");
      for (const other of others) process.on("unhandledRejection", other);
    }
    expect(seen.map(String)).toEqual(["Error: unheard"]);
  });

  it("a refresh is not overwritten by a slower call that was made before it", async () => {
    const gate = new Gate();
    const model = new ScriptedChat({ whole: async (_call, nth) => (nth === 1 && (await gate.promise), textResult(`v${nth}`)) });
    const fast = withPerf(model, createPerf());
    const slow = fast.invoke("q");
    await new Promise((resolve) => setImmediate(resolve));
    expect((await fast.invoke("q", wish({ cache: "refresh" }))).text).toBe("v2");
    gate.open();
    await slow;
    expect((await fast.invoke("q")).text).toBe("v2");
  });
});
