import type { Alarm } from "./core/clock.ts";
import type { Engine } from "./core/engine.ts";
import { StoreError } from "./core/errors.ts";
import type { TierName } from "./core/facts.ts";
import type { Layer } from "./core/layer.ts";
import type { EngineCall } from "./core/request.ts";
import { kindNamed } from "./langchain/kinds/all.ts";
import { Cache } from "./layers/cache/cache.ts";
import { callConcern, type CallConcern } from "./layers/cache/concern.ts";
import { Lifetimes } from "./layers/cache/lifetimes.ts";
import type { ResolvedCache } from "./layers/cache/options.ts";
import { createSealer, type Sealer } from "./layers/cache/seal.ts";
import { frameSealer } from "./layers/cache/seal-frames.ts";
import { ClusterCoalesce } from "./layers/coalesce-cluster/layer.ts";
import { Coalesce } from "./layers/coalesce.ts";
import { openTiers } from "./open-tiers.ts";
import { redisLeases } from "./stores/redis.ts";

/** What a cache needs of its perf. */
export interface OpenCacheHost {
  readonly clock: Alarm;
  waitUntil(work: Promise<unknown>): void;
  /** The engine that runs calls now. */
  engine(): Engine;
  run<T>(work: () => T): T;
  failed(tier: TierName, error: StoreError): void;
}

/** The cache of a perf, and the way to the calls of other processes. */
export class OpenCache {
  readonly layers: Cache;
  readonly concern: CallConcern;
  readonly #options: ResolvedCache;
  readonly #host: OpenCacheHost;
  readonly #sealer: Sealer;
  readonly #open: ReturnType<typeof openTiers>;
  #cluster: ClusterCoalesce | undefined;

  constructor(options: ResolvedCache, host: OpenCacheHost) {
    this.#options = options;
    this.#host = host;
    const { clock, waitUntil } = host;
    const { encryptionKey, compressAboveBytes } = options;
    const sealer = (this.#sealer = createSealer({ encryptionKey, compressAboveBytes }));
    this.#open = openTiers(options, { clock, waitUntil, failed: (tier, error) => host.failed(tier, error) });
    this.layers = new Cache(options, this.#open, {
      clock,
      sealer,
      kindOf: kindNamed,
      ask: (call) => host.engine().refresh(call as EngineCall),
      waitUntil,
      run: (work) => host.run(work),
    });
    this.concern = callConcern(options, sealer);
  }

  /** The way to the calls of other processes, opened when first asked for. */
  cluster(): ClusterCoalesce | undefined {
    return (this.#cluster ??= this.#openCluster());
  }

  /** Lets nobody join, there or here, the calls that are concerned. */
  retire(isConcerned: Parameters<ClusterCoalesce["retire"]>[0]): void {
    this.#cluster?.retire(isConcerned);
  }

  forget(keys: readonly string[]): void {
    this.#cluster?.retire(({ key }) => key !== undefined && keys.includes(key));
    this.layers.tiers.forget(keys);
  }

  async close(): Promise<void> {
    await this.#cluster?.close();
    await this.layers.close();
    this.#open.redis?.close();
  }

  #openCluster(): ClusterCoalesce | undefined {
    const { redis, bus } = this.#open;
    const options = this.#options;
    const { clock, waitUntil, failed } = this.#host;
    if (!options.redis || !redis || !bus) return undefined;
    // The worst luck and no demand: no entry's time is shorter.
    const least = new Lifetimes(options, { hits: () => 0, hitRate: () => 0 }, () => 1);
    return new ClusterCoalesce({
      leases: redisLeases(redis, bus),
      sealer: frameSealer(this.#sealer, options.namespace),
      clock,
      timeoutMs: options.redis.timeoutMs,
      // A whole answer is resumed where the cache could have given it, and no longer than that.
      freshMs: ({ control, facts, kind }) =>
        control.cache === "use" && facts.cache?.status === "miss" && facts.requestedModel === undefined ? least.of(kind.name, facts.cache.key ?? "", control).freshMs : 0,
      waitUntil,
      failed: (error) => failed("redis", error instanceof StoreError ? error : new StoreError("redis", "lease", error)),
    });
  }
}

/** What was asked for before an invalidation must not answer who asks after it. */
export function coalesceLayer(cache: OpenCache | undefined): Layer {
  const coalesce = new Coalesce();
  if (cache) {
    cache.layers.tiers.invalidations.onAdd = (invalidation = { all: true }) => {
      const isConcerned = cache.concern(invalidation);
      coalesce.retire(isConcerned);
      cache.retire(isConcerned);
    };
  }
  return coalesce;
}
