interface Waiting<Item, Result> {
  readonly item: Item;
  resolve(result: Result): void;
  reject(error: unknown): void;
}

interface BatcherOptions<Item, Result> {
  /** @returns one result for each item, in their order */
  run(items: readonly Item[]): Promise<readonly Result[]>;
  readonly maxItems: number;
  /** Says when a batch may go; until then it grows. @default at the end of the tick in which it began */
  turn?(go: () => Promise<void>): unknown;
  /** Whether an error may be the fault of one item alone: then each is tried by itself. */
  isOneItemsFault(error: unknown): boolean;
}

/** Makes one request of what is asked for in the same tick. */
export class Batcher<Item, Result> {
  readonly #options: BatcherOptions<Item, Result>;
  #open: Waiting<Item, Result>[] | undefined;

  constructor(options: BatcherOptions<Item, Result>) {
    this.#options = options;
  }

  add(item: Item): Promise<Result> {
    return new Promise((resolve, reject) => {
      if (!this.#open || this.#open.length >= this.#options.maxItems) this.#open = this.#begin();
      this.#open.push({ item, resolve, reject });
    });
  }

  /** What is added from now on goes in another batch. */
  seal(): void {
    this.#open = undefined;
  }

  #begin(): Waiting<Item, Result>[] {
    const batch: Waiting<Item, Result>[] = [];
    const { turn = (go) => go() } = this.#options;
    void turn(async () => {
      await endOfTick();
      if (this.#open === batch) this.seal();
      await this.#settle(batch);
    });
    return batch;
  }

  async #settle(batch: readonly Waiting<Item, Result>[]): Promise<void> {
    try {
      const results = await this.#options.run(batch.map(({ item }) => item));
      batch.forEach(({ resolve }, at) => resolve(results[at] as Result));
    } catch (error) {
      if (batch.length > 1 && this.#options.isOneItemsFault(error)) for (const waiting of batch) await this.#settle([waiting]);
      else for (const { reject } of batch) reject(error);
    }
  }
}

/** After everything that promises have to do in this tick. */
function endOfTick(): Promise<void> {
  return new Promise((resolve) => queueMicrotask(() => process.nextTick(resolve)));
}
