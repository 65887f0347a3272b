import { ignore } from "./core/abort.ts";
import { atOnce, warnOnce } from "./core/callback.ts";
import { OptionError } from "./core/errors.ts";
import { resolveWith } from "./core/options.ts";

export interface MapOptions {
  /** Inputs that are worked on at a time, at most; 1 to 10,000. @default 16 */
  concurrency?: number;
  /**
   * Whether results come in the order of the inputs, or each as soon as it is there. In the order of the inputs, a slow one holds back those behind it; work goes
   * on until inputs twice as many as `concurrency` are under way or wait to be read. @default "input"
   */
  order?: "input" | "completion";
  /** Called after each input, whether it failed or not. `total` is known when the inputs have a `length` or a `size`. What it throws is a warning, the first time. */
  onProgress?(done: number, total?: number): void;
  /** Ends it all: work under way is aborted, and whoever reads gets the signal's reason. */
  signal?: AbortSignal;
  /**
   * Whether the first failure ends it all: no further input is begun and work under way is aborted; results that are due by then are still given, then the reader
   * gets the error itself. Otherwise failures are results. @default false
   */
  stopOnError?: boolean;
}

/** What became of one input. */
export type MapResult<I, O> =
  | { /** The input's place, from 0. */ readonly index: number; readonly input: I; readonly ok: true; readonly output: O }
  | { readonly index: number; readonly input: I; readonly ok: false; readonly error: unknown };

/** Works on one input; the signal aborts when its result is not wanted any more. */
export type MapWork<I, O> = (input: I, config: { signal: AbortSignal }) => Promise<O>;

interface ResolvedOptions {
  readonly concurrency: number;
  readonly order: "input" | "completion";
  readonly onProgress: MapOptions["onProgress"];
  readonly signal: AbortSignal | undefined;
  readonly stopOnError: boolean;
}

interface Reader<T> {
  resolve(result: IteratorResult<T>): void;
  reject(error: unknown): void;
}

/** Of the inputs under way and the results that nobody has read yet, this many times `concurrency`, at most. */
const AHEAD = 2;
/** Memory is bounded by it. */
const MAX_CONCURRENCY = 10_000;

/**
 * Works on a list of any length, some inputs at a time, while somebody reads: nothing begins before the first read, and a reader that pauses stops the work.
 * Inputs are taken one by one when there is work to begin, and their iterator is closed on every way out. To leave the loop aborts what is under way.
 * When the inputs themselves throw, the reader gets that error after the results of all that came before. It can be read once.
 * @throws OptionError for a bad option, at once
 */
export function mapInputs<I, O>(work: MapWork<I, O>, inputs: Iterable<I> | AsyncIterable<I>, options: MapOptions = {}): AsyncIterable<MapResult<I, O>> {
  const resolved = resolveWith("map", options, (read): ResolvedOptions => ({
    concurrency: read.number("concurrency", { default: 16, min: 1, max: MAX_CONCURRENCY, integer: true }),
    order: read.oneOf("order", ["input", "completion"], "input"),
    onProgress: read.function<NonNullable<MapOptions["onProgress"]>>("onProgress"),
    signal: read.objectWith<AbortSignal>("signal", ["addEventListener", "removeEventListener"]),
    stopOnError: read.boolean("stopOnError", false),
  }));
  if (typeof inputs !== "object" || inputs === null || !(Symbol.iterator in inputs || Symbol.asyncIterator in inputs)) {
    throw new OptionError("map.inputs", "something to iterate over", inputs);
  }
  return new Mapping(work, inputs, resolved);
}

class Mapping<I, O> implements AsyncIterableIterator<MapResult<I, O>> {
  readonly #work: MapWork<I, O>;
  readonly #inputs: Iterable<I> | AsyncIterable<I>;
  readonly #options: ResolvedOptions;
  readonly #total: number | undefined;
  readonly #warn = warnOnce();
  /** One for each input under way: work that leaves listeners behind leaves them on its own signal. */
  readonly #underWay = new Set<AbortController>();
  /** Results to be read, by their place in the order. */
  readonly #finished = new Map<number, MapResult<I, O>>();
  readonly #readers: Reader<MapResult<I, O>>[] = [];
  #source: Iterator<I> | AsyncIterator<I> | undefined;
  #begun = 0;
  #completed = 0;
  #given = 0;
  #pulling = false;
  /** Set when there are no more inputs, with the error if that was why. */
  #exhausted: { error?: unknown } | undefined;
  /** Set when there will be no more results, with the error that the next reader gets. */
  #end: { error?: unknown } | undefined;

  constructor(work: MapWork<I, O>, inputs: Iterable<I> | AsyncIterable<I>, options: ResolvedOptions) {
    this.#work = work;
    this.#inputs = inputs;
    this.#options = options;
    this.#total = sizeOf(inputs);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<MapResult<I, O>>> {
    return new Promise((resolve, reject) => {
      this.#readers.push({ resolve, reject });
      if (!this.#source && !this.#end) this.#open();
      this.#advance();
    });
  }

  async return(): Promise<IteratorResult<MapResult<I, O>>> {
    this.#finished.clear();
    const closed = this.#finish({});
    this.#feed();
    await closed;
    return { done: true, value: undefined };
  }

  #open(): void {
    const { signal } = this.#options;
    if (signal?.aborted) return this.#onAbort();
    signal?.addEventListener("abort", this.#onAbort, { once: true });
    try {
      const inputs = this.#inputs;
      this.#source = Symbol.asyncIterator in inputs ? inputs[Symbol.asyncIterator]() : inputs[Symbol.iterator]();
    } catch (error) {
      this.#exhausted = { error };
    }
  }

  /** Begins what may begin, and gives what there is. */
  #advance(): void {
    this.#feed();
    while (this.#mayPull()) this.#pull();
    if (this.#exhausted && this.#underWay.size === 0 && !this.#end) {
      void this.#finish(this.#exhausted);
      this.#feed();
    }
  }

  #mayPull(): boolean {
    const { concurrency } = this.#options;
    return !this.#end && !this.#exhausted && !this.#pulling && this.#underWay.size < concurrency && this.#begun - this.#given < AHEAD * concurrency;
  }

  #pull(): void {
    this.#pulling = true;
    try {
      const taken = this.#source?.next();
      if (!(Symbol.asyncIterator in this.#inputs)) return this.#take(taken as IteratorResult<I>);
      const exhaust = (error: unknown): void => this.#exhaust({ error });
      void Promise.resolve(taken as Promise<IteratorResult<I>>).then((result) => this.#take(result)).catch(exhaust).then(() => this.#advance());
    } catch (error) {
      this.#exhaust({ error });
    }
  }

  #take({ done, value }: IteratorResult<I>): void {
    this.#pulling = false;
    if (this.#end) return;
    if (done) this.#exhaust({});
    else void this.#run(this.#begun++, value);
  }

  #exhaust(how: { error?: unknown }): void {
    this.#pulling = false;
    this.#exhausted = how;
  }

  async #run(index: number, input: I): Promise<void> {
    const controller = new AbortController();
    this.#underWay.add(controller);
    let result: MapResult<I, O>;
    try {
      result = { index, input, ok: true, output: await this.#work(input, { signal: controller.signal }) };
    } catch (error) {
      result = { index, input, ok: false, error };
    }
    if (!this.#underWay.delete(controller)) return;
    if (!result.ok && this.#options.stopOnError) void this.#finish({ error: result.error });
    else this.#finished.set(this.#options.order === "input" ? index : this.#completed, result);
    this.#completed += 1;
    this.#report();
    this.#advance();
  }

  #report(): void {
    try {
      atOnce(this.#options.onProgress?.(this.#completed, this.#total));
    } catch (error) {
      this.#warn("onProgress threw and the inputs go on", error);
    }
  }

  #feed(): void {
    while (this.#readers.length > 0) {
      const value = this.#finished.get(this.#given);
      if (!value && !this.#end) return;
      const reader = this.#readers.shift();
      if (value) {
        this.#finished.delete(this.#given++);
        reader?.resolve({ done: false, value });
      } else if (this.#end && "error" in this.#end) {
        const { error } = this.#end;
        this.#end = {};
        this.#finished.clear();
        reader?.reject(error);
      } else {
        reader?.resolve({ done: true, value: undefined });
      }
    }
  }

  readonly #onAbort = (): void => {
    this.#finished.clear();
    void this.#finish({ error: this.#options.signal?.reason });
    this.#feed();
  };

  /** The one way out: aborts what is under way and closes the inputs. */
  #finish(end: { error?: unknown }): Promise<unknown> | undefined {
    if (this.#end) {
      // Left before the error was read: nobody is there to get it.
      if (!("error" in end)) this.#end = end;
      return undefined;
    }
    this.#end = end;
    this.#options.signal?.removeEventListener("abort", this.#onAbort);
    const reason = "error" in end ? end.error : new DOMException("Its result is not wanted any more.", "AbortError");
    for (const controller of this.#underWay) controller.abort(reason);
    this.#underWay.clear();
    const closed = this.#close();
    closed?.catch(ignore);
    // An async generator that is at work closes when that has ended, whenever that is.
    return this.#pulling ? undefined : closed;
  }

  async #close(): Promise<void> {
    if (!this.#exhausted) await this.#source?.return?.();
  }
}

function sizeOf(inputs: unknown): number | undefined {
  const { length, size } = inputs as { length?: unknown; size?: unknown };
  if (typeof length === "number") return length;
  return typeof size === "number" ? size : undefined;
}
