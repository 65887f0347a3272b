import { resolveWith } from "./options.ts";

const CACHE_MODES = ["use", "refresh", "bypass", "only"] as const;

/** One call's own wishes, given as `configurable.perf`. They hold for every call made below it. */
export interface CallControl {
  /**
   * `use`: answer from the cache where possible. `refresh`: ask the model and replace the entry.
   * `bypass`: neither read nor write, and never share a call in flight. `only`: answer from the cache or throw `CacheMissError`.
   * @default "use"
   */
  readonly cache: (typeof CACHE_MODES)[number];
  /** How long answers of this call stay fresh, milliseconds. @default the cache's `ttlMs` */
  readonly ttlMs?: number;
  /** Tags of the entries that this call writes, for `perf.cache.invalidate({ tags })`. */
  readonly tags?: readonly string[];
  /** Whose data this is: entries of one tenant are never seen by another. */
  readonly tenant?: string;
  /** Set where `tenant` is the answer of the cache's `tenant` option and not a wish: a call below with a config of its own is asked about anew. @internal */
  readonly tenantDerived?: boolean;
  /** Set where another runnable answers if this call fails: it need not wait for a provider that asked for patience. @internal */
  readonly hasSubstitute?: boolean;
}

/** What a user writes as `configurable.perf`. */
export type CallWishes = Partial<Omit<CallControl, "tenantDerived" | "hasSubstitute">>;

export const NO_WISHES: CallControl = Object.freeze({ cache: "use" });

/** Validates a call's wishes and lays them over those of the surrounding call. */
export function resolveControl(wishes: unknown, outer: CallControl = NO_WISHES): CallControl {
  return resolveWith("configurable.perf", wishes, (read) => {
    const tenant = read.string("tenant", undefined);
    return {
      cache: read.oneOf("cache", CACHE_MODES, outer.cache),
      ttlMs: read.number("ttlMs", { default: outer.ttlMs, min: 0 }),
      tags: read.strings("tags") ?? outer.tags,
      tenant: tenant ?? outer.tenant,
      tenantDerived: tenant === undefined && outer.tenantDerived,
      hasSubstitute: outer.hasSubstitute,
    };
  });
}
