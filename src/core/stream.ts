import { ignore, type LinkedAbort } from "./abort.ts";

/** A call under way: where its parts come from, and what ends it early. */
export interface OpenCall {
  readonly source: AsyncIterator<unknown>;
  /** Aborted first whenever the stream ends early. */
  readonly abort: LinkedAbort;
}

/** What a `CallStream` needs of the engine. */
export interface StreamHooks {
  /** Starts the call; asked when the first part is wanted. */
  open(): OpenCall;
  /** The part as this reader may have it. */
  deliver(part: unknown): unknown;
  /** See `Request.afterPart`. */
  afterPart: ((part: unknown) => Promise<void> | void) | undefined;
  /** Called once. `error` is `undefined` when the source gave its last part. */
  ended(error: unknown): void;
  /** Monotonic milliseconds. */
  elapsed(): number;
}

/** Nothing delivered yet that a token callback would be owed for. */
const NOTHING = Symbol("nothing");

/**
 * A call's stream as its reader sees it. Unlike an async generator's, its `return()` does not queue behind a pending
 * `next()`: it aborts the call first, so that whatever the call holds is released at once.
 */
export class CallStream implements AsyncGenerator<unknown, void, undefined> {
  readonly #hooks: StreamHooks;
  #open: OpenCall | undefined;
  /** The last answer that was promised. */
  #queue: Promise<IteratorResult<unknown, void>> = Promise.resolve({ done: true, value: undefined });
  #rejectPending: ((reason: unknown) => void) | undefined;
  #last: unknown = NOTHING;
  #failure: { error: unknown } | undefined;
  #ended = false;
  /** When the reader last got a part and did not come back since; `undefined` while it waits for one. */
  idleSinceMs: number | undefined;

  constructor(hooks: StreamHooks) {
    this.#hooks = hooks;
  }

  next(): Promise<IteratorResult<unknown, void>> {
    // Who asks again before the last part has come is answered after it.
    if (this.#rejectPending) return (this.#queue = this.#queue.then(() => this.next(), () => this.next()));
    const step = this.#next();
    this.#queue = step;
    return step;
  }

  #next(): Promise<IteratorResult<unknown, void>> {
    if (this.#failure) return this.#takeFailure();
    if (this.#ended) return Promise.resolve({ done: true, value: undefined });
    this.idleSinceMs = undefined;
    const last = this.#last;
    if (last === NOTHING || !this.#hooks.afterPart) return this.#pull();
    this.#last = NOTHING;
    const after = this.#hooks.afterPart(last);
    return after ? after.then(() => this.#pull(), (error: unknown) => this.throw(error)) : this.#pull();
  }

  async return(): Promise<IteratorResult<unknown, void>> {
    await this.#close(new DOMException("The consumer closed the stream.", "AbortError"));
    return { done: true, value: undefined };
  }

  async throw(error: unknown): Promise<IteratorResult<unknown, void>> {
    await this.#close(error);
    throw error;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }

  /** Ends a stream from outside; its reader gets `error` at once if it waits, or when it comes back. */
  expire(error: unknown): void {
    if (this.#ended) return;
    if (!this.#rejectPending) this.#failure = { error };
    void this.#close(error);
  }

  #pull(): Promise<IteratorResult<unknown, void>> {
    return new Promise((resolve, reject) => {
      if (this.#ended) return resolve({ done: true, value: undefined });
      const fail = (error: unknown): void => {
        this.#rejectPending = undefined;
        this.#end(error);
        reject(error);
      };
      this.#rejectPending = fail;
      try {
        this.#open ??= this.#start();
      } catch (error) {
        return fail(error);
      }
      // It may have started with a signal that was aborted already.
      if (this.#ended) return;
      this.#open.source.next().then((result) => {
        if (this.#rejectPending !== fail) return;
        this.#rejectPending = undefined;
        if (!result.done) return resolve({ done: false, value: this.#deliver(result.value) });
        this.#end(undefined);
        resolve({ done: true, value: undefined });
      }).catch(fail);
    });
  }

  #start(): OpenCall {
    const open = this.#hooks.open();
    const { signal } = open.abort;
    this.#open = open;
    if (signal.aborted) this.expire(signal.reason);
    else signal.addEventListener("abort", () => this.expire(signal.reason), { once: true });
    return open;
  }

  #deliver(part: unknown): unknown {
    const delivered = this.#hooks.deliver(part);
    this.#last = delivered;
    this.idleSinceMs = this.#hooks.elapsed();
    return delivered;
  }

  /** Tells everyone concerned. The source is waited for only where it is at rest: a part under way may never come. */
  async #close(reason: unknown): Promise<void> {
    if (this.#ended) return;
    const rejectPending = this.#rejectPending;
    this.#end(reason);
    this.#open?.abort.abort(reason);
    rejectPending?.(reason);
    const unwound = Promise.resolve(this.#open?.source.return?.()).catch(ignore);
    if (!rejectPending) await unwound;
  }

  #end(error: unknown): void {
    if (this.#ended) return;
    this.#ended = true;
    if (!this.#open) return;
    this.#open.abort.release();
    this.#hooks.ended(error);
  }

  #takeFailure(): Promise<never> {
    const { error } = this.#failure as { error: unknown };
    this.#failure = undefined;
    return Promise.reject(error);
  }
}
