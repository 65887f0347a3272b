import { HumanMessage, type BaseMessage } from "@langchain/core/messages";
import { RunnableLambda } from "@langchain/core/runnables";
import { type LangGraphRunnableConfig, MemorySaver } from "@langchain/langgraph";
import { createAgent, toolStrategy } from "langchain";
import { z } from "zod";
import { defaultReply, type FakeReply } from "../../../support/fakes/chat-model.ts";
import type { FakeKit } from "../../../support/fakes/kit.ts";
import type { FakeRequest } from "../../../support/fakes/request.ts";
import { AGENT_METHODS } from "../methods.ts";
import type { Shape } from "../shape.ts";

const ask = (content: string): { messages: { role: string; content: string }[] } => ({ messages: [{ role: "user", content }] });
const questions = [ask("How is the sea?"), ask("How is the sky?")] as const;
const report = z.object({ summary: z.string(), certain: z.boolean() });
const thread: Shape["config"] = (run) => ({ configurable: { thread_id: `thread-${run}` } });

/** Two tools that tell LangGraph's writer, where there is one, what they look up. */
const tools = (kit: FakeKit) =>
  ["weather", "tides"].map((name) =>
    kit.tool({
      name,
      run: ({ topic }, config) => {
        (config as LangGraphRunnableConfig).writer?.({ looking: name });
        return `${name} of ${topic}`;
      },
    }),
  );

/** Text and a tool call in one answer. (Not for v3 events: LangChain's bridge puts both into one block and loses the call.) */
function thinkAloud(request: FakeRequest): FakeReply {
  const reply = defaultReply(request);
  return typeof reply === "string" ? reply : { text: "Let me look.", ...reply };
}

/** Tools, and models that call them. */
export const agentShapes: Shape[] = [
  { name: "tool alone", make: (kit) => kit.tool({ name: "weather" }), inputs: [{ topic: "rain" }, { topic: "snow" }] },
  {
    name: "model + tool loop",
    make: (kit) => {
      const byName = new Map(tools(kit).map((tool) => [tool.name, tool]));
      const model = kit.chat({ reply: thinkAloud }).bindTools([...byName.values()]);
      return RunnableLambda.from(async (question: string) => {
        const messages: BaseMessage[] = [new HumanMessage(question)];
        for (;;) {
          const answer = await model.invoke(messages);
          messages.push(answer);
          if (!answer.tool_calls?.length) return messages;
          for (const call of answer.tool_calls) messages.push(await byName.get(call.name)!.invoke({ ...call, type: "tool_call" }));
        }
      });
    },
    inputs: ["How is the sea?", "How is the sky?"],
  },
  {
    name: "createAgent",
    make: (kit) => createAgent({ model: kit.chat(), tools: tools(kit), systemPrompt: "Be brief.", checkpointer: new MemorySaver() }),
    inputs: questions,
    methods: AGENT_METHODS,
    config: thread,
  },
  {
    name: "createAgent whose model calls two tools at once",
    make: (kit) => {
      const model = kit.chat({
        reply: ({ messages, text, digest }) =>
          messages.at(-1)?.type === "tool"
            ? `[${digest}] ${text}`
            : { toolCalls: ["weather", "tides"].map((name) => ({ name, args: { topic: text } })) },
      });
      return createAgent({ model, tools: tools(kit), checkpointer: new MemorySaver() });
    },
    inputs: questions,
    methods: AGENT_METHODS,
    config: thread,
  },
  {
    name: "createAgent with structured response",
    make: (kit) =>
      createAgent({ model: kit.chat(), tools: tools(kit), responseFormat: toolStrategy(report), checkpointer: new MemorySaver() }),
    inputs: questions,
    methods: AGENT_METHODS,
    config: thread,
  },
  {
    name: "createAgent with a plain schema as response format",
    make: (kit) => createAgent({ model: kit.chat(), tools: tools(kit), responseFormat: report, checkpointer: new MemorySaver() }),
    inputs: questions,
    methods: AGENT_METHODS,
    config: thread,
    // LangChain numbers the extraction tool anew for each call of the model, so no two requests are equal.
    warmCounts: (bare) => bare,
  },
];
