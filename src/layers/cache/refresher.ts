import { ignore } from "../../core/abort.ts";
import type { CacheEntry } from "../../core/entry.ts";
import type { Call } from "../../core/layer.ts";

export interface RefresherOptions {
  /** Asks a call's question once more, for nobody but the cache. */
  ask(call: Call): Promise<void>;
  /** Takes in work that should end before the process does. */
  waitUntil(work: Promise<unknown>): void;
}

const MAX_TRIED = 1_000;
/** More than this many at a time are not begun: the next hit asks again. */
const MAX_RUNNING = 64;

/** Fetches newer answers in the background, each key once at a time. A failure leaves the old answer as it was. */
export class Refresher {
  readonly #options: RefresherOptions;
  readonly #running = new Map<string, Promise<void>>();
  /** By key, the entry that was last refreshed and when. One that is still there was refreshed in vain. */
  readonly #tried = new Map<string, { readonly storedAt: number; readonly at: number }>();

  constructor(options: RefresherOptions) {
    this.#options = options;
  }

  /** @param retryMs an entry that was not replaced, because the model failed or its answer was not to be kept, is left alone for so long */
  refresh(call: Call, key: string, { storedAt }: CacheEntry, now: number, retryMs = 1_000): void {
    if (this.#running.has(key) || this.#running.size >= MAX_RUNNING) return;
    const tried = this.#tried.get(key);
    if (tried?.storedAt === storedAt && now - tried.at < retryMs) return;
    this.#try(key, { storedAt, at: now });
    // The caller comes first; and its scope, signal and deadline are its own.
    const work = new Promise<void>((resolve) => setImmediate(resolve))
      .then(() => this.#options.ask(call))
      .catch(ignore)
      .finally(() => this.#running.delete(key));
    this.#running.set(key, work);
    this.#options.waitUntil(work);
  }

  #try(key: string, attempt: { readonly storedAt: number; readonly at: number }): void {
    if (!this.#tried.delete(key) && this.#tried.size === MAX_TRIED) this.#tried.delete(this.#tried.keys().next().value as string);
    this.#tried.set(key, attempt);
  }

  /** Waits for what is under way. */
  async flush(): Promise<void> {
    await Promise.all(this.#running.values());
  }
}
