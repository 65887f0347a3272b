/** A promise that the test settles. */
export class Gate<T = void> {
  readonly promise: Promise<T>;
  readonly open: (value: T) => void;
  readonly fail: (error: unknown) => void;

  constructor() {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    promise.catch(() => {});
    this.promise = promise;
    this.open = resolve;
    this.fail = reject;
  }
}

/** Parts that the test lets out one by one. */
export class Faucet<T> implements AsyncIterable<T> {
  readonly #parts: { part?: T; error?: unknown; end?: true }[] = [];
  #wake: (() => void) | undefined;
  /** How many parts were asked for. */
  asked = 0;
  /** Whether the reader closed the stream before its end. */
  closed = false;

  push(...parts: T[]): void {
    for (const part of parts) this.#parts.push({ part });
    this.#wake?.();
  }

  end(): void {
    this.#parts.push({ end: true });
    this.#wake?.();
  }

  fail(error: unknown): void {
    this.#parts.push({ error });
    this.#wake?.();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T> {
    try {
      for (;;) {
        this.asked += 1;
        while (this.#parts.length === 0) await new Promise<void>((resolve) => (this.#wake = resolve));
        const next = this.#parts.shift()!;
        if ("error" in next) throw next.error;
        if (next.end) return;
        yield next.part as T;
      }
    } finally {
      this.closed = true;
    }
  }
}

/** Lets everything that is ready to run do so: timers of zero and all promises behind them. */
export async function settle(): Promise<void> {
  for (let round = 0; round < 5; round += 1) await new Promise<void>((resolve) => setImmediate(resolve));
}
