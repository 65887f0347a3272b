import { OptionError } from "../../core/errors.ts";
import { resolveWith } from "../../core/options.ts";

/** Whoever answers questions. */
export interface WarmTarget<I> {
  invoke(input: I, config?: object): Promise<unknown>;
}

export interface WarmOptions {
  /** Questions that are asked at a time. @default 4 */
  concurrency?: number;
  /** Called after each question. `total` is known when the inputs are an array. */
  onProgress?(done: number, total?: number): void;
  /** Ends the warming: questions under way are finished, no further one is begun. */
  signal?: AbortSignal;
}

export interface WarmReport {
  /** Questions that were asked. */
  done: number;
  failed: number;
  /** The first failures, with the question's place in the list. */
  errors: { index: number; error: unknown }[];
  durationMs: number;
  /** Whether `signal` ended it early. */
  aborted: boolean;
}

const SHOWN_ERRORS = 10;

/** Asks all questions, some at a time. A question that fails is counted and does not end the rest. */
export async function warm<I>(ask: (input: I) => Promise<unknown>, inputs: Iterable<I> | AsyncIterable<I>, options: WarmOptions): Promise<WarmReport> {
  const { concurrency, onProgress, signal } = resolveWith("warm", options, (read) => ({
    concurrency: read.number("concurrency", { default: 4, min: 1, integer: true }),
    onProgress: read.function<NonNullable<WarmOptions["onProgress"]>>("onProgress"),
    signal: read.raw("signal") as AbortSignal | undefined,
  }));
  const source = iteratorOf(inputs);
  const total = Array.isArray(inputs) ? inputs.length : undefined;
  const started = performance.now();
  const report: WarmReport = { done: 0, failed: 0, errors: [], durationMs: 0, aborted: false };
  let index = 0;
  const work = async (): Promise<void> => {
    while (!signal?.aborted) {
      const next = await source();
      if (next.done) return;
      const at = index++;
      try {
        await ask(next.value);
      } catch (error) {
        report.failed += 1;
        if (report.errors.length < SHOWN_ERRORS) report.errors.push({ index: at, error });
      }
      report.done += 1;
      onProgress?.(report.done, total);
    }
    report.aborted = true;
  };
  await Promise.all(Array.from({ length: concurrency }, work));
  return { ...report, durationMs: performance.now() - started };
}

/** One after the other, also where several wait at once. */
function iteratorOf<I>(inputs: Iterable<I> | AsyncIterable<I>): () => Promise<IteratorResult<I>> {
  if (typeof inputs !== "object" || inputs === null || !(Symbol.iterator in inputs || Symbol.asyncIterator in inputs)) {
    throw new OptionError("warm.inputs", "something to iterate over", inputs);
  }
  const iterator = Symbol.asyncIterator in inputs ? inputs[Symbol.asyncIterator]() : inputs[Symbol.iterator]();
  let turn: Promise<unknown> = Promise.resolve();
  return () => {
    const next = turn.then(() => iterator.next());
    turn = next.catch(() => {});
    return next;
  };
}
