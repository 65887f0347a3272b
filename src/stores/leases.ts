import type { Call } from "../core/layer.ts";

/** Packs what leaves this process, as the cache does: encrypted where the options say so, and bound to its call's tenant and to its place. */
export interface FrameSealer {
  seal(call: Call, place: string, bytes: Uint8Array): Uint8Array;
  /** What `seal` packed for an equal call and the same place; throws on anything else. */
  open(call: Call, place: string, bytes: Uint8Array): Uint8Array;
}

/** Who asks for a lease. */
export interface Applicant {
  /** Names the call; followers hear it. */
  readonly id: string;
  /** How the call wants its answer. */
  readonly mode: string;
  /** Answers begun longer ago than this must not be followed, milliseconds; Infinity = all may. */
  readonly maxAgeMs: number;
}

/** How an answer goes on: it grows, is whole, is kept by its leader alone, or nobody works on it any more. */
export type AnswerState = "open" | "done" | "unshared" | "gone";

/** What became of an application: one leads, follows whoever leads, or is alone, where somebody leads whom one may not follow. */
export type Joined =
  | { readonly role: "leader"; readonly lease: Lease }
  | { readonly role: "follower"; readonly live: LiveAnswer }
  | { readonly role: "alone" };

/** What a leader adds to its answer. */
export interface Addition {
  /** Counts from 1; one that is there already is not added again. */
  readonly number: number;
  /** Absent when there is nothing to add but the state. */
  readonly frame: Uint8Array | undefined;
  /** `retired`: it goes on for those who follow, and nobody else may. */
  readonly state: "open" | "retired" | "done" | "unshared";
  /** How long a whole answer can still be followed by newcomers, milliseconds. */
  readonly resumableMs: number;
}

/** The right to answer for all processes. It ends by itself when it is not renewed. */
export interface Lease {
  /** Unique among all leases. */
  readonly token: string;
  /** Renew it several times in this time, milliseconds. */
  readonly durationMs: number;
  /** Adds, tells the followers, and renews. Rejects when that is not certain. @returns whether the lease is still ours; if not, nothing was added */
  add(addition: Addition): Promise<boolean>;
  /** @returns whether the lease is still ours */
  renew(): Promise<boolean>;
  /** Gives it up without an answer, so that somebody else can have it at once. */
  release(): Promise<void>;
}

/** Another's answer while it grows, and for a while after. */
export interface LiveAnswer {
  readonly token: string;
  readonly leaderId: string;
  readonly mode: string;
  /** How long it has been whole, milliseconds; 0 = it still grows. */
  readonly ageMs: number;
  /** What comes after the first `have` frames; the state is `open` as long as there may be more. */
  read(have: number): Promise<{ readonly frames: readonly Uint8Array[]; readonly state: AnswerState }>;
  /** Hears when there may be more to read; not always. @returns a function that ends the hearing */
  listen(hear: () => void): () => void;
}

/** Decides which process asks for an answer that several want, and carries the answer to the others. */
export interface Leases {
  join(key: string, applicant: Applicant): Promise<Joined>;
}
