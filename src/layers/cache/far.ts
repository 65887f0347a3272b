import type { Clock } from "../../core/clock.ts";
import type { CacheEntry } from "../../core/entry.ts";
import { CacheMissError } from "../../core/errors.ts";
import type { Call, Layer, Next } from "../../core/layer.ts";
import { pause } from "../../core/pause.ts";
import type { Refresher } from "./refresher.ts";
import type { RetryAfter } from "./retry-after.ts";
import type { Found, Tiers } from "./tiers.ts";

export interface FarCacheOptions {
  readonly tiers: Tiers;
  readonly clock: Clock;
  readonly refresher: Refresher;
  readonly retryAfter: RetryAfter;
  /** Whether entries outlive their freshness for when the model fails. */
  readonly staleIfError: boolean;
  /** What invalidations call an entry by. */
  labelsOf(entry: CacheEntry): readonly string[];
}

/** What comes behind memory: the far tiers, the old answer for when the model fails, and patience when it asks for some. */
export class FarCache implements Layer {
  readonly name = "cache.far";
  readonly #options: FarCacheOptions;

  constructor(options: FarCacheOptions) {
    this.#options = options;
  }

  handle(call: Call, next: Next): AsyncIterable<unknown> {
    const { tiers, staleIfError, retryAfter } = this.#options;
    const { facts, control } = call;
    const key = facts.cache?.status === "miss" ? facts.cache.key : undefined;
    const looks = key !== undefined && (staleIfError || (!call.local && tiers.far.length > 0));
    if (looks) return this.#look(call, key, next);
    // What "only" covers was refused before, unless nothing is there to look in.
    if (control.cache === "only" && key !== undefined) throw new CacheMissError(key);
    return retryAfter.isEmpty ? next(call) : this.#ask(call, next);
  }

  failed(call: Call, error: unknown): void {
    if (call.facts.coalesced !== "follower") this.#options.retryAfter.heard(() => call.kind.target(call.input), error);
  }

  async *#look(call: Call, key: string, next: Next): AsyncGenerator<unknown> {
    const { control, facts } = call;
    const reads = control.cache !== "refresh";
    const { found, failed } = reads ? await this.#options.tiers.find(call, key) : { found: undefined, failed: [] };
    if (failed.length > 0 && facts.cache) facts.cache.failedTiers = failed;
    const now = this.#options.clock.now();
    if (found && now < found.entry.staleUntil) {
      if (now >= found.entry.freshUntil) this.#options.refresher.refresh(call, key, found.entry, now);
      return yield* this.#serve(call, key, found, now);
    }
    if (control.cache === "only") throw new CacheMissError(key);
    // Who has an old answer does not wait for whoever asked for patience.
    if (found && this.#waitMs(call) > 0 && this.#isUsable(call, key, found)) return yield* this.#serve(call, key, found, now);
    let given = false;
    try {
      for await (const part of this.#ask(call, next)) {
        given = true;
        yield part;
      }
    } catch (error) {
      // Whoever left does not want the old answer either, and what was begun cannot be continued with another.
      if (!found || given || call.signal?.aborted || !this.#isUsable(call, key, found)) throw error;
      this.failed(call, error);
      yield* this.#serve(call, key, found, this.#options.clock.now());
    }
  }

  /** Parts are snapshots here: whoever receives them gets fresh ones. */
  #serve(call: Call, key: string, { entry, tier }: Found, now: number): AsyncIterable<unknown> | Iterable<unknown> {
    call.served = entry.answer;
    call.facts.cache = { ...call.facts.cache, status: now < entry.freshUntil ? "hit" : "stale", tier, ageMs: now - entry.storedAt, key };
    return call.kind.convert(entry.answer, call.mode);
  }

  /** What was found may have expired, or become invalid, while the model was asked. */
  #isUsable(call: Call, key: string, { entry }: Found): boolean {
    const { tiers, clock, labelsOf } = this.#options;
    return clock.now() < entry.usableUntil && !tiers.invalidations.concern(call.number, key, () => labelsOf(entry));
  }

  #waitMs(call: Call): number {
    const { retryAfter } = this.#options;
    // Whoever asks past the cache has nothing to do with what it remembers, and whoever has a substitute need not wait.
    if (call.control.cache === "bypass" || call.control.hasSubstitute) return 0;
    return retryAfter.isEmpty ? 0 : retryAfter.waitMs(call.kind.target(call.input));
  }

  /** Waits first where whoever answers asked for it. */
  async *#ask(call: Call, next: Next): AsyncGenerator<unknown> {
    const waitMs = this.#waitMs(call);
    if (waitMs > 0) await pause(waitMs, call.signal);
    yield* next(call);
  }
}
