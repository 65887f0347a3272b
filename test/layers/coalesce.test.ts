import { RunnableLambda } from "@langchain/core/runnables";
import { tool } from "@langchain/core/tools";
import { withPerf, type CallWishes, type Perf } from "langchain-perf";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { FakeChatModel } from "../support/fakes/chat-model.ts";
import { FakeEmbeddings } from "../support/fakes/embeddings.ts";
import { RunTreeRecorder } from "../support/run-tree.ts";
import { Gate, settle } from "./support/gate.ts";
import { listening } from "./support/listening.ts";
import { ScriptedChat, textResult } from "./support/scripted-chat.ts";

const wishes = (perf: CallWishes): { configurable: { perf: CallWishes } } => ({ configurable: { perf } });

describe("equal calls in flight", () => {
  it("are one upstream call for a thousand callers, each with an object of its own", async () => {
    const gate = new Gate();
    const model = new ScriptedChat({ whole: async () => (await gate.promise, textResult("hello")) });
    const { perf, facts } = listening();
    const fast = withPerf(model, perf);
    const calls = Array.from({ length: 1_000 }, () => fast.invoke("q"));
    await settle();
    gate.open();
    const answers = await Promise.all(calls);
    expect(model.seen).toHaveLength(1);
    expect(new Set(answers).size).toBe(1_000);
    expect(new Set(answers.map(({ id }) => id)).size).toBe(1_000);
    expect(new Set(answers.map(({ text }) => text))).toEqual(new Set(["hello"]));
    answers[0]!.content = "broken";
    answers[1]!.response_metadata.finish_reason = "broken";
    expect(answers[2]!.content).toBe("hello");
    expect(answers[2]!.response_metadata.finish_reason).toBe("stop");
    expect(facts.filter(({ coalesced }) => coalesced === "leader")).toHaveLength(1);
    const leader = facts.find(({ coalesced }) => coalesced === "leader")!;
    expect(facts.filter(({ coalesced, leaderId }) => coalesced === "follower" && leaderId === leader.id)).toHaveLength(999);
  });

  it("are one upstream call beside invalidations that cannot concern them, and another after each that can", async () => {
    const gate = new Gate();
    const model = new ScriptedChat({ whole: async () => (await gate.promise, textResult("hello")) });
    const { perf } = listening();
    const fast = withPerf(model, perf);
    const ask = (tags?: string[]): Promise<unknown> => fast.invoke("q", wishes({ tenant: "a", ...(tags ? { tags } : {}) }));
    const calls = [ask(["t"])];
    await settle();
    for (const other of [{ key: "another" }, { tenant: "b" }, { namespace: "another" }, { tags: ["another"] }, { tags: ["t"], tenant: "b" }]) {
      await perf.cache.invalidate(other);
      calls.push(ask());
    }
    expect(model.seen).toHaveLength(1);
    const concerned = [{ tags: ["t", "another"] }, { tenant: "a" }, { namespace: "default" }];
    for (const [at, own] of concerned.entries()) {
      await perf.cache.invalidate(own);
      // The tags of those who follow count too.
      calls.push(ask(), ask(["t"]));
      await settle();
      expect(model.seen).toHaveLength(2 + at);
    }
    await perf.cache.invalidate({ tags: ["t"] });
    calls.push(ask());
    await settle();
    expect(model.seen).toHaveLength(2 + concerned.length);
    gate.open();
    await Promise.all(calls);
  });

  it("whose answers give tags themselves may be concerned by any tag, and by no other tenant", async () => {
    const gate = new Gate();
    const model = new ScriptedChat({ whole: async () => (await gate.promise, textResult("hello")) });
    const { perf } = listening({ cache: { tags: () => ["made"] }, coalesce: true });
    const fast = withPerf(model, perf);
    const calls = [fast.invoke("q")];
    await settle();
    await perf.cache.invalidate({ tenant: "another", tags: ["made"] });
    calls.push(fast.invoke("q"));
    await settle();
    expect(model.seen).toHaveLength(1);
    await perf.cache.invalidate({ tags: ["made"] });
    calls.push(fast.invoke("q"));
    await settle();
    expect(model.seen).toHaveLength(2);
    gate.open();
    await Promise.all(calls);
  });

  it("are told apart when they are not equal", async () => {
    const model = new FakeChatModel({ delayMs: 1 });
    const fast = withPerf(model, listening({ coalesce: true }).perf);
    const answers = await Promise.all(["a", "b", "a", "b", "c"].map((text) => fast.invoke(text)));
    expect(model.counts.chat).toBe(3);
    expect(answers.map(({ text }) => text.at(-1))).toEqual(["a", "b", "a", "b", "c"]);
  });

  it("are not shared between tenants, nor with a call that bypasses", async () => {
    const model = new FakeChatModel({ delayMs: 1 });
    const fast = withPerf(model, listening().perf);
    await Promise.all([
      fast.invoke("q", wishes({ tenant: "a" })), fast.invoke("q", wishes({ tenant: "b" })), fast.invoke("q", wishes({ tenant: "a" })),
      fast.invoke("q", wishes({ cache: "bypass" })), fast.invoke("q", wishes({ cache: "bypass" })), fast.invoke("q"),
    ]);
    expect(model.counts.chat).toBe(5);
  });

  it("are not shared when a refresh asks: it joins refreshes alone", async () => {
    const model = new FakeChatModel({ delayMs: 1 });
    const fast = withPerf(model, listening().perf);
    await Promise.all([fast.invoke("q"), fast.invoke("q", wishes({ cache: "refresh" })), fast.invoke("q", wishes({ cache: "refresh" }))]);
    expect(model.counts.chat).toBe(2);
  });

  it("fail together with the very error of the upstream call, and leave nothing behind", async () => {
    const failure = Object.assign(new Error("429"), { status: 429 });
    const gate = new Gate();
    const model = new ScriptedChat({ whole: async (_call, nth) => (nth === 1 ? (await gate.promise, textResult("never")) : textResult("second")) });
    const fast = withPerf(model, listening().perf);
    const calls = [1, 2, 3].map(() => fast.invoke("q"));
    await settle();
    gate.fail(failure);
    for (const call of await Promise.allSettled(calls)) expect((call as PromiseRejectedResult).reason).toBe(failure);
    expect((await fast.invoke("q")).text).toBe("second");
  });

  it("are shared by embeddings too", async () => {
    const embeddings = withPerf(new FakeEmbeddings(), listening({ coalesce: true }).perf);
    const [one, other] = await Promise.all([embeddings.embedQuery("a"), embeddings.embedQuery("a")]);
    expect(embeddings.counts.embeddings).toBe(1);
    expect(one).toEqual(other);
    expect(one).not.toBe(other);
  });

  it("do not wait for themselves when one makes the same call inside", async () => {
    const perf: Perf = listening({ cache: { kinds: { tool: {} } }, coalesce: true }).perf;
    let depth = 0;
    const again = withPerf(tool(async ({ n }): Promise<string> => {
      depth += 1;
      return depth < 3 ? `again ${await again.invoke({ n })}` : "bottom";
    }, { name: "again", description: "d", schema: z.object({ n: z.number() }) }), perf);
    expect(await again.invoke({ n: 1 })).toBe("again again bottom");
  });

  it("show one model run per caller", async () => {
    const model = new FakeChatModel({ delayMs: 1 });
    const fast = withPerf(model, listening().perf);
    const recorders = [new RunTreeRecorder(), new RunTreeRecorder()];
    const streams = await Promise.all(recorders.map(async (recorder) => Array.fromAsync(await fast.stream("q", { callbacks: [recorder] }))));
    for (const [at, recorder] of recorders.entries()) {
      expect(recorder.count("chat")).toBe(1);
      expect(recorder.roots[0]!.ends).toBe(1);
      expect(recorder.roots[0]!.tokens).toEqual(streams[at]!.map(({ text }) => text));
    }
    expect(model.counts.chat).toBe(1);
  });
});

describe("tools that are shared", () => {
  /** A tool that hears its signal, asked twice: by a caller who may abort, and by another. */
  function slowTool(): { slow: { invoke(input: { n: number }, config?: object): Promise<string> }; gate: Gate; runs: () => number } {
    const gate = new Gate();
    let count = 0;
    const slow = tool(async ({ n }, config): Promise<string> => {
      count += 1;
      const { promise, reject } = Promise.withResolvers<never>();
      config.signal?.addEventListener("abort", () => reject(config.signal?.reason), { once: true });
      await Promise.race([gate.promise, promise]);
      return `got ${n}`;
    }, { name: "slow", description: "d", schema: z.object({ n: z.number() }) });
    return { slow: withPerf(slow, listening({ cache: { kinds: { tool: ["slow"] } }, coalesce: true }).perf) as never, gate, runs: () => count };
  }

  it("go on for the follower when the leader aborts", async () => {
    const { slow, gate, runs } = slowTool();
    const abort = new AbortController();
    const leader = slow.invoke({ n: 1 }, { signal: abort.signal });
    await settle();
    const follower = slow.invoke({ n: 1 });
    await settle();
    abort.abort(new Error("gone"));
    await expect(leader).rejects.toThrow();
    gate.open();
    expect(await follower).toBe("got 1");
    expect(runs()).toBe(1);
  });

  it("let a follower go that aborts", async () => {
    const { slow, gate } = slowTool();
    const leader = slow.invoke({ n: 1 });
    await settle();
    const abort = new AbortController();
    const follower = slow.invoke({ n: 1 }, { signal: abort.signal });
    await settle();
    abort.abort(new Error("gone"));
    await expect(follower).rejects.toThrow();
    gate.open();
    expect(await leader).toBe("got 1");
  });

  it("keep the calls inside them when the leader's stream is closed", async () => {
    const gate = new Gate();
    const model = new ScriptedChat({ whole: async () => (await gate.promise, textResult("inner")) });
    const ask = tool(async ({ n }): Promise<string> => (await model.invoke(`q ${n}`)).text, { name: "ask", description: "d", schema: z.object({ n: z.number() }) });
    const chain = RunnableLambda.from(async function* (n: number) {
      yield "asking: ";
      yield String(await ask.invoke({ n }));
    });
    const fast = withPerf(chain, listening({ cache: { kinds: { tool: ["ask"] } }, coalesce: true }).perf);
    const reader = (await fast.stream(1)).getReader();
    await reader.read();
    const second = reader.read().catch(() => undefined);
    await settle();
    const follower = fast.invoke(1);
    await settle();
    void reader.cancel();
    await second;
    await settle();
    gate.open();
    expect(await follower).toBe("asking: inner");
    expect(model.seen).toHaveLength(1);
  });
});
