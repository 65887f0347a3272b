import { describe, expect, it } from "vitest";
import { describeMatrix } from "./harness.ts";
import { agentShapes } from "./shapes/agents.ts";
import { chainShapes } from "./shapes/chains.ts";
import { graphShapes } from "./shapes/graphs.ts";
import { modelShapes } from "./shapes/models.ts";
import { retrievalShapes } from "./shapes/retrieval.ts";

const shapes = [...modelShapes, ...chainShapes, ...retrievalShapes, ...agentShapes, ...graphShapes];

/** The shapes that the library promises to leave unchanged. */
const PROMISED = [
  "model alone",
  "prompt | model",
  "prompt | model | parser",
  "RunnableMap",
  "RunnableBranch",
  "RunnableLambda with the model in its closure",
  "RunnableLambda that returns a runnable",
  "RunnablePassthrough.assign",
  "withConfig",
  "bind",
  "bindTools",
  "withStructuredOutput",
  "withFallbacks",
  "withRetry",
  "withRetry around a parser that refuses the first answer",
  "RunnableEach (map)",
  "RunnableWithMessageHistory",
  "retriever chain with MemoryVectorStore",
  "retriever inside a closure",
  "tool alone",
  "model + tool loop",
  "initChatModel",
  "createAgent",
  "createAgent with structured response",
  "StateGraph with function nodes",
  "a subgraph",
  "an LLM (not chat)",
];

describeMatrix(shapes);

describe("the matrix", () => {
  it("has every promised shape, each once", () => {
    const names = shapes.map(({ name }) => name);
    expect(names).toEqual(expect.arrayContaining(PROMISED));
    expect(new Set(names).size).toBe(names.length);
  });
});
