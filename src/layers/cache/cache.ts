import type { Clock } from "../../core/clock.ts";
import type { CacheEntry } from "../../core/entry.ts";
import type { CallFacts } from "../../core/facts.ts";
import type { Call, Kind } from "../../core/layer.ts";
import { warn } from "../../core/warn.ts";
import type { Bus } from "../../stores/bus.ts";
import type { MemoryStore } from "../../stores/memory.ts";
import { PerfCache } from "./admin.ts";
import { CacheCounts } from "./counts.ts";
import { FarCache } from "./far.ts";
import type { FarTier } from "./far-tier.ts";
import { HotKeys } from "./hot-keys.ts";
import { Lifetimes } from "./lifetimes.ts";
import { MemoryCache } from "./memory.ts";
import { coveredBy, tagsBy, wantedBy } from "./coverage.ts";
import type { ResolvedCache } from "./options.ts";
import { QuestionLog } from "./questions.ts";
import { Refresher } from "./refresher.ts";
import { RetryAfter } from "./retry-after.ts";
import type { Sealer } from "./seal.ts";
import { Tiers } from "./tiers.ts";
import { Upkeep } from "./upkeep.ts";

/** What the options name, opened. */
export interface OpenTiers {
  readonly memory: MemoryStore | undefined;
  readonly far: readonly FarTier[];
  readonly bus: Bus | undefined;
}

/** What the cache needs of its perf. */
export interface CacheHost {
  readonly clock: Clock;
  readonly sealer: Sealer;
  kindOf(name: string): Kind | undefined;
  /** Asks a call's question once more, for nobody but the cache. */
  ask(call: Call): Promise<void>;
  /** Takes in work that should end before the process does. */
  waitUntil(work: Promise<unknown>): void;
  /** Runs work whose LangChain calls go through the perf. */
  run<T>(work: () => T): T;
}

/** The cache: two layers over the same tiers, and what keeps these in order. */
export class Cache {
  readonly near: MemoryCache;
  readonly behind: FarCache;
  readonly admin: PerfCache;
  readonly tiers: Tiers;
  readonly #counts = new CacheCounts();
  readonly #refresher: Refresher;
  readonly #upkeep: Upkeep;
  readonly #started: Promise<void>;

  constructor(options: ResolvedCache, open: OpenTiers, host: CacheHost) {
    const { clock, sealer } = host;
    const { namespace, maxEntryBytes } = options;
    const tiers = new Tiers({ ...open, sealer, clock, namespace, maxEntryBytes, kindOf: host.kindOf });
    const hotKeys = new HotKeys({}, clock);
    const questions = new QuestionLog();
    const refresher = new Refresher({ ask: host.ask, waitUntil: host.waitUntil });
    const staleIfError = options.staleIfErrorMs > 0;
    this.tiers = tiers;
    this.#refresher = refresher;
    this.near = new MemoryCache({
      tiers, clock, namespace, hotKeys, refresher, questions,
      lifetimes: new Lifetimes(options, { hits: (key) => hotKeys.count(key), hitRate: (kind) => this.#counts.hitRate(kind) }),
      countsMisses: open.far.length > 0 || options.adaptiveTtl !== undefined,
      eagerRefresh: options.eagerRefresh,
      hotFrom: options.hotFrom,
      last: open.far.length === 0,
      covers: coveredBy(options),
      wanted: wantedBy(options),
      tagsOf: tagsBy(options),
    });
    this.behind = new FarCache({ tiers, clock, refresher, retryAfter: new RetryAfter(clock), staleIfError });
    const whole = ({ kind, answer }: CacheEntry): unknown => host.kindOf(kind)?.whole(answer);
    this.admin = new PerfCache({ tiers, questions, counts: this.#counts, hotKeys, sealer, whole, run: host.run });
    this.#upkeep = new Upkeep({ tiers, hotKeys, warmStart: options.warmStart });
    this.#started = this.#start().catch((error: unknown) => warn("the cache does without its upkeep", error));
  }

  /** Hears of a call, or an item of one, that has ended. */
  heard(facts: CallFacts): void {
    this.#counts.add(facts);
  }

  /** Waits for all that was begun: refreshes, writes, counts. */
  async flush(): Promise<void> {
    await this.#started;
    await this.#refresher.flush();
    await this.tiers.flush();
    await this.#upkeep.record();
  }

  async close(): Promise<void> {
    this.#upkeep.end();
    await this.flush();
    await this.tiers.close();
  }

  /** In the background: nobody waits for the first connection but the first call that needs it, and that only so long. */
  async #start(): Promise<void> {
    const { tiers } = this;
    if (tiers.far.length === 0) return;
    this.#upkeep.start();
    tiers.listen(await this.#upkeep.heard());
    await this.#upkeep.warm();
  }
}
