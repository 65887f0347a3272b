import type { Clock } from "./clock.ts";
import { DeadlineError } from "./errors.ts";
import type { CallStream } from "./stream.ts";
import { Sweeper } from "./sweeper.ts";

/** The streams that are under way, of which those that nobody reads are ended. */
export class OpenStreams {
  readonly #streams = new Set<CallStream>();
  readonly #clock: Clock;
  readonly #idleConsumerMs: number;
  readonly #sweeper: Sweeper;

  /** @param idleConsumerMs a stream that is not read for this long ends; `Infinity` = none does */
  constructor(clock: Clock, idleConsumerMs: number) {
    this.#clock = clock;
    this.#idleConsumerMs = idleConsumerMs;
    this.#sweeper = new Sweeper(idleConsumerMs, () => this.#sweep());
  }

  get size(): number {
    return this.#streams.size;
  }

  add(stream: CallStream): void {
    this.#streams.add(stream);
    this.#sweeper.start();
  }

  delete(stream: CallStream): void {
    this.#streams.delete(stream);
    if (this.#streams.size === 0) this.#sweeper.stop();
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
