import type { RunnableConfig } from "@langchain/core/runnables";
import type { CallCounts } from "../../support/fakes/counts.ts";
import type { FakeKit } from "../../support/fakes/kit.ts";
import { type MethodName, type Program, RUNNABLE_METHODS } from "./methods.ts";

/** A program as people write them, and how to call it. */
export interface Shape {
  name: string;
  /** Builds the program afresh, of fresh fakes. */
  make(kit: FakeKit): unknown;
  /** Two inputs; all methods but `batch` use the first. */
  inputs: readonly [unknown, unknown];
  /** @default `RUNNABLE_METHODS` */
  methods?: readonly MethodName[];
  /** The caller's config, for the run of a program (1, 2) and the index of the input. @default {} */
  config?(run: number, index: number): RunnableConfig;
  /**
   * Methods in whose stream events of different runs overtake each other, as the scheduler likes: parallel branches, and
   * the ends of runs, for which LangChain does not wait. Their order is compared within each run only.
   */
  racing?: readonly MethodName[];
  /** Methods whose first run throws, bare and wrapped alike, with the reason as a comment beside it. Nothing of it is cached. */
  throws?: readonly MethodName[];
  /** Methods that are not held against a second, warm run, with the reason as a comment beside it. */
  notWarm?: readonly MethodName[];
  /** The program waits on timers (backoff); they are fired without waiting. @default false */
  skipTimers?: boolean;
  /** Calls that really happen in a second, equal run on a warm cache, where it is not the default. */
  warmCounts?(bare: CallCounts): CallCounts;
}

/** The methods whose stream tells of every run. */
export const EVENT_METHODS: readonly MethodName[] = ["streamEvents v2", "streamLog"];

export type CheckedShape = Required<Omit<Shape, "make">> & { make(kit: FakeKit): Promise<Program> };

/** Models, embeddings: answered by the cache. Retrievers and tools are not cached unless asked. */
function cachedByDefault(bare: CallCounts): CallCounts {
  return { ...bare, chat: 0, llm: 0, embeddings: 0 };
}

export function completeShape(shape: Shape): CheckedShape {
  return {
    methods: RUNNABLE_METHODS,
    config: () => ({}),
    racing: [],
    throws: [],
    notWarm: [],
    skipTimers: false,
    warmCounts: cachedByDefault,
    ...shape,
    make: async (kit) => (await shape.make(kit)) as Program,
  };
}
