import type { Clock } from "../core/clock.ts";
import { PerfError } from "../core/errors.ts";
import type { Call, Layer, Next } from "../core/layer.ts";
import { fromNext } from "../core/parts.ts";
import { pause } from "../core/pause.ts";
import { statusOf } from "../core/retry-after.ts";

/** The first wait, doubled with each further attempt, milliseconds: what LangChain's own caller does. */
const BASE_DELAY_MS = 1_000;
const MAX_DELAY_MS = 30_000;

/**
 * Makes failed requests again, by the rules and as often as LangChain's caller would have done inside: from here each attempt takes a permit of its own, and
 * none is held during the wait between two.
 */
export class Retry implements Layer {
  readonly name = "retry";
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  handle(call: Call, next: Next): AsyncIterable<unknown> {
    if (!call.kind.estimate) return next(call);
    const request = new RetriedRequest(call, next, this.#clock);
    return fromNext(() => request.next(), () => request.leave());
  }
}

/** A failure after which the request may be made again. */
interface Failure {
  readonly error: unknown;
  readonly maxRetries: number;
}

/** One request, in as many attempts as it takes to its first part: what was begun cannot be begun again. */
class RetriedRequest {
  readonly #call: Call;
  readonly #next: Next;
  readonly #clock: Clock;
  #source: AsyncIterator<unknown> | undefined;
  #hasBegun = false;
  /** What the attempt under way has failed of. */
  #failure: Failure | undefined;

  constructor(call: Call, next: Next, clock: Clock) {
    this.#call = call;
    this.#next = next;
    this.#clock = clock;
  }

  next(): Promise<IteratorResult<unknown>> {
    return this.#hasBegun && this.#source ? this.#source.next() : this.#begin();
  }

  leave(): PromiseLike<unknown> | undefined {
    return this.#source?.return?.();
  }

  async #begin(): Promise<IteratorResult<unknown>> {
    let before: Failure | undefined;
    for (let attempt = 1; ; attempt += 1) {
      try {
        const result = await this.#attempt();
        // A class may swallow its failure: its answer counts when there are no more attempts.
        if (this.#call.mode !== "invoke" || !(await this.#mayTryAgain(attempt))) {
          this.#hasBegun = true;
          return result;
        }
        await this.leave();
      } catch (error) {
        if (this.#call.signal?.aborted) throw error;
        // Without a permit in time there is no further attempt, and the last one is what the call has failed of.
        if (PerfError.isInstance(error)) throw before ? before.error : error;
        if (!(await this.#mayTryAgain(attempt))) throw error;
      }
      before = this.#failure;
    }
  }

  #attempt(): Promise<IteratorResult<unknown>> {
    this.#failure = undefined;
    const failed = (error: unknown, maxRetries: number): void => void (this.#failure = { error, maxRetries });
    this.#source = this.#next(this.#call.with({ attempt: { hasPermit: false, failed } }))[Symbol.asyncIterator]();
    return this.#source.next();
  }

  /** Waits as long as it takes. */
  async #mayTryAgain(attempt: number): Promise<boolean> {
    if (!this.#failure || attempt > this.#failure.maxRetries) return false;
    const { signal, control: { deadlineAt = Infinity } } = this.#call;
    const delayMs = waitsByItself(this.#failure.error) ? 0 : Math.min(MAX_DELAY_MS, (1 + Math.random()) * BASE_DELAY_MS * 2 ** (attempt - 1));
    if (this.#clock.elapsed() + delayMs > deadlineAt) return false;
    await pause(delayMs, signal);
    return true;
  }
}

/** Whether the limits wait as long as the refusal asks for. */
function waitsByItself(error: unknown): boolean {
  return statusOf(error) === 429;
}
