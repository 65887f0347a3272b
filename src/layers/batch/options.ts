import type { OptionReader } from "../../core/options.ts";

/**
 * Micro-batching of embeddings: concurrent `embedQuery` and `embedDocuments` calls of the same embeddings object share requests, each
 * call gets its own vectors, and a text that the provider refuses fails its own call alone. Nothing is shared but the way: calls of
 * all tenants, and with `cache: "bypass"`, go together.
 */
export interface BatchOptions {
  /** The most texts in a request, and never more than the embeddings' own `batchSize`; larger calls are split. @default 512 */
  maxBatchSize?: number;
  /** The most tokens in a request, estimated from the length of the texts; a larger text goes alone. @default 300_000 */
  maxBatchTokens?: number;
  /**
   * The longest that a call waits for others to share its request, milliseconds. It waits only while requests are under way and calls
   * come so fast that more are expected, otherwise just to the end of the event loop's turn. 0 = never longer than that. @default 5
   */
  maxWaitMs?: number;
  /**
   * Whether the embeddings embed queries and documents alike, so that queries, too, may share requests: those go by `embedDocuments`.
   * @default as is known of the class: true for LangChain's own of OpenAI, Azure, Mistral, Ollama and Fireworks, otherwise false
   */
  symmetric?: boolean;
}

export interface ResolvedBatch {
  readonly maxBatchSize: number;
  readonly maxBatchTokens: number;
  readonly maxWaitMs: number;
  readonly symmetric: boolean | undefined;
}

/** @throws OptionError */
export function resolveBatch(read: OptionReader): ResolvedBatch {
  return {
    maxBatchSize: read.number("maxBatchSize", { default: 512, min: 1, integer: true }),
    maxBatchTokens: read.number("maxBatchTokens", { default: 300_000, min: 1 }),
    maxWaitMs: read.number("maxWaitMs", { default: 5, min: 0, max: 60_000 }),
    symmetric: read.boolean("symmetric", undefined),
  };
}
