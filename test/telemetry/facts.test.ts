import { withPerf, type CallFacts, type CallWishes, type Perf } from "langchain-perf";
import { ChatPromptTemplate } from "@langchain/core/prompts";
import { afterEach, describe, expect, it, vi } from "vitest";
import { FakeChatModel } from "../support/fakes/chat-model.ts";
import { FakeEmbeddings } from "../support/fakes/embeddings.ts";
import { listening } from "../layers/support/listening.ts";
import { Faucet, settle } from "../layers/support/gate.ts";
import { chunk, ScriptedChat, textChunks, textResult } from "../layers/support/scripted-chat.ts";
import type { ChatGenerationChunk } from "@langchain/core/outputs";
import { AIMessage } from "@langchain/core/messages";

const wishes = (perf: CallWishes): { configurable: { perf: CallWishes } } => ({ configurable: { perf } });
const USAGE = { input_tokens: 1_000, output_tokens: 500, total_tokens: 1_500, input_token_details: { cache_read: 400 } };
const paid = (): ScriptedChat =>
  new ScriptedChat({ whole: () => ({ generations: [{ text: "a", message: new AIMessage({ content: "a", usage_metadata: { ...USAGE } }) }] }) });

afterEach(() => void vi.useRealTimers());

describe("facts of a call", () => {
  it("say who called what, when, and what the cache did", async () => {
    vi.useFakeTimers({ toFake: ["Date", "performance"] });
    vi.setSystemTime(5_000);
    const { perf, facts } = listening({ cache: true, coalesce: true, pricing: { "scripted-1": { input: 2, output: 8, cachedInput: 1 } } });
    const fast = withPerf(paid(), perf);
    const runs: string[] = [];
    const config = { ...wishes({ tenant: "acme", tags: ["x"] }), callbacks: [{ handleChatModelStart: (...args: unknown[]) => void runs.push(args[2] as string) }] };
    await fast.invoke("q", config as never);
    vi.advanceTimersByTime(250);
    await fast.invoke("q", config as never);
    const [miss, hit] = facts;
    expect(miss).toMatchObject({
      kind: "chat", mode: "invoke", model: "scripted-1", startedAt: 5_000, tenant: "acme", tags: ["x"], coalesced: "leader", runId: runs[0],
      cache: { status: "miss" }, usage: { inputTokens: 1_000, outputTokens: 500, cachedInputTokens: 400 },
    });
    expect(miss!.costUsd).toBeCloseTo((600 * 2 + 400 * 1 + 500 * 8) / 1e6, 12);
    expect(miss!.savedUsd).toBeUndefined();
    expect(hit).toMatchObject({ startedAt: 5_250, runId: runs[1], cache: { status: "hit", tier: "memory", ageMs: 250, key: miss!.cache!.key }, usage: miss!.usage, costUsd: 0, savedUsd: miss!.costUsd });
    expect(hit!.coalesced).toBeUndefined();
    expect(hit!.id).not.toBe(miss!.id);
    expect(miss!.error).toBeUndefined();
    expect(perf.stats().kinds.chat).toMatchObject({ calls: 2, hits: 1, misses: 1, hitRate: 0.5, inputTokens: 1_000, outputTokens: 500 });
  });

  it("measure durations and the time to the first token that has content", async () => {
    vi.useFakeTimers({ toFake: ["Date", "performance"] });
    const tap = new Faucet<ChatGenerationChunk>();
    const { perf, facts } = listening({});
    const fast = withPerf(new ScriptedChat({ stream: () => tap }), perf);
    const reading = fast.stream("q").then((stream) => Array.fromAsync(stream));
    await settle();
    vi.advanceTimersByTime(100);
    tap.push(chunk({ content: "" }));
    await settle();
    vi.advanceTimersByTime(200);
    tap.push(...textChunks(["a"]));
    await settle();
    vi.advanceTimersByTime(400);
    tap.end();
    await reading;
    expect(facts[0]).toMatchObject({ mode: "stream", durationMs: 700, timeToFirstTokenMs: 300 });
    expect(facts[0]!.cache).toBeUndefined();
  });

  it("count a tool call's first piece as the first token", async () => {
    const { perf, facts } = listening({});
    const fast = withPerf(new FakeChatModel({ reply: () => ({ toolCalls: [{ name: "f", args: {} }] }) }), perf);
    await Array.fromAsync(await fast.stream("q"));
    expect(facts[0]!.timeToFirstTokenMs).toBeGreaterThanOrEqual(0);
  });

  it("name the leader that a follower shared with, and count its tokens once", async () => {
    const { perf, facts } = listening({ coalesce: true, pricing: { "scripted-1": { input: 1, output: 1 } } });
    const fast = withPerf(paid(), perf);
    await Promise.all([fast.invoke("q"), fast.invoke("q")]);
    const leader = facts.find(({ coalesced }) => coalesced === "leader")!;
    const follower = facts.find(({ coalesced }) => coalesced === "follower")!;
    expect(follower.leaderId).toBe(leader.id);
    expect(follower).toMatchObject({ usage: leader.usage, costUsd: 0, savedUsd: leader.costUsd });
    expect(perf.stats().kinds.chat).toMatchObject({ calls: 2, coalesced: 1, inputTokens: 1_000, hitRate: 0.5 });
  });

  it("count the tokens of several completions once", async () => {
    const two = new ScriptedChat({ whole: () => ({ generations: ["a", "b"].map((text) => ({ text, message: new AIMessage({ content: text, usage_metadata: { ...USAGE } }) })) }) });
    const { perf, facts } = listening({});
    await withPerf(two, perf).invoke("q");
    expect(facts[0]!.usage).toEqual({ inputTokens: 1_000, outputTokens: 500, cachedInputTokens: 400 });
  });

  it("tell errors, aborts and early ends", async () => {
    const { perf, facts } = listening();
    const failing = withPerf(new ScriptedChat({ whole: () => Promise.reject(Object.assign(new Error("slow down"), { status: 429 })) }), perf);
    await expect(failing.invoke("q")).rejects.toThrow("slow down");
    expect(facts.at(-1)).toMatchObject({ error: { code: "429", message: "slow down" }, cache: { status: "miss" } });
    expect(facts.at(-1)!.usage).toBeUndefined();
    const abort = new AbortController();
    const stalled = withPerf(new ScriptedChat({ stream: () => new Faucet() }), perf);
    const reading = fastRead(stalled.stream("q", { signal: abort.signal }));
    await settle();
    abort.abort();
    await expect(reading).rejects.toThrow();
    expect(facts.at(-1)!.error?.code).toBe("AbortError");
    const early = withPerf(new ScriptedChat({ stream: () => textChunks(["a", "b", "c", "d"]) }), perf);
    for await (const _ of await early.stream("q")) break;
    await settle();
    expect(facts.at(-1)!.error?.code).toBe("AbortError");
    expect(perf.stats().kinds.chat).toMatchObject({ calls: 3, errors: 3 });
  });

  it("name embeddings and their model", async () => {
    const { perf, facts } = listening();
    await withPerf(new FakeEmbeddings(), perf).embedDocuments(["a"]);
    expect(facts[0]).toMatchObject({ kind: "embeddings", mode: "invoke", model: "fake-embeddings", cache: { status: "miss" } });
  });

  it("show the run above, and chains while somebody listens", async () => {
    const { perf } = listening();
    const all: CallFacts[] = [];
    perf.on("call", (call) => void all.push(call));
    const chain = withPerf(ChatPromptTemplate.fromMessages([["human", "{q}"]]).pipe(new FakeChatModel()), perf);
    await chain.invoke({ q: "a" });
    const chat = all.find(({ kind }) => kind === "chat")!;
    const sequence = all.find(({ kind, name }) => kind === "chain" && name === "RunnableSequence")!;
    expect(chat.parentRunId).toBe(sequence.runId);
    expect(sequence.parentRunId).toBeUndefined();
    expect(sequence.durationMs).toBeGreaterThanOrEqual(chat.durationMs);
  });
});

describe("listeners", () => {
  const ask = async (perf: Perf): Promise<unknown> => withPerf(new ScriptedChat({ whole: () => textResult("a") }), perf).invoke("q");

  it("hear until they are told not to", async () => {
    const { perf } = listening();
    const heard: string[] = [];
    const stop = perf.on("call", ({ kind }) => void heard.push(kind));
    await ask(perf);
    stop();
    await ask(perf);
    expect(heard).toEqual(["chat"]);
  });

  it("that fail do not fail the call, nor the other listeners", async () => {
    const { perf, facts } = listening();
    const warned = vi.spyOn(process, "emitWarning").mockImplementation(() => {});
    try {
      perf.on("call", () => {
        throw new Error("listener");
      });
      const heard: string[] = [];
      perf.on("call", ({ kind }) => void heard.push(kind));
      await ask(perf);
      expect(facts).toHaveLength(1);
      expect(heard).toEqual(["chat"]);
      expect(warned.mock.calls.join()).toContain("listener");
    } finally {
      warned.mockRestore();
    }
  });

  it("hear nothing after close, and calls go straight to the model", async () => {
    const { perf, facts } = listening();
    await ask(perf);
    await perf.close();
    const model = new ScriptedChat();
    for (const _ of [1, 2]) await withPerf(model, perf).invoke("q");
    expect(model.seen).toHaveLength(2);
    expect(facts).toHaveLength(1);
    expect(perf.cache.stats().entries).toBe(0);
  });
});

async function fastRead(stream: Promise<AsyncIterable<unknown>>): Promise<unknown[]> {
  return Array.fromAsync(await stream);
}
