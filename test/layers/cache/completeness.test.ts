import { AIMessage } from "@langchain/core/messages";
import type { ChatResult, GenerationChunk } from "@langchain/core/outputs";
import { withPerf } from "langchain-perf";
import { describe, expect, it } from "vitest";
import { llmKind } from "../../../src/langchain/kinds/llm.ts";
import type { LLMInput } from "../../../src/langchain/kinds/model-inputs.ts";
import { settle } from "../support/gate.ts";
import { listening } from "../support/listening.ts";
import { chunk, ScriptedChat, textChunks, type Script } from "../support/scripted-chat.ts";

/** How often the model is asked when the same question comes twice, in each mode. */
async function asksOf(script: Script): Promise<{ invoke: number; stream: number }> {
  const asks = { invoke: 0, stream: 0 };
  for (const mode of ["invoke", "stream"] as const) {
    const model = new ScriptedChat(script);
    const fast = withPerf(model, listening().perf);
    for (const _ of [1, 2]) {
      try {
        if (mode === "invoke") await fast.invoke("q");
        else await Array.fromAsync(await fast.stream("q"));
      } catch {
        // Whether a bad answer is an error is the model's affair; here it counts whether it is kept.
      }
    }
    asks[mode] = model.seen.length;
  }
  return asks;
}

const ends = (info: Record<string, unknown>, metadata: Record<string, unknown> = {}, type = "openai"): Script => ({
  type,
  whole: () => ({ generations: [{ text: "a", message: new AIMessage({ content: "a", response_metadata: metadata }), generationInfo: info }] }),
  stream: () => [chunk({ content: "a" }), chunk({ content: "", response_metadata: metadata }, info)],
});

const KEPT = { invoke: 1, stream: 1 };
const NOT_KEPT = { invoke: 2, stream: 2 };

describe("an answer is kept", () => {
  it.each<[string, Script]>([
    ["OpenAI: stop", ends({ finish_reason: "stop" })],
    ["OpenAI: length, as asked for by maxTokens", ends({ finish_reason: "length" })],
    ["OpenAI: tool_calls", ends({ finish_reason: "tool_calls" })],
    ["responses API: completed", ends({}, { status: "completed" })],
    ["responses API: incomplete by max_output_tokens", ends({}, { status: "incomplete", incomplete_details: { reason: "max_output_tokens" } })],
    ["Anthropic: end_turn", ends({}, { stop_reason: "end_turn" }, "anthropic")],
    ["Anthropic: max_tokens", ends({}, { stop_reason: "max_tokens" }, "anthropic")],
    ["Anthropic: tool_use", ends({}, { stop_reason: "tool_use" }, "anthropic")],
    ["Google: STOP", ends({ finishReason: "STOP" }, {}, "googlegenai")],
    ["a model that says nothing of its end", ends({}, {}, "my-own")],
  ])("%s", async (_name, script) => {
    expect(await asksOf(script)).toEqual(KEPT);
  });
});

describe("an answer is not kept", () => {
  it.each<[string, Script]>([
    ["OpenAI: content_filter", ends({ finish_reason: "content_filter" })],
    ["OpenAI: no reason", ends({})],
    ["OpenAI: reason null", ends({ finish_reason: null })],
    ["Azure: no reason", ends({}, {}, "azure_openai")],
    ["responses API: failed", ends({}, { status: "failed" })],
    ["responses API: cancelled", ends({}, { status: "cancelled" })],
    ["responses API: in_progress", ends({}, { status: "in_progress" })],
    ["responses API: incomplete by content_filter", ends({}, { status: "incomplete", incomplete_details: { reason: "content_filter" } })],
    ["responses API: incomplete without a reason", ends({}, { status: "incomplete" })],
    ["Anthropic: refusal", ends({}, { stop_reason: "refusal" }, "anthropic")],
    ["Anthropic: pause_turn", ends({}, { stop_reason: "pause_turn" }, "anthropic")],
    ["Anthropic: no reason", ends({}, { stop_reason: null }, "anthropic")],
    ["Google: SAFETY", ends({ finishReason: "SAFETY" }, {}, "googlegenai")],
    ["Google: MALFORMED_FUNCTION_CALL", ends({ finishReason: "MALFORMED_FUNCTION_CALL" }, {}, "googlegenai")],
    ["Bedrock: guardrail_intervened", ends({}, { stopReason: "guardrail_intervened" }, "bedrock")],
    ["Bedrock: content_filtered", ends({}, { stopReason: "content_filtered" }, "bedrock")],
    ["a custom model: error", ends({ finish_reason: "error" }, {}, "my-own")],
  ])("%s", async (_name, script) => {
    expect(await asksOf(script)).toEqual(NOT_KEPT);
  });

  it("one of several completions was filtered", async () => {
    const generation = (reason: string): ChatResult["generations"][number] => ({ text: "a", message: new AIMessage("a"), generationInfo: { finish_reason: reason } });
    for (const reasons of [["content_filter", "stop"], ["stop", "content_filter"]]) {
      const part = (completion: number, finish_reason?: string) => chunk({ content: "a" }, { completion, ...(finish_reason === undefined ? {} : { finish_reason }) });
      expect(await asksOf({
        type: "openai",
        whole: () => ({ generations: reasons.map(generation) }),
        stream: () => [part(0), part(1), ...reasons.map((reason, at) => part(at, reason))],
      })).toEqual(NOT_KEPT);
    }
  });

  it("one of several completions was cut", async () => {
    const part = (completion: number, finish_reason?: string) => chunk({ content: "a" }, { completion, ...(finish_reason === undefined ? {} : { finish_reason }) });
    const { stream } = await asksOf({ type: "openai", stream: () => [part(0), part(1), part(0, "stop")] });
    expect(stream).toBe(2);
  });

  it("the stream had no part at all", async () => {
    const model = new ScriptedChat({ stream: () => [] });
    const fast = withPerf(model, listening().perf);
    expect(await Array.fromAsync(await fast.stream("q"))).toEqual([]);
    expect((await fast.invoke("q")).content).toBe("answer 2");
  });

  it("the call failed", async () => {
    const failure = new Error("upstream");
    const script: Script = {
      whole: () => Promise.reject(failure),
      async *stream() {
        yield* textChunks(["half"], undefined);
        throw failure;
      },
    };
    expect(await asksOf(script)).toEqual(NOT_KEPT);
  });

  it("the reader stopped before the end", async () => {
    const model = new ScriptedChat({ stream: () => textChunks(["a", "b", "c"]) });
    const fast = withPerf(model, listening().perf);
    for await (const _ of await fast.stream("q")) break;
    await Array.fromAsync(await fast.stream("q"));
    expect(model.seen).toHaveLength(2);
    await Array.fromAsync(await fast.stream("q"));
    expect(model.seen).toHaveLength(2);
  });

  it("the call was aborted", async () => {
    const model = new ScriptedChat({
      async *stream() {
        yield* textChunks(["a"], undefined);
        await new Promise((resolve) => setImmediate(resolve));
        yield* textChunks(["b"]);
      },
    });
    const fast = withPerf(model, listening().perf);
    const abort = new AbortController();
    const parts: string[] = [];
    await expect(async () => {
      for await (const part of await fast.stream("q", { signal: abort.signal })) {
        parts.push(part.text);
        abort.abort(new Error("enough"));
      }
    }).rejects.toThrow();
    expect(parts).toEqual(["a"]);
    await settle();
    await fast.invoke("q");
    expect(model.seen).toHaveLength(2);
  });
});

describe("events of a model with a native protocol", () => {
  const start = { event: "message-start" as const, id: "m1" };
  const text = [
    { event: "content-block-start" as const, index: 0, content: { type: "text" as const, text: "" } },
    { event: "content-block-delta" as const, index: 0, delta: { type: "text-delta" as const, text: "a" } },
    { event: "content-block-finish" as const, index: 0, content: { type: "text" as const, text: "a" } },
  ];

  class NativeChat extends ScriptedChat {
    readonly events: readonly object[];
    eventCalls = 0;
    constructor(type: string, events: readonly object[]) {
      super({ type });
      this.events = events;
    }
    override async *_streamChatModelEvents(): AsyncGenerator<never> {
      this.eventCalls += 1;
      for (const event of this.events) yield event as never;
    }
  }

  it.each<[string, string, object[], number]>([
    ["kept: a finish with a reason", "openai", [start, ...text, { event: "message-finish", reason: "stop" }], 1],
    ["kept: a finish without one, of a model that never says", "my-own", [start, ...text, { event: "message-finish" }], 1],
    ["not kept: a finish without a reason, of a provider that always says one", "openai", [start, ...text, { event: "message-finish" }], 2],
    ["not kept: no finish", "my-own", [start, ...text], 2],
    ["not kept: filtered", "openai", [start, ...text, { event: "message-finish", reason: "content_filter" }], 2],
    ["not kept: incomplete by what the provider said", "openai", [start, ...text, { event: "message-finish", reason: "length", responseMetadata: { status: "incomplete" } }], 2],
    ["not kept: none at all", "my-own", [], 2],
  ])("%s", async (_name, type, events, asks) => {
    const model = new NativeChat(type, events);
    const fast = withPerf(model, listening().perf);
    for (const _ of [1, 2]) await Array.fromAsync(fast.streamEvents("q") as unknown as AsyncIterable<object>);
    expect(model.eventCalls).toBe(asks);
  });
});

describe("an LLM's answers", () => {
  const of = (mode: "invoke" | "stream", parts: unknown[], type = "openai"): string =>
    llmKind.completeness({ mode, parts: parts as never }, { model: { _llmType: () => type }, prompts: ["q"], options: {}, runManager: undefined } as unknown as LLMInput);
  const generations = (...reasons: (string | undefined)[]) => [{ generations: reasons.map((finishReason) => [{ text: "a", generationInfo: { finishReason } }]) }];

  it("are complete only if every one of them is", () => {
    expect(of("invoke", generations("stop"))).toBe("complete");
    expect(of("invoke", generations("stop", "length"))).toBe("complete");
    expect(of("invoke", generations("content_filter", "stop"))).toBe("filtered");
    expect(of("invoke", generations("stop", "content_filter"))).toBe("filtered");
    expect(of("invoke", generations(undefined))).toBe("partial");
    expect(of("invoke", generations(undefined), "my-own")).toBe("unknown");
    expect(of("stream", [{ text: "a" }, { text: "b", generationInfo: { finish_reason: "stop" } }] satisfies Partial<GenerationChunk>[])).toBe("complete");
    expect(of("stream", [{ text: "a" }])).toBe("partial");
    expect(of("stream", [])).toBe("partial");
    expect(of("stream", [], "my-own")).toBe("partial");
  });
});
