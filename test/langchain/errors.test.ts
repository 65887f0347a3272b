import { RunnableLambda } from "@langchain/core/runnables";
import { StateGraph, MessagesAnnotation, START } from "@langchain/langgraph";
import { describe, expect, it } from "vitest";
import { FakeChatModel } from "../support/fakes/chat-model.ts";
import { FakeEmbeddings } from "../support/fakes/embeddings.ts";
import { FakeRetriever } from "../support/fakes/retriever.ts";
import { fakeTool } from "../support/fakes/tool.ts";
import { allOf, errorOf, WAYS } from "./fixtures/ways.ts";

class QuotaError extends Error {
  readonly status = 429;
}

describe.each(WAYS)("an error of a %s program", (_way, wrap) => {
  const failing = (error: unknown, fields: { failAfterChunks?: number } = {}): FakeChatModel => new FakeChatModel({ failure: () => error, ...fields });

  it("is the model's own object, by invoke, batch and stream", async () => {
    const error = new QuotaError("enough");
    const model = wrap(failing(error));
    expect(await errorOf(model.invoke("Hello"))).toBe(error);
    expect(await errorOf(model.batch(["Hello"]))).toBe(error);
    expect(await errorOf(allOf(model.stream("Hello")))).toBe(error);
    expect(await errorOf(allOf(model.streamEvents("Hello", { version: "v2" })))).toBe(error);
  });

  it("comes after the parts that came before it", async () => {
    const error = new QuotaError("enough");
    const seen: string[] = [];
    const read = async (): Promise<void> => {
      for await (const chunk of await wrap(failing(error, { failAfterChunks: 2 })).stream("Hello")) seen.push(chunk.text);
    };
    expect(await errorOf(read())).toBe(error);
    expect(seen.length).toBe(2);
  });

  it("is the same for all who share a call, and is not kept", async () => {
    const error = new QuotaError("enough");
    const model = new FakeChatModel({ delayMs: 5, failure: ({ attempt }) => (attempt <= 3 ? error : undefined) });
    const shown = wrap(model, { cache: true, coalesce: true });
    const errors = await Promise.all([1, 2, 3].map(() => errorOf(shown.invoke("Hello"))));
    expect(errors).toEqual([error, error, error]);
    expect(errors.every((each) => each === error)).toBe(true);
    while (model.counts.chat < 3) expect(await errorOf(shown.invoke("Hello"))).toBe(error);
    expect((await shown.invoke("Hello")).text).toContain("Hello");
  });

  it("passes through a chain and a graph", async () => {
    const error = new QuotaError("enough");
    const model = failing(error);
    expect(await errorOf(wrap(RunnableLambda.from((text: string) => text).pipe(model)).invoke("Hello"))).toBe(error);
    const graph = new StateGraph(MessagesAnnotation).addNode("ask", async ({ messages }) => ({ messages: await model.invoke(messages) })).addEdge(START, "ask").compile();
    expect(await errorOf(wrap(graph).invoke({ messages: ["Hello"] }))).toBe(error);
  });

  it("may be of any type", async () => {
    for (const thrown of ["a string", 42, null]) expect(await errorOf(wrap(failing(thrown)).invoke("Hello"))).toBe(thrown);
  });

  it("is the embeddings', the retriever's, the tool's", async () => {
    const error = new QuotaError("enough");
    const fail = (): never => {
      throw error;
    };
    const embeddings = wrap(Object.assign(new FakeEmbeddings(), { embedQuery: async () => fail() }));
    expect(await errorOf(embeddings.embedQuery("Hello"))).toBe(error);
    const retriever = wrap(Object.assign(new FakeRetriever({ documents: [] }), { _getRelevantDocuments: async () => fail() }));
    expect(await errorOf(retriever.invoke("Hello"))).toBe(error);
    const tool = wrap(fakeTool({ name: "weather", run: fail }));
    expect(await errorOf(tool.invoke({ topic: "Hello" }))).toBe(error);
  });

  it("of a tool's schema keeps its class", async () => {
    const error = await errorOf(wrap(fakeTool({ name: "weather" })).invoke({ topic: 42 } as never));
    expect((error as Error).constructor.name).toBe("ToolInputParsingException");
  });
});
