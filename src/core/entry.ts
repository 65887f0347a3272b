import type { KindName } from "./facts.ts";
import type { Answer } from "./layer.ts";

/** An answer as the cache keeps it. Times in milliseconds since the epoch. */
export interface CacheEntry {
  /** Kept as it came, unserialised, and never handed out itself. */
  readonly answer: Answer;
  readonly kind: KindName;
  readonly model: string | undefined;
  readonly storedAt: number;
  readonly freshUntil: number;
  /** Until then it is given at once, while a newer one is fetched. */
  readonly staleUntil: number;
  /** Until then it is given when the model fails. */
  readonly usableUntil: number;
  readonly sizeBytes: number;
  /** The call whose upstream answer this is. */
  readonly writer: string;
  /** Number of the call that asked for it; see `Call.number`. */
  readonly asked: number;
  /** What whoever stored it elsewhere had heard of invalidations; `undefined` for this process's own. */
  readonly known?: { readonly epoch: string; readonly seq: number } | undefined;
  readonly namespace: string;
  readonly tenant: string | undefined;
  tags: readonly string[] | undefined;
}
