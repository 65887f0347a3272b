/**
 * Streams of parts, written by hand where an async generator would cost several promises a part.
 * `invoke` is a stream of one part.
 */

/** The one part that a promise gives. */
export function once(ask: () => Promise<unknown>): AsyncIterable<unknown> {
  let asked = false;
  return fromNext(() => {
    if (asked) return END;
    asked = true;
    return ask().then(toResult);
  });
}

/** The same parts; `ended` hears of them all when the source has given its last, and not when it fails or is left. */
export function collect(parts: AsyncIterable<unknown>, keep: (part: unknown) => unknown, ended: (kept: unknown[]) => void): AsyncIterable<unknown> {
  const source = parts[Symbol.asyncIterator]();
  const kept: unknown[] = [];
  const hear = (result: IteratorResult<unknown>): IteratorResult<unknown> => {
    if (result.done) ended(kept);
    else kept.push(keep(result.value));
    return result;
  };
  return fromNext(
    () => source.next().then(hear),
    () => source.return?.(),
  );
}

/** An iterable made of its `next`; it can be read once. */
export function fromNext(next: () => Promise<IteratorResult<unknown>>, leave?: () => PromiseLike<unknown> | undefined | void): AsyncIterableIterator<unknown> {
  return {
    next,
    async return(value?: unknown): Promise<IteratorResult<unknown>> {
      await leave?.();
      return { done: true, value };
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}

export const END: Promise<IteratorResult<unknown>> = Promise.resolve({ done: true, value: undefined });

export function toResult(value: unknown): IteratorResult<unknown> {
  return { done: false, value };
}
