import type { OptionReader } from "../../core/options.ts";

/**
 * Micro-batching of embeddings: concurrent `embedQuery` and `embedDocuments` calls of the same embeddings object share requests, each
 * call gets its own vectors, and a text that the provider refuses fails its own call alone. Nothing is shared but the way: calls of
 * all tenants, and with `cache: "bypass"`, go together.
 */
export interface BatchOptions {
  /** The most texts in a request, and never more than the embeddings' own `batchSize`; larger calls are split. @default that `batchSize`, or 512 where there is none */
  maxBatchSize?: number;
  /** The most tokens in a request, estimated from the length of the texts; a larger text goes alone. @default 300_000, or half of `rateLimit.tokensPerMinute` if that is less */
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
  readonly maxBatchSize: number | undefined;
  readonly maxBatchTokens: number | undefined;
  readonly maxWaitMs: number;
  readonly symmetric: boolean | undefined;
}

/** @throws OptionError */
export function resolveBatch(read: OptionReader): ResolvedBatch {
  return {
    maxBatchSize: read.number("maxBatchSize", { default: undefined, min: 1, integer: true }),
    maxBatchTokens: read.number("maxBatchTokens", { default: undefined, min: 1 }),
    maxWaitMs: read.number("maxWaitMs", { default: 5, min: 0, max: 60_000 }),
    symmetric: read.boolean("symmetric", undefined),
  };
}

/** Of embeddings that say nothing themselves: what OpenAI's ask for at once. */
const TEXTS = 512;

/** The most texts in a request. */
export function batchSizeOf({ maxBatchSize }: ResolvedBatch, own: number | undefined): number {
  return Math.min(maxBatchSize ?? own ?? TEXTS, own ?? Infinity);
}

/** What OpenAI takes at once. */
const TOKENS = 300_000;

/** The most tokens in a request: one that is larger than a quota would never get a permit, and one as large would wait for all others to be past. */
export function batchTokensOf(maxBatchTokens: number | undefined, tokensPerMinute = Infinity): number {
  return maxBatchTokens ?? Math.min(TOKENS, tokensPerMinute / 2);
}
