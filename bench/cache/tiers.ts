import { systemClock } from "../../src/core/clock.ts";
import { callCount } from "../../src/core/facts.ts";
import type { Call } from "../../src/core/layer.ts";
import { kindNamed } from "../../src/langchain/kinds/all.ts";
import { FarTier } from "../../src/layers/cache/far-tier.ts";
import { createSealer } from "../../src/layers/cache/seal.ts";
import { Tiers } from "../../src/layers/cache/tiers.ts";
import type { MemoryStore } from "../../src/stores/memory.ts";
import type { Store } from "../../src/stores/store.ts";
import type { Side } from "../harness/paired.ts";

/** The cache's tiers by themselves, without the layers and LangChain around them. */
export function tiersOf({ memory, far }: { memory?: MemoryStore; far?: Store }): Tiers {
  const failed = (error: Error): void => {
    throw error;
  };
  return new Tiers({
    memory,
    far: far ? [new FarTier({ name: far.shared ? "redis" : "persistent", store: far, clock: systemClock, timeoutMs: 1_000, waitUntil: () => {}, failed })] : [],
    bus: undefined,
    sealer: createSealer(),
    clock: systemClock,
    namespace: "default",
    maxEntryBytes: 2 ** 22,
    forgotten: () => {},
    kindOf: kindNamed,
  });
}

/** Finds the same keys behind memory again and again. */
export function finding(tiers: Tiers, keys: readonly string[]): Side {
  // All that the tiers look at when somebody asks.
  const call = { local: false, control: {}, number: callCount() } as unknown as Call;
  return {
    async run(calls) {
      for (let at = 0; at < calls; at++) {
        const { found } = await tiers.find(call, keys[at % keys.length] as string);
        if (!found) throw new Error("This was no hit.");
      }
    },
  };
}
