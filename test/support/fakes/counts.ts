/** How often the fakes of one kit were really called, by the kinds of `CallFacts`. */
export interface CallCounts {
  chat: number;
  llm: number;
  embeddings: number;
  retriever: number;
  tool: number;
}

export const COUNTED_KINDS = ["chat", "llm", "embeddings", "retriever", "tool"] as const satisfies (keyof CallCounts)[];

export function noCalls(): CallCounts {
  return { chat: 0, llm: 0, embeddings: 0, retriever: 0, tool: 0 };
}

/** The calls made between two snapshots. */
export function callsSince(before: CallCounts, now: CallCounts): CallCounts {
  const calls = noCalls();
  for (const kind of COUNTED_KINDS) calls[kind] = now[kind] - before[kind];
  return calls;
}
