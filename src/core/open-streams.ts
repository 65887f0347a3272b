import type { Clock } from "./clock.ts";
import { DeadlineError } from "./errors.ts";
import type { CallStream } from "./stream.ts";

/** The streams that are under way, of which those that nobody reads are ended. */
export class OpenStreams {
  readonly #streams = new Set<CallStream>();
  readonly #clock: Clock;
  readonly #idleConsumerMs: number;
  #sweeper: NodeJS.Timeout | undefined;

  /** @param idleConsumerMs a stream that is not read for this long ends; `Infinity` = none does */
  constructor(clock: Clock, idleConsumerMs: number) {
    this.#clock = clock;
    this.#idleConsumerMs = idleConsumerMs;
  }

  get size(): number {
    return this.#streams.size;
  }

  add(stream: CallStream): void {
    this.#streams.add(stream);
    if (this.#sweeper || this.#idleConsumerMs === Infinity) return;
    this.#sweeper = setInterval(() => this.#sweep(), Math.max(10, this.#idleConsumerMs / 4));
    this.#sweeper.unref();
  }

  delete(stream: CallStream): void {
    this.#streams.delete(stream);
    if (this.#streams.size > 0 || !this.#sweeper) return;
    clearInterval(this.#sweeper);
    this.#sweeper = undefined;
  }

  #sweep(): void {
    const now = this.#clock.elapsed();
    for (const stream of this.#streams) {
      if (stream.idleSinceMs !== undefined && now - stream.idleSinceMs >= this.#idleConsumerMs) {
        stream.expire(new DeadlineError(`Nobody read this stream for ${this.#idleConsumerMs} ms (timeouts.idleConsumerMs).`));
      }
    }
  }
}
