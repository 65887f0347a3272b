import { currentScope, inScope, type Scope } from "./scope.ts";

type Method = (this: object, ...args: unknown[]) => unknown;

export function isAsyncGenerator(value: unknown): value is AsyncGenerator {
  return typeof value === "object" && value !== null && Object.prototype.toString.call(value) === "[object AsyncGenerator]";
}

const GENERATOR = Object.getPrototypeOf(async function* () {}).prototype as object;

/** To whoever looks, an async generator like any other. */
function asGenerator<T>(methods: Pick<AsyncGenerator<T>, "next" | "return" | "throw">): AsyncGenerator<T> {
  return Object.assign(Object.create(GENERATOR) as AsyncGenerator<T>, methods);
}

/** The same generator, each step of it taken by `run`. */
export function generatorIn<T>(generator: AsyncGenerator<T>, run: <R>(work: () => R) => R): AsyncGenerator<T> {
  return asGenerator({
    next: () => run(() => generator.next()),
    return: (value) => run(() => generator.return(value)),
    throw: (error) => run(() => generator.throw(error)),
  });
}

/** The same generator, its body always run inside `scope`: an async generator runs in the context of whoever asks for the next part. */
export function scopedGenerator<T>(generator: AsyncGenerator<T>, scope: Scope): AsyncGenerator<T> {
  return generatorIn(generator, (work) => inScope(scope, work));
}

/** Who looks after the stream of a root run. */
export interface StreamKeeper {
  /** Releases the calls that wait when the stream is closed early. */
  readonly release: AbortController | undefined;
  failed(error: unknown): void;
}

/**
 * The generator in its scope, looked after. LangChain's generators queue a `return()` behind a part that may never come, and
 * their streams ask for one part more than was read; here it first releases the calls that wait, so that what they hold is
 * free at once.
 */
export function keptGenerator(generator: AsyncGenerator, scope: Scope, keeper: () => StreamKeeper | undefined): AsyncGenerator {
  return asGenerator({
    next: () => {
      const part = inScope(scope, () => generator.next());
      return part.catch((error: unknown) => {
        keeper()?.failed(error);
        throw error;
      });
    },
    return: (value) => {
      keeper()?.release?.abort(new DOMException("The consumer closed the stream.", "AbortError"));
      return inScope(scope, () => generator.return(value));
    },
    throw: (error) => {
      keeper()?.release?.abort(error);
      return inScope(scope, () => generator.throw(error));
    },
  });
}

interface ScopedStream {
  readonly scope: Scope;
  keeper: StreamKeeper | undefined;
}

const streams = new WeakMap<object, ScopedStream>();

/** Patched over `IterableReadableStream.fromAsyncGenerator`: a stream made inside a scope stays in it, whoever reads it. */
export function scopedStreams(original: Method): Method {
  return function (this: object, generator) {
    const scope = currentScope();
    if (!scope) return original.call(this, generator);
    const scoped: ScopedStream = { scope, keeper: undefined };
    const stream = original.call(this, keptGenerator(generator as AsyncGenerator, scope, () => scoped.keeper)) as object;
    streams.set(stream, scoped);
    return stream;
  };
}

/** The same stream, or one of the same class with the same fields, whose every part is made inside the scope. */
export function keptStream(stream: ReadableStream, scope: Scope, keeper: StreamKeeper): ReadableStream {
  const scoped = streams.get(stream);
  if (scoped?.scope.perf === scope.perf) {
    scoped.keeper = keeper;
    return stream;
  }
  const { fromAsyncGenerator } = stream.constructor as unknown as { fromAsyncGenerator?: (generator: AsyncGenerator) => ReadableStream };
  const parts = keptGenerator(partsOf(stream), scope, () => keeper);
  const made = fromAsyncGenerator ? fromAsyncGenerator.call(stream.constructor, parts) : (ReadableStream.from(parts) as ReadableStream);
  // LangGraph's subclass inherits a factory that makes the base class.
  if (made.constructor !== stream.constructor) Object.setPrototypeOf(made, Object.getPrototypeOf(stream) as object);
  for (const [field, value] of Object.entries(stream)) if (field !== "reader") (made as unknown as Record<string, unknown>)[field] = value;
  return made;
}

function partsOf(stream: ReadableStream): AsyncGenerator {
  const reader = stream.getReader();
  return asGenerator({
    next: () => reader.read() as Promise<IteratorResult<unknown>>,
    return: (value) => reader.cancel(value).then(() => ({ done: true, value: undefined })),
    throw: (error) => reader.cancel(error).then(() => Promise.reject(error)),
  });
}
