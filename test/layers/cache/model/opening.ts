import type { Bus } from "../../../../src/stores/bus.ts";
import type { Store } from "../../../../src/stores/store.ts";
import { FarTier } from "../../../../src/layers/cache/far-tier.ts";
import type { OpenTiers } from "../../../../src/layers/cache/cache.ts";
import type { ResolvedCache } from "../../../../src/layers/cache/options.ts";
import type { TiersHost } from "../../../../src/open-tiers.ts";
import { memoryStore } from "../../../../src/stores/memory.ts";

/** What the next perf gets for its far tiers, in place of what its options name. */
export const opening: { next: { readonly bus: Bus; readonly stores: readonly [near: Store, last: Store] } | undefined } = { next: undefined };

const TIMEOUTS_MS = [50, 250] as const;

/** Stands in for `openTiers`. */
export function openSimulated({ memory }: ResolvedCache, { clock, waitUntil, failed }: TiersHost): OpenTiers & { readonly redis: undefined } {
  if (!opening.next) throw new Error("Nothing to open");
  const { bus, stores } = opening.next;
  const far = (["redis", "persistent"] as const).map((name, at) => {
    return new FarTier({ name, store: stores[at] as Store, clock, timeoutMs: TIMEOUTS_MS[at] as number, waitUntil, failed: (error) => failed(name, error) });
  });
  return { memory: memory && memoryStore(memory), far, bus, redis: undefined };
}
