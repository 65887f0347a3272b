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
    return settled(ask).then(toResult);
  });
}

/** What cannot be copied is shared as it is: that is no reason to fail anybody's call. */
export function orItself(copy: (part: unknown) => unknown): (part: unknown) => unknown {
  return (part) => {
    try {
      return copy(part);
    } catch {
      return part;
    }
  };
}

/** A promise of whatever `ask` does: gives a promise or a plain value, or throws. */
export function settled(ask: () => unknown): Promise<unknown> {
  try {
    const given = ask();
    return given instanceof Promise ? given : Promise.resolve(given);
  } catch (error) {
    return Promise.reject(error);
  }
}

/** The last part, when there are no more. */
export function last(parts: AsyncIterable<unknown>): Promise<unknown> {
  const source = parts[Symbol.asyncIterator]();
  let part: unknown;
  const hear = (result: IteratorResult<unknown>): unknown => {
    if (result.done) return part;
    part = result.value;
    return source.next().then(hear);
  };
  return source.next().then(hear);
}

type Step = () => Promise<IteratorResult<unknown>>;
type Leave = () => PromiseLike<unknown> | undefined | void;

/** A class, because an object literal with these methods costs ten times as much to make. */
class Parts implements AsyncIterableIterator<unknown> {
  readonly next: Step;
  readonly #leave: Leave | undefined;

  constructor(next: Step, leave: Leave | undefined) {
    this.next = next;
    this.#leave = leave;
  }

  async return(value?: unknown): Promise<IteratorResult<unknown>> {
    await this.#leave?.();
    return { done: true, value };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}

/** An iterable made of its `next`; it can be read once. */
export function fromNext(next: Step, leave?: Leave): AsyncIterableIterator<unknown> {
  return new Parts(next, leave);
}

const END: Promise<IteratorResult<unknown>> = Promise.resolve({ done: true, value: undefined });

function toResult(value: unknown): IteratorResult<unknown> {
  return { done: false, value };
}
