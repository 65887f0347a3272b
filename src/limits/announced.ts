import { AnnouncedLimiter, type AnnouncedOptions } from "./announced/limiter.ts";

export { AnnouncedLimiter, type AnnouncedOptions, type AnnouncedPermit } from "./announced/limiter.ts";

/** Those that were not asked for longest are forgotten when there are more than this. */
const MAX_TARGETS = 1_000;

/**
 * What providers say of their own limits, in the headers of their answers and by refusals, kept to before the next refusal comes: one limiter for each target, that
 * is endpoint, model and account.
 *
 * Several processes, and others, may share a provider's quota. Each sees what remains for all of them, but not what the others send until the next answer comes.
 * Of the refill between a request and its answer, 10 s of it at most, a process makes no use therefore, and 2% of each limit stays unused; how the quota is divided
 * among the processes is left to chance. Limits that are the same for all of them are shared by `redisLimiter`.
 */
export class AnnouncedQuotas {
  readonly #options: AnnouncedOptions;
  /** The least recently asked for first. */
  readonly #limiters = new Map<string, AnnouncedLimiter>();

  constructor(options: AnnouncedOptions) {
    this.#options = options;
  }

  /** @param name of the target, for people */
  of(target: string, name?: string): AnnouncedLimiter {
    const known = this.#limiters.get(target);
    if (known) this.#limiters.delete(target);
    const limiter = known ?? new AnnouncedLimiter(this.#options, name);
    this.#limiters.set(target, limiter);
    if (this.#limiters.size > MAX_TARGETS) this.#limiters.delete(this.#limiters.keys().next().value as string);
    return limiter;
  }

  /** Those in use, by target. */
  entries(): IterableIterator<[string, AnnouncedLimiter]> {
    return this.#limiters.entries();
  }
}
