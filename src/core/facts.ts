/** What kind of thing was called; `function` is one of `perf.cached`. */
export type KindName = "chat" | "llm" | "embeddings" | "retriever" | "tool" | "chain" | "function";

/** Where an answer was kept. */
export type TierName = "memory" | "redis" | "persistent";

/** Tokens of one answer. */
export interface Usage {
  inputTokens: number;
  outputTokens: number;
  /** The share of `inputTokens` that the provider's own prompt cache had. */
  cachedInputTokens?: number;
}

/** What the cache did for a call. */
export interface CacheFacts {
  /** `stale`: an answer past its time was given, because a newer one is on its way or could not be had. */
  status: "hit" | "stale" | "miss" | "bypass";
  tier?: TierName;
  /** Tiers that failed or did not answer in time. */
  failedTiers?: TierName[];
  /** Age of what answered, milliseconds: of an entry or, with `miss`, of an answer that another process had just finished. */
  ageMs?: number;
  /** The entry's key; give it to `perf.cache.explain`. */
  key?: string;
  /** Of a call with several texts, e.g. `embedDocuments`: how many there were, and how many of them the cache had. */
  items?: { total: number; hits: number };
}

/** One request that was made of whoever answers. */
export interface AttemptFacts {
  /** Its `id`; without deployments, the model's name. */
  deployment: string;
  /** Counts from 1. */
  attempt: number;
  /** From when it was tried, waits for limits included, to its end, milliseconds. */
  durationMs: number;
  /** The HTTP status that it failed with. */
  status?: number;
  /**
   * What it failed of, one of a few words: `rate-limited`, `quota`, `auth`, `not-found`, `refused`, `context-length`, `content-filter`, `overloaded`, `server`,
   * `network`, `timeout`, `interrupted`, `unknown`, `program`, `not-accepted` (by `cascade.accept`); `abandoned` = nobody waited for its end. Absent = it answered.
   */
  error?: string;
  /** When whoever failed wants to be asked again, milliseconds. */
  retryAfterMs?: number;
}

/** Who shares an answer has it from the same deployment and model. */
export function copyAnswerer({ deployment, model, requestedModel }: CallFacts, facts: CallFacts): void {
  Object.assign(facts, { deployment, model, ...(requestedModel === undefined ? {} : { requestedModel }) });
}

/** Of calls that made no request. */
export const NO_ATTEMPTS: readonly AttemptFacts[] = Object.freeze([]);

/** Whether the cache gave the answer, fresh or old. */
export function isHit(cache: CacheFacts | undefined): boolean {
  return cache?.status === "hit" || cache?.status === "stale";
}

/** What happened to one call. Produced with tracing off too. */
export interface CallFacts {
  /** Unique in this process. */
  id: string;
  /** LangChain's run, where the run has callbacks. */
  runId?: string;
  parentRunId?: string;
  /** The `id` of the call whose upstream request this one shared. */
  leaderId?: string;
  /** Nobody waits for this call: it refreshes an entry. */
  background?: boolean;
  kind: KindName;
  mode: "invoke" | "stream";
  /** Name of the run, where LangChain gave one. */
  name?: string;
  /** The model that answered, or that was asked while there is no answer. */
  model?: string;
  /** The model that was asked, where another one answered. */
  requestedModel?: string;
  /** Milliseconds since the epoch. */
  startedAt: number;
  durationMs: number;
  /** From the start to the first part with content. */
  timeToFirstTokenMs?: number;
  cache?: CacheFacts;
  coalesced?: "leader" | "follower";
  /** With `batch`: texts in the request that answered this call; where that took several requests, in the largest. */
  batchSize?: number;
  /** How long its request waited for limits, milliseconds; with retries, all of them together. */
  waitMs?: number;
  /** The `id` of the deployment that answered. */
  deployment?: string;
  /** A second deployment was asked, because the first was slow. */
  hedged?: boolean;
  /** The requests that were made, in the order of their beginnings; with routes, which `routing`, `retry`, `timeouts` and `rateLimit` make. */
  attempts: readonly AttemptFacts[];
  /** The tokens of the answer; for a hit or a follower, those that were not spent again. */
  usage?: Usage;
  /** USD, where the model has a price in `pricing`: what this call cost, and what the cache or a leader saved it. */
  costUsd?: number;
  savedUsd?: number;
  tenant?: string;
  tags?: readonly string[];
  error?: { code: string; message: string };
}

const PROCESS = Math.random().toString(36).slice(2, 10);
let calls = 0;

/** An id that is cheap to make and unique among processes for practical purposes. */
export function nextCallId(): string {
  calls += 1;
  return `${PROCESS}-${calls.toString(36)}`;
}

/** How many calls there have been in this process. */
export function callCount(): number {
  return calls;
}

/** An error as facts show it: a code to group by and a message. */
export function errorFacts(error: unknown): { code: string; message: string } {
  if (typeof error !== "object" || error === null) return { code: "UNKNOWN", message: String(error) };
  const { code, status, name, message } = error as { code?: unknown; status?: unknown; name?: unknown; message?: unknown };
  // A DOMException's code is a legacy number that says less than its name.
  const label = [error instanceof DOMException ? name : code, status, name].find((candidate) => typeof candidate === "string" || typeof candidate === "number");
  return { code: String(label ?? "UNKNOWN"), message: String(message ?? error) };
}
