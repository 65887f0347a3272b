import type { RunnableConfig } from "@langchain/core/runnables";

/** What the matrix calls of a program: a runnable, a graph or an agent. A shape declares which of it exists. */
export interface Program {
  invoke(input: unknown, config?: object): Promise<unknown>;
  batch(inputs: unknown[], config?: object): Promise<unknown[]>;
  stream(input: unknown, config?: object): Promise<AsyncIterable<unknown>>;
  streamEvents(input: unknown, config: object): AsyncIterable<unknown> | Promise<AsyncIterable<unknown>>;
  streamLog(input: unknown, config?: object): AsyncIterable<unknown>;
}

/** One call of a program: two inputs, of which all but `batch` use the first, and a config for each. */
export interface Call {
  inputs: readonly [unknown, unknown];
  config(index: number): RunnableConfig;
}

/** What a caller gets: the result of a promise, or the class of a stream and its chunks, or an error, maybe after some chunks. */
export interface Outcome {
  result?: unknown;
  stream?: string;
  chunks?: unknown[];
  error?: unknown;
}

type See = (value: unknown) => unknown;
type Run = (program: Program, call: Call, see: See) => Promise<Outcome>;

/** Collects a stream. Chunks are noted at the end: LangChain still touches some after it handed them out, and when is chance. */
async function drain(stream: AsyncIterable<unknown>, see: See): Promise<Outcome> {
  const chunks: unknown[] = [];
  let failure: Pick<Outcome, "error"> = {};
  try {
    for await (const chunk of stream) chunks.push(chunk);
  } catch (error) {
    failure = { error: see(error) };
  }
  return { stream: `${Object.prototype.toString.call(stream)} ${stream.constructor.name}`, chunks: chunks.map(see), ...failure };
}

const streamWith =
  (options: object): Run =>
  async (program, { inputs, config }, see) =>
    drain(await program.stream(inputs[0], { ...config(0), ...options }), see);

const eventsOf =
  (version: "v2" | "v3"): Run =>
  async (program, { inputs, config }, see) =>
    drain(await program.streamEvents(inputs[0], { ...config(0), version }), see);

export const METHODS = {
  invoke: async (program, { inputs, config }, see) => ({ result: see(await program.invoke(inputs[0], config(0))) }),
  batch: async (program, { inputs, config }, see) => ({
    result: see(await program.batch([...inputs], inputs.map((_, index) => config(index)))),
  }),
  stream: streamWith({}),
  "streamEvents v2": eventsOf("v2"),
  "streamEvents v3": eventsOf("v3"),
  streamLog: (program, { inputs, config }, see) => drain(program.streamLog(inputs[0], config(0)), see),
  "stream values": streamWith({ streamMode: "values" }),
  "stream updates": streamWith({ streamMode: "updates" }),
  "stream messages": streamWith({ streamMode: "messages" }),
  "stream debug": streamWith({ streamMode: "debug" }),
  "stream custom": streamWith({ streamMode: "custom" }),
  "stream tasks": streamWith({ streamMode: "tasks" }),
  "stream checkpoints": streamWith({ streamMode: "checkpoints" }),
  "stream tools": streamWith({ streamMode: "tools" }),
  "stream [updates, messages, custom]": streamWith({ streamMode: ["updates", "messages", "custom"] }),
  "stream [values, messages] with subgraphs": streamWith({ streamMode: ["values", "messages"], subgraphs: true }),
} satisfies Record<string, Run>;

export type MethodName = keyof typeof METHODS;

export const RUNNABLE_METHODS: readonly MethodName[] = ["invoke", "batch", "stream", "streamEvents v2", "streamLog"];

export const STREAM_MODES = (Object.keys(METHODS) as MethodName[]).filter((name) => name.startsWith("stream "));

export const GRAPH_METHODS: readonly MethodName[] = [...RUNNABLE_METHODS, "streamEvents v3", ...STREAM_MODES];

/** `createAgent` gives no Runnable: it has neither `batch` nor `streamLog`. */
export const AGENT_METHODS: readonly MethodName[] = GRAPH_METHODS.filter((name) => name !== "batch" && name !== "streamLog");
