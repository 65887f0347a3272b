import { context, trace } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import { StringOutputParser } from "@langchain/core/output_parsers";
import { ChatPromptTemplate } from "@langchain/core/prompts";
import { RunnableLambda, RunnableParallel } from "@langchain/core/runnables";
import { tool } from "@langchain/core/tools";
import { ChatOpenAI, OpenAIEmbeddings } from "@langchain/openai";
import { MemoryVectorStore } from "@langchain/classic/vectorstores/memory";
import { UndiciInstrumentation } from "@opentelemetry/instrumentation-undici";
import { InMemorySpanExporter, SimpleSpanProcessor, TracerProvider, type ReadableSpan } from "@opentelemetry/sdk-trace";
import { createAgent } from "langchain";
import { createPerf, withPerf } from "langchain-perf";
import { createSimulator } from "langchain-perf/testing";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";

/** `name > child > grandchild`, children sorted, one line a span. */
function treeOf(spans: readonly ReadableSpan[]): string[] {
  const byId = new Map(spans.map((span) => [span.spanContext().spanId, span]));
  const pathOf = (span: ReadableSpan): string => {
    const parent = span.parentSpanContext && byId.get(span.parentSpanContext.spanId);
    return `${parent ? `${pathOf(parent)} > ` : ""}${span.name}`;
  };
  return spans.map(pathOf).sort();
}

describe("spans", () => {
  const exporter = new InMemorySpanExporter();
  const provider = new TracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter })] });
  const undici = new UndiciInstrumentation();
  let simulator: Awaited<ReturnType<typeof createSimulator>>;
  let model: ChatOpenAI;

  beforeAll(async () => {
    context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
    trace.setGlobalTracerProvider(provider);
    undici.setTracerProvider(provider);
    undici.enable();
    simulator = await createSimulator({ seed: 1 });
    model = new ChatOpenAI({ model: "gpt-4o-mini", apiKey: "sk-test", temperature: 0, configuration: { baseURL: simulator.baseURL } });
  });

  afterEach(() => exporter.reset());

  afterAll(async () => {
    undici.disable();
    trace.disable();
    context.disable();
    await simulator.close();
  });

  const spans = (): ReadableSpan[] => exporter.getFinishedSpans();
  const named = (name: string): ReadableSpan => {
    const found = spans().find((span) => span.name === name);
    expect(found, `${name} among ${spans().map((span) => span.name).join(", ")}`).toBeDefined();
    return found as ReadableSpan;
  };
  const chain = () => ChatPromptTemplate.fromTemplate("Say something about {topic}.").pipe(model).pipe(new StringOutputParser());

  it("nest as the program does, the HTTP request below the call that made it", async () => {
    await withPerf(chain(), createPerf()).invoke({ topic: "rivers" });
    expect(treeOf(spans())).toEqual([
      "RunnableSequence",
      "RunnableSequence > ChatPromptTemplate",
      "RunnableSequence > StrOutputParser",
      "RunnableSequence > chat gpt-4o-mini",
      "RunnableSequence > chat gpt-4o-mini > POST",
    ]);
  });

  it("nest the same within limits, and say how long was waited", async () => {
    await withPerf(chain(), createPerf({ trace: true, rateLimit: { maxConcurrent: 1 } })).invoke({ topic: "rivers" });
    expect(treeOf(spans())).toContain("RunnableSequence > chat gpt-4o-mini > POST");
    expect(named("chat gpt-4o-mini").attributes["perf.limit.wait_ms"]).toBeGreaterThanOrEqual(0);
  });

  it("nest the same where calls are routed, each attempt's request below its call, and say who answered", async () => {
    const gone = new ChatOpenAI({ model: "gpt-4o-mini+status=503", apiKey: "sk-test", configuration: { baseURL: simulator.baseURL } });
    const other = new ChatOpenAI({ model: "gpt-4o", apiKey: "sk-test", configuration: { baseURL: simulator.baseURL } });
    const deployments = [{ id: "gone", model: gone }, { id: "other", model: other, priority: 1 }];
    await withPerf(chain(), { trace: true, routing: { deployments } }).invoke({ topic: "routes" });
    expect(treeOf(spans()).filter((path) => path.endsWith("> POST"))).toEqual(Array.from({ length: 2 }, () => "RunnableSequence > chat gpt-4o-mini > POST"));
    expect(named("chat gpt-4o-mini").attributes).toMatchObject({
      "gen_ai.request.model": "gpt-4o-mini", "gen_ai.response.model": "gpt-4o", "perf.deployment": "other", "perf.attempt": 2,
    });
  });

  it("keep their context across a stream, with the time to first token", async () => {
    const parts: string[] = [];
    for await (const part of await withPerf(chain(), createPerf()).stream({ topic: "streams" })) parts.push(part);
    expect(parts.length).toBeGreaterThan(1);
    expect(treeOf(spans())).toContain("RunnableSequence > chat gpt-4o-mini > POST");
    const { attributes } = named("chat gpt-4o-mini");
    expect(attributes["gen_ai.request.stream"]).toBe(true);
    expect(attributes["gen_ai.response.time_to_first_chunk"]).toBeGreaterThan(0);
    expect(attributes["gen_ai.usage.output_tokens"]).toBeGreaterThan(0);
  });

  it("follow the GenAI conventions", async () => {
    const perf = createPerf({ cache: true, trace: true, pricing: { "gpt-4o-mini": { input: 0.15, output: 0.6 } } });
    const fast = withPerf(model, perf);
    await fast.invoke("Name a lake.", { metadata: { thread_id: "t-1" } });
    await fast.invoke("Name a lake.");
    const [miss, hit] = spans().filter((span) => span.name === "chat gpt-4o-mini").map((span) => span.attributes);
    expect(miss).toMatchObject({
      "gen_ai.operation.name": "chat",
      "gen_ai.provider.name": "openai",
      "gen_ai.request.model": "gpt-4o-mini",
      "gen_ai.request.temperature": 0,
      "gen_ai.conversation.id": "t-1",
      "gen_ai.response.finish_reasons": ["stop"],
      "perf.cache.status": "miss",
    });
    expect(miss?.["perf.cost_usd"]).toBeGreaterThan(0);
    expect(hit).toMatchObject({ "perf.cache.status": "hit", "perf.cache.tier": "memory", "gen_ai.usage.input_tokens": 0, "perf.cost_usd": 0 });
    expect(hit?.["perf.saved_usd"]).toBe(miss?.["perf.cost_usd"]);
  });

  it("show embeddings below the retriever that asked for them, and a cached one too", async () => {
    const embeddings = new OpenAIEmbeddings({ model: "text-embedding-3-small", apiKey: "sk-test", configuration: { baseURL: simulator.baseURL } });
    const store = await MemoryVectorStore.fromTexts(["a river", "a lake"], [{}, {}], embeddings);
    exporter.reset();
    const retriever = withPerf(store.asRetriever(1), createPerf());
    await retriever.invoke("water");
    await retriever.invoke("water");
    expect(treeOf(spans())).toEqual([
      "retrieval VectorStoreRetriever",
      "retrieval VectorStoreRetriever",
      "retrieval VectorStoreRetriever > embeddings text-embedding-3-small",
      "retrieval VectorStoreRetriever > embeddings text-embedding-3-small",
      "retrieval VectorStoreRetriever > embeddings text-embedding-3-small > POST",
    ]);
  });

  it("show a bare embedding and a request inside a function below the function's run", async () => {
    const embeddings = new OpenAIEmbeddings({ model: "text-embedding-3-small", apiKey: "sk-test", configuration: { baseURL: simulator.baseURL } });
    const lambda = RunnableLambda.from(async (text: string) => {
      await fetch(`${simulator.baseURL}/models`);
      return (await embeddings.embedQuery(text)).length;
    }).withConfig({ runName: "lookup" });
    const perf = createPerf();
    withPerf(embeddings, perf);
    await withPerf(lambda, perf).invoke("water");
    expect(treeOf(spans())).toEqual(["lookup", "lookup > GET", "lookup > embeddings text-embedding-3-small", "lookup > embeddings text-embedding-3-small > POST"]);
  });

  it("name agents and tools", async () => {
    const weather = tool(({ city }) => `Sunny in ${city}`, { name: "weather", description: "The weather in a city", schema: z.object({ city: z.string() }) });
    const agent = withPerf(createAgent({ model, tools: [weather] }), createPerf());
    await agent.invoke({ messages: [{ role: "user", content: "What is the weather in Paris?" }] });
    const agents = spans().filter((span) => span.attributes["gen_ai.operation.name"] === "invoke_agent");
    expect(agents).toHaveLength(1);
    expect(agents[0]?.parentSpanContext).toBeUndefined();
    const { attributes } = named("execute_tool weather");
    expect(attributes).toMatchObject({ "gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "weather" });
    expect(attributes["gen_ai.tool.call.id"]).toBeTypeOf("string");
    expect(new Set(spans().map((span) => span.spanContext().traceId)).size).toBe(1);
  });

  it("keep concurrent requests and parallel branches apart", async () => {
    const both = RunnableParallel.from({ left: chain(), right: chain() });
    const fast = withPerf(both, createPerf({ trace: true }));
    await Promise.all(["rain", "snow", "hail"].map((topic) => fast.invoke({ topic })));
    const traces = Map.groupBy(spans(), (span) => span.spanContext().traceId);
    expect(traces.size).toBe(3);
    for (const of of traces.values()) {
      expect(of.filter((span) => span.name === "POST")).toHaveLength(2);
      expect(of.filter((span) => span.name === "chat gpt-4o-mini")).toHaveLength(2);
    }
  });

  it("link a follower to its leader", async () => {
    const fast = withPerf(model, createPerf());
    await Promise.all([fast.invoke("Who leads?"), fast.invoke("Who leads?")]);
    const [leader, follower] = ["leader", "follower"].map((role) => spans().find((span) => span.attributes["perf.coalesced"] === role));
    expect(follower?.links.map((link) => link.context.spanId)).toEqual([leader?.spanContext().spanId]);
    expect(spans().filter((span) => span.name === "POST")).toHaveLength(1);
  });

  it("tell an error by its type, and carry no content unless asked", async () => {
    simulator.fault({ kind: "status", status: 400, times: 1 });
    const failing = new ChatOpenAI({ model: "gpt-4o-mini", apiKey: "sk-test", maxRetries: 0, configuration: { baseURL: simulator.baseURL } });
    await expect(withPerf(failing, createPerf()).invoke("my secret question")).rejects.toThrow();
    const { attributes, status } = named("chat gpt-4o-mini");
    expect(status.code).toBe(2);
    expect(attributes["error.type"]).toBeDefined();
    expect(JSON.stringify(spans().map((span) => span.attributes))).not.toContain("secret question");
  });

  it("carry redacted content when asked", async () => {
    const perf = createPerf({ trace: { captureContent: true, redact: (text) => text.replaceAll(/\d{4}/g, "****") } });
    await withPerf(chain(), perf).invoke({ topic: "card 1234" });
    const { attributes } = named("chat gpt-4o-mini");
    expect(JSON.parse(attributes["gen_ai.input.messages"] as string)).toEqual([{ role: "user", parts: [{ type: "text", content: "Say something about card ****." }] }]);
    expect(JSON.parse(attributes["gen_ai.output.messages"] as string)[0]).toMatchObject({ role: "assistant" });
    expect(JSON.stringify(spans().map((span) => span.attributes))).not.toContain("1234");
  });

  it("come from the handler alone where nothing is wrapped", async () => {
    await chain().invoke({ topic: "seas" }, { callbacks: [createPerf().handler] });
    expect(treeOf(spans()).filter((path) => !path.endsWith("POST"))).toEqual([
      "RunnableSequence",
      "RunnableSequence > ChatPromptTemplate",
      "RunnableSequence > StrOutputParser",
      "RunnableSequence > chat gpt-4o-mini",
    ]);
  });
});
