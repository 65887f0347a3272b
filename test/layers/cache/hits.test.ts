import { AIMessage, type AIMessageChunk } from "@langchain/core/messages";
import { RunnableLambda } from "@langchain/core/runnables";
import { withPerf } from "langchain-perf";
import { describe, expect, it } from "vitest";
import { FakeChatModel } from "../../support/fakes/chat-model.ts";
import { FakeLLM } from "../../support/fakes/llm.ts";
import { RunTreeRecorder } from "../../support/run-tree.ts";
import { listening } from "../support/listening.ts";
import { chunk, ScriptedChat } from "../support/scripted-chat.ts";
import { seen } from "../support/seen.ts";
import { sumOf } from "../support/sum.ts";

const callsWeather = (): FakeChatModel => new FakeChatModel({ reply: () => ({ text: "let me see", toolCalls: [{ name: "weather", args: { city: "Rome", id: "7" } }, { name: "news", args: {} }] }) });

describe("stream and invoke", () => {
  it.each(["text", "tool calls"])("fill and read the same entry, both ways: %s", async (kind) => {
    for (const first of ["invoke", "stream"] as const) {
      const model = kind === "text" ? new FakeChatModel() : callsWeather();
      const { perf, facts } = listening();
      const fast = withPerf(model, perf);
      const ask = async (mode: "invoke" | "stream"): Promise<AIMessage | AIMessageChunk> =>
        mode === "invoke" ? fast.invoke("q") : await sumOf(fast.stream("q"));
      const asked = await ask(first);
      const again = await ask(first);
      const other = await ask(first === "invoke" ? "stream" : "invoke");
      expect(seen(again)).toEqual(seen(asked));
      expect(seen(other)).toEqual(seen(asked));
      expect(model.counts.chat).toBe(1);
      expect(facts.map(({ cache }) => cache?.status)).toEqual(["miss", "hit", "hit"]);
    }
  });

  it("keep several completions apart, both ways", async () => {
    const part = (completion: number, text: string, finish_reason?: string) => chunk({ content: text }, { prompt: 0, completion, ...(finish_reason ? { finish_reason } : {}) });
    const script = {
      type: "openai",
      whole: () => ({ generations: ["one", "two"].map((text) => ({ text, message: new AIMessage(text), generationInfo: { finish_reason: "stop" } })) }),
      stream: () => [part(0, "on"), part(1, "tw"), part(1, "o"), part(0, "e"), part(0, "", "stop"), part(1, "", "stop")],
    };
    const texts = async (model: ScriptedChat): Promise<string[]> => (await model.generate([["q"]] as never)).generations[0]!.map(({ text }) => text);
    const byIndex = async (model: ScriptedChat): Promise<string[]> => {
      const sums: string[] = ["", ""];
      for await (const { message, generationInfo, text } of model._streamResponseChunks([], {} as never)) sums[Number(generationInfo?.completion)] += text === message.content ? text : "?";
      return sums;
    };
    const streamFirst = new ScriptedChat(script);
    const { perf } = listening();
    const fast = withPerf(streamFirst, perf);
    await Array.fromAsync(await fast.stream("q"));
    expect(await texts(fast)).toEqual(["one", "two"]);
    expect(streamFirst.seen).toHaveLength(1);

    const invokeFirst = withPerf(new ScriptedChat(script), listening().perf);
    const whole = await perfGenerate(invokeFirst);
    expect(whole).toEqual(["one", "two"]);
    expect(await byIndex(invokeFirst)).toEqual(["one", "two"]);
    expect(invokeFirst.seen).toHaveLength(1);

    async function perfGenerate(model: ScriptedChat): Promise<string[]> {
      const { generations } = await model._generate([], {} as never);
      return generations.map(({ text }) => text);
    }
  });

  it("fill and read the same entry for LLMs, both ways", async () => {
    for (const first of ["invoke", "stream"] as const) {
      const llm = new FakeLLM();
      const fast = withPerf(llm, listening().perf);
      const ask = async (mode: "invoke" | "stream"): Promise<string> => (mode === "invoke" ? fast.invoke("hello there") : (await Array.fromAsync(await fast.stream("hello there"))).join(""));
      const answers = [await ask(first), await ask(first), await ask(first === "invoke" ? "stream" : "invoke")];
      expect(new Set(answers).size).toBe(1);
      expect(llm.counts.llm).toBe(1);
    }
  });

  it("keep broken tool calls in the stream of events v3", async () => {
    const broken = [chunk({ content: "", tool_call_chunks: [{ type: "tool_call_chunk", index: 0, id: "c1", name: "f", args: 'oops' }] }, { finish_reason: "tool_calls" })];
    const { perf } = listening();
    class Native extends ScriptedChat {
      override async *_streamChatModelEvents(): AsyncGenerator<never> {
        yield* [
          { event: "message-start", id: "m" },
          { event: "content-block-finish", index: 0, content: { type: "invalid_tool_call", id: "c1", name: "f", args: 'oops', error: "bad" } },
          { event: "message-finish", reason: "tool_use" },
        ] as never[];
      }
    }
    const fast = withPerf(new Native({ stream: () => broken }), perf);
    await Array.fromAsync(fast.streamEvents("q") as unknown as AsyncIterable<object>);
    const message = await fast.invoke("q");
    expect(message.content).toBe("");
    expect(message.invalid_tool_calls).toMatchObject([{ name: "f", args: 'oops', error: "bad" }]);
    expect((await sumOf(fast.stream("q"))).invalid_tool_calls).toMatchObject([{ name: "f", args: 'oops' }]);
    expect(fast.seen).toHaveLength(0);
  });

  it("keep broken tool calls", async () => {
    const invalid = { type: "invalid_tool_call" as const, id: "c1", name: "f", args: 'oops', error: "Malformed args." };
    const model = new ScriptedChat({ whole: () => ({ generations: [{ text: "", message: new AIMessage({ content: "", invalid_tool_calls: [invalid] }), generationInfo: { finish_reason: "tool_calls" } }] }) });
    const fast = withPerf(model, listening().perf);
    const whole = await fast.invoke("q");
    const streamed = await sumOf(fast.stream("q"));
    expect(model.seen).toHaveLength(1);
    const shown = (message: AIMessage | AIMessageChunk) => message.invalid_tool_calls?.map(({ name, args }) => ({ name, args }));
    expect(shown(whole)).toEqual([{ name: "f", args: 'oops' }]);
    expect(shown(streamed)).toEqual(shown(whole));
  });
});

describe("a replay", () => {
  it("gives the original chunks one by one, each with its token callback", async () => {
    const model = new FakeChatModel();
    const fast = withPerf(model, listening().perf);
    const run = async (): Promise<{ texts: string[]; tokens: string[] }> => {
      const recorder = new RunTreeRecorder();
      const parts = await Array.fromAsync(await fast.stream("some words", { callbacks: [recorder] }));
      expect(recorder.count("chat")).toBe(1);
      expect(recorder.roots[0]!.ends).toBe(1);
      return { texts: parts.map(({ text }) => text), tokens: recorder.roots[0]!.tokens };
    };
    const [bare, replay] = [await run(), await run()];
    expect(bare.texts.length).toBeGreaterThan(4);
    expect(replay).toEqual(bare);
    expect(replay.tokens).toEqual(replay.texts);
    expect(model.counts.chat).toBe(1);
  });

  it("gives the chunk to the token callback, with the ids of this run", async () => {
    const fast = withPerf(new FakeChatModel(), listening().perf);
    await fast.invoke("q");
    const chunks: AIMessageChunk[] = [];
    const runs: string[] = [];
    const callbacks = [{
      awaitHandlers: true,
      handleLLMNewToken(_token: string, _at: unknown, runId: string, _parent: unknown, _tags: unknown, fields?: { chunk?: unknown }) {
        runs.push(runId);
        if (fields?.chunk) chunks.push((fields.chunk as { message: AIMessageChunk }).message);
      },
    }];
    const parts = await Array.fromAsync(await fast.stream("q", { callbacks: callbacks as never }));
    expect(chunks.map(({ content }) => content)).toEqual(parts.map(({ content }) => content));
    expect(new Set(chunks.map(({ id }) => id))).toEqual(new Set([`run-${runs[0]}`]));
  });

  it("shows in streamEvents v2 once, as the model's own does", async () => {
    const fast = withPerf(new FakeChatModel(), listening().perf);
    const texts = async (): Promise<string[]> => {
      const events = await Array.fromAsync(fast.streamEvents("q", { version: "v2" }) as unknown as AsyncIterable<{ event: string; data: { chunk?: AIMessageChunk; output?: AIMessageChunk } }>);
      expect(events.filter(({ event }) => event === "on_chat_model_end")).toHaveLength(1);
      return events.filter(({ event }) => event === "on_chat_model_stream").map(({ data }) => String(data.chunk?.content));
    };
    const [bare, replay] = [await texts(), await texts()];
    expect(replay).toEqual(bare);
    expect(bare.length).toBeGreaterThan(2);
  });

  it("shows in the stream of events v3 once, and shares the entry with the other modes", async () => {
    const model = new FakeChatModel();
    const fast = withPerf(model, listening().perf);
    type Streamed = AsyncIterable<{ event: string; delta?: { type: string; text?: string } }> & PromiseLike<AIMessage>;
    const text = async (): Promise<string> =>
      (await Array.fromAsync(fast.streamEvents("q") as unknown as Streamed)).map(({ delta }) => (delta?.type === "text-delta" ? delta.text : "")).join("");
    const [bare, replay] = [await text(), await text()];
    expect(replay).toBe(bare);
    expect((await fast.invoke("q")).text).toBe(bare);
    const message = await (fast.streamEvents("q") as unknown as Streamed);
    expect(message.text).toBe(bare);
    expect(message.usage_metadata).toMatchObject({ input_tokens: 0, output_tokens: 0, total_tokens: 0 });
    expect(model.counts.chat).toBe(1);
  });

  it("works below a lambda, in every way it is run", async () => {
    const model = new FakeChatModel();
    const chain = withPerf(RunnableLambda.from(async (text: string) => (await model.invoke(text)).text), listening().perf);
    const answer = await chain.invoke("q");
    expect(await chain.batch(["q", "q"])).toEqual([answer, answer]);
    expect((await Array.fromAsync(await chain.stream("q"))).join("")).toBe(answer);
    expect(model.counts.chat).toBe(1);
  });
});
