import { AsyncLocalStorage } from "node:async_hooks";
import type { Call, Joining, Next } from "../../core/layer.ts";

/** What an asker has to do with a request that is under way. */
export interface Leavable {
  /** One of those it is made for needs no answer any more. */
  left(reason: unknown): void;
}

/** A call that waits for the answers to its texts; they may come by several requests. */
export class Asker {
  readonly call: Call;
  readonly next: Next;
  readonly joining: Joining;
  readonly texts: readonly string[];
  /** Runs work as if the caller had called it. */
  readonly inContext = AsyncLocalStorage.snapshot();
  readonly promise: Promise<unknown>;
  /** Requests under way for it. */
  readonly requests = new Set<Leavable>();
  isDone = false;
  readonly #done: (asker: Asker) => void;
  readonly #answers: unknown[];
  #missing: number;
  readonly #resolve: (part: unknown) => void;
  readonly #reject: (error: unknown) => void;

  /** @param done called once, when it needs nothing any more */
  constructor(call: Call, next: Next, joining: Joining, done: (asker: Asker) => void) {
    this.call = call;
    this.next = next;
    this.joining = joining;
    this.texts = joining.texts(call.input);
    this.#answers = Array.from({ length: this.texts.length });
    this.#missing = this.texts.length;
    this.#done = done;
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    this.promise = promise;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  /** The answers to its texts from `from` on. */
  answer(from: number, answers: readonly unknown[]): void {
    if (this.isDone) return;
    for (const [at, answer] of answers.entries()) this.#answers[from + at] = answer;
    this.#missing -= answers.length;
    if (this.#missing === 0) this.finish(this.joining.part(this.call.input, this.#answers));
  }

  finish(part: unknown): void {
    if (this.#end()) this.#resolve(part);
  }

  /** What is under way for it goes on for the others alone. */
  fail(error: unknown): void {
    if (!this.#end()) return;
    this.#reject(error);
    for (const request of this.requests) request.left(error);
  }

  #end(): boolean {
    if (this.isDone) return false;
    this.isDone = true;
    this.#done(this);
    return true;
  }
}

/** Some of a call's texts, `to` not included. */
export interface Slice {
  readonly asker: Asker;
  readonly from: number;
  readonly to: number;
}
