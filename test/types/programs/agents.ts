import "langchain-perf/register";
import type { BaseChatModel } from "@langchain/core/language_models/chat_models";
import { tool } from "@langchain/core/tools";
import { MessagesAnnotation, StateGraph } from "@langchain/langgraph";
import { createAgent } from "langchain";
import { perfMiddleware } from "langchain-perf/agent";
import { createPerf, withPerf } from "langchain-perf";
import { z } from "zod";
import { type Same, yes } from "./same.js";

declare const model: BaseChatModel;
const perf = createPerf();

const search = tool(({ query }) => `found ${query}`, { name: "search", description: "Searches.", schema: z.object({ query: z.string() }) });
const wrappedTool = search.withPerf();
yes<Same<typeof wrappedTool, typeof search>>();

const plain = createAgent({ model, tools: [search] });
const wrappedPlain = plain.withPerf(perf);
yes<Same<typeof wrappedPlain, typeof plain>>();

const structured = createAgent({
  model,
  tools: [search],
  responseFormat: z.object({ rating: z.number() }),
  contextSchema: z.object({ user: z.string() }),
  middleware: [perfMiddleware(perf)],
});
const wrapped = structured.withPerf({ cache: true });
yes<Same<typeof wrapped, typeof structured>>();
const byFunction = withPerf(structured);
yes<Same<typeof byFunction, typeof structured>>();

export async function rate(): Promise<number> {
  const { structuredResponse } = await wrapped.invoke({ messages: [{ role: "user", content: "?" }] }, { context: { user: "u" } });
  yes<Same<typeof structuredResponse, { rating: number }>>();
  // @ts-expect-error the context's type is kept
  await wrapped.invoke({ messages: [] }, { context: { user: 1 } });
  return structuredResponse.rating;
}

const graph = new StateGraph(MessagesAnnotation)
  .addNode("ask", async ({ messages }) => ({ messages: [await model.invoke(messages)] }))
  .addEdge("__start__", "ask")
  .compile();
const wrappedGraph = graph.withPerf();
yes<Same<typeof wrappedGraph, typeof graph>>();

// @ts-expect-error an unknown option
plain.withPerf({ nonsense: 1 });
// @ts-expect-error neither options nor a perf
structured.withPerf("fast");
