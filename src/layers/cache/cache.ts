import { ignore } from "../../core/abort.ts";
import type { Clock } from "../../core/clock.ts";
import { withDeadline } from "../../core/deadline.ts";
import type { CacheEntry } from "../../core/entry.ts";
import type { CallFacts } from "../../core/facts.ts";
import type { Call, Kind } from "../../core/layer.ts";
import { warn } from "../../core/warn.ts";
import type { Bus, Invalidation } from "../../stores/bus.ts";
import type { MemoryStore } from "../../stores/memory.ts";
import { PerfCache } from "./admin.ts";
import { CacheCounts } from "./counts.ts";
import { FarCache } from "./far.ts";
import type { FarTier } from "./far-tier.ts";
import { HotKeys } from "./hot-keys.ts";
import { concerns } from "./invalidations.ts";
import { labelsOf } from "./labels.ts";
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

/** `flush` waits so long for any one thing. */
const STEP_TIMEOUT_MS = 5_000;
/** The end of a perf takes at most five seconds; what it shares with other processes has had one of them. */
const CLOSE_TIMEOUT_MS = 4_000;
/** Of the time for `close`, what is kept for letting go of connections. */
const DISCONNECT_MS = 1_000;

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
  #closed = false;

  constructor(options: ResolvedCache, open: OpenTiers, host: CacheHost) {
    const { clock, sealer } = host;
    const { namespace, maxEntryBytes } = options;
    const questions = new QuestionLog();
    // What a tenant asked is the tenant's, too. A question has no tags.
    const forgotten = (invalidation: Invalidation): void => questions.forget((tenant) => concerns(invalidation, "", labelsOf({ namespace, tenant }, sealer)));
    const tiers = new Tiers({ ...open, sealer, clock, namespace, maxEntryBytes, kindOf: host.kindOf, forgotten });
    const hotKeys = new HotKeys({}, clock);
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
    this.behind = new FarCache({
      tiers, clock, refresher, staleIfError,
      retryAfter: new RetryAfter(clock, options.maxRetryAfterMs),
      labelsOf: (entry) => labelsOf(entry, sealer),
    });
    const whole = ({ kind, answer }: CacheEntry): unknown => host.kindOf(kind)?.whole(answer);
    this.admin = new PerfCache({ tiers, questions, counts: this.#counts, hotKeys, sealer, whole, run: host.run });
    this.#upkeep = new Upkeep({ tiers, hotKeys, warmStart: options.warmStart });
    this.#started = this.#start().catch((error: unknown) => warn("the cache does without its upkeep", error));
  }

  /** Hears of a call, or an item of one, that has ended. */
  heard(facts: CallFacts): void {
    this.#counts.add(facts);
  }

  /** Waits for all that was begun: refreshes, writes, counts. No step of it is waited for without end. */
  async flush(stepMs = STEP_TIMEOUT_MS): Promise<void> {
    await atMost(stepMs, Promise.all([this.#started, this.#refresher.flush()]));
    await this.tiers.flush();
    await atMost(stepMs, this.#upkeep.record());
  }

  /** Gives up what cannot be delivered in time. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#upkeep.end();
    // Refreshes get a half of the time, so that what they brought, and what was there before, can still be delivered.
    const flushMs = CLOSE_TIMEOUT_MS - DISCONNECT_MS;
    await atMost(flushMs, this.flush(flushMs / 2));
    await atMost(DISCONNECT_MS, this.tiers.close());
  }

  /** In the background: nobody waits for the first connection but the first call that needs it, and that only so long. */
  async #start(): Promise<void> {
    const { tiers } = this;
    if (tiers.far.length === 0) return;
    this.#upkeep.start();
    const since = await this.#upkeep.heard();
    if (this.#closed) return;
    tiers.listen(since);
    await this.#upkeep.warm();
  }
}

/** Whoever waits goes on when it takes longer. */
async function atMost(timeoutMs: number, work: Promise<unknown>): Promise<void> {
  await withDeadline(work, timeoutMs, "it goes on by itself").catch(ignore);
}
