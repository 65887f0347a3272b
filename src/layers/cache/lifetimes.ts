import type { CallControl } from "../../core/control.ts";
import type { KindName } from "../../core/facts.ts";
import type { ResolvedCache } from "./options.ts";

/** How long an entry is fresh, then stale, then good for when the model fails, milliseconds each. */
export interface Lifetime {
  readonly freshMs: number;
  readonly staleMs: number;
  readonly staleIfErrorMs: number;
}

/** What adaptive lifetimes look at. */
export interface Demand {
  /** How often the key was asked for of late. */
  hits(key: string): number;
  /** Share of the calls of a kind that the cache answered of late, 0 to 1; 0 when there were none. */
  hitRate(kind: KindName): number;
}

/** Decides how long entries live. */
export class Lifetimes {
  readonly #options: ResolvedCache;
  readonly #demand: Demand;
  readonly #random: () => number;

  constructor(options: ResolvedCache, demand: Demand, random: () => number = Math.random) {
    this.#options = options;
    this.#demand = demand;
    this.#random = random;
  }

  of(kind: KindName, key: string, { ttlMs }: CallControl): Lifetime {
    const { jitter, staleMs, staleIfErrorMs, kinds } = this.#options;
    const base = ttlMs ?? this.#adapted(kind, key, kinds[kind]?.ttlMs ?? this.#options.ttlMs);
    // Only ever shorter: a time to live is a promise.
    const freshMs = base * (1 - jitter * this.#random());
    return { freshMs, staleMs: kinds[kind]?.staleMs ?? staleMs, staleIfErrorMs };
  }

  /**
   * The time to live of a key that nobody asked for again is halved; each doubling of its hits adds half of it, and a kind whose
   * calls mostly hit gains up to half again: what is asked for often is worth keeping longer. Within the bounds that the user set.
   */
  #adapted(kind: KindName, key: string, ttlMs: number): number {
    const { adaptiveTtl } = this.#options;
    if (!adaptiveTtl) return ttlMs;
    const { minMs = ttlMs / 4, maxMs = ttlMs * 4 } = adaptiveTtl;
    const wanted = ttlMs * (0.5 + 0.5 * Math.log2(1 + this.#demand.hits(key))) * (1 + 0.5 * this.#demand.hitRate(kind));
    return Math.min(maxMs, Math.max(minMs, wanted));
  }
}
