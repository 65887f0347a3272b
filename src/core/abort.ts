/** An AbortController linked to outer signals by listeners that `release` removes. */
export interface LinkedAbort {
  readonly signal: AbortSignal;
  abort(reason: unknown): void;
  /** Removes the listeners; the signal stays as it is. */
  release(): void;
}

/** A controller of its own that also aborts when one of `outer` does. */
export function linkAbort(...outer: (AbortSignal | undefined)[]): LinkedAbort {
  const controller = new AbortController();
  const links: [AbortSignal, () => void][] = [];
  for (const signal of outer) {
    if (!signal) continue;
    if (signal.aborted) {
      controller.abort(signal.reason);
      break;
    }
    const listener = (): void => controller.abort(signal.reason);
    signal.addEventListener("abort", listener, { once: true });
    links.push([signal, listener]);
  }
  return {
    signal: controller.signal,
    abort: (reason) => controller.abort(reason),
    release: () => {
      for (const [signal, listener] of links) signal.removeEventListener("abort", listener);
    },
  };
}

/** Settles as `work` does, or rejects with the signal's reason as soon as it aborts. */
export function raceAbort<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return work;
  if (signal.aborted) {
    work.catch(ignore);
    return Promise.reject(signal.reason);
  }
  return new Promise<T>((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
  });
}

/** For a promise whose outcome nobody waits for any more. */
export function ignore(): void {}

/**
 * Hears of aborts with one listener for each signal, however many wait for it: a thousand listeners on one signal take a million
 * steps to add in Node.
 */
export class AbortWatch<T> {
  readonly #watched = new Map<AbortSignal, Set<T>>();
  readonly #aborted: (item: T, reason: unknown) => void;

  /** @param aborted called for each item of a signal, in the order in which they were added */
  constructor(aborted: (item: T, reason: unknown) => void) {
    this.#aborted = aborted;
  }

  /** The signal must not be aborted yet. */
  add(signal: AbortSignal, item: T): void {
    let items = this.#watched.get(signal);
    if (!items) {
      this.#watched.set(signal, (items = new Set()));
      signal.addEventListener("abort", this.#hear, { once: true });
    }
    items.add(item);
  }

  remove(signal: AbortSignal, item: T): void {
    const items = this.#watched.get(signal);
    if (!items?.delete(item) || items.size > 0) return;
    this.#watched.delete(signal);
    signal.removeEventListener("abort", this.#hear);
  }

  readonly #hear = ({ target }: Event): void => {
    const signal = target as AbortSignal;
    const items = this.#watched.get(signal) ?? [];
    this.#watched.delete(signal);
    for (const item of items) this.#aborted(item, signal.reason);
  };
}
