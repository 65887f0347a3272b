import { SystemMessage } from "@langchain/core/messages";
import {
  Annotation,
  END,
  entrypoint,
  type LangGraphRunnableConfig,
  MemorySaver,
  MessagesAnnotation,
  START,
  StateGraph,
  task,
} from "@langchain/langgraph";
import { ToolNode, toolsCondition } from "@langchain/langgraph/prebuilt";
import type { FakeKit } from "../../../support/fakes/kit.ts";
import { GRAPH_METHODS } from "../methods.ts";
import type { Shape } from "../shape.ts";

const ask = (content: string): { messages: { role: string; content: string }[] } => ({ messages: [{ role: "user", content }] });
const conversations = [ask("How is the sea?"), ask("How is the sky?")] as const;
const thread: Shape["config"] = (run, index) => ({ configurable: { thread_id: `thread-${run}-${index}` } });

const Notes = Annotation.Root({
  topic: Annotation<string>,
  notes: Annotation<string[]>({ reducer: (old, more) => [...old, ...more], default: () => [] }),
});
type Notes = typeof Notes.State;
const topics = [{ topic: "rain" }, { topic: "snow" }] as const;

/** A node that is a plain function: it asks a model it holds and tells the writer. */
function noteTaker(kit: FakeKit, style: string) {
  const model = kit.chat({ model: style });
  return async ({ topic, notes }: Notes, config: LangGraphRunnableConfig): Promise<Partial<Notes>> => {
    config.writer?.({ style, at: notes.length });
    const answer = await model.invoke([new SystemMessage(style), ["human", `${topic}, after ${notes.length} notes`]]);
    return { notes: [answer.text] };
  };
}

/** LangGraph's programs. */
export const graphShapes: Shape[] = [
  {
    name: "StateGraph with function nodes",
    make: (kit) =>
      new StateGraph(Notes)
        .addNode("draft", noteTaker(kit, "rough"))
        .addNode("edit", noteTaker(kit, "polished"))
        .addEdge(START, "draft")
        .addConditionalEdges("draft", ({ topic }) => (topic === "rain" ? "edit" : END))
        .addEdge("edit", END)
        .compile({ checkpointer: new MemorySaver() }),
    inputs: topics,
    methods: GRAPH_METHODS,
    config: thread,
  },
  {
    name: "StateGraph with a model and a tool node",
    make: (kit) => {
      const tools = [kit.tool({ name: "weather" }), kit.tool({ name: "tides" })];
      const model = kit.chat().bindTools(tools);
      return new StateGraph(MessagesAnnotation)
        .addNode("model", async ({ messages }) => ({ messages: [await model.invoke(messages)] }))
        .addNode("tools", new ToolNode(tools))
        .addEdge(START, "model")
        .addConditionalEdges("model", toolsCondition)
        .addEdge("tools", "model")
        .compile({ checkpointer: new MemorySaver() });
    },
    inputs: conversations,
    methods: GRAPH_METHODS,
    config: thread,
  },
  {
    name: "a subgraph",
    make: (kit) => {
      const inner = new StateGraph(Notes)
        .addNode("research", noteTaker(kit, "curious"))
        .addNode("doubt", noteTaker(kit, "sceptical"))
        .addEdge(START, "research")
        .addEdge("research", "doubt")
        .compile();
      return new StateGraph(Notes)
        .addNode("team", inner)
        .addNode("edit", noteTaker(kit, "polished"))
        .addEdge(START, "team")
        .addEdge("team", "edit")
        .compile({ checkpointer: new MemorySaver() });
    },
    inputs: topics,
    methods: GRAPH_METHODS,
    config: thread,
  },
  {
    name: "StateGraph with parallel nodes",
    make: (kit) =>
      new StateGraph(Notes)
        .addNode("optimist", noteTaker(kit, "cheerful"))
        .addNode("pessimist", noteTaker(kit, "gloomy"))
        .addNode("judge", noteTaker(kit, "fair"))
        .addEdge(START, "optimist")
        .addEdge(START, "pessimist")
        .addEdge(["optimist", "pessimist"], "judge")
        .compile({ checkpointer: new MemorySaver() }),
    inputs: topics,
    methods: GRAPH_METHODS,
    config: thread,
  },
  {
    name: "the functional API",
    make: (kit) => {
      const model = kit.chat();
      const write = task("write", async (topic: string) => (await model.invoke(`Write about ${topic}`)).text);
      return entrypoint({ name: "essay", checkpointer: new MemorySaver() }, async (topic: string) => {
        const first = await write(topic);
        return write(`${topic}, better than ${first}`);
      });
    },
    inputs: ["rain", "snow"],
    methods: GRAPH_METHODS,
    config: thread,
  },
];
