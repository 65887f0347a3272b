import { build, type Histogram } from "hdr-histogram-js";
import type { Clock } from "../core/clock.ts";
import type { LimiterStatus } from "../limits/limiter.ts";
import { isHit, type CallFacts, type KindName, type TierName } from "../core/facts.ts";

/** What happened lately to the calls of one kind. */
export interface KindSnapshot {
  calls: number;
  callsPerSecond: number;
  errors: number;
  /** Milliseconds. */
  p50: number;
  p95: number;
  p99: number;
  /** Answers from the cache, old ones included. */
  hits: number;
  /** The same by where they were found. */
  hitsByTier: Partial<Record<TierName, number>>;
  misses: number;
  /** Hits and followers among all calls that could be either; 0 to 1. */
  hitRate: number;
  coalesced: number;
  inputTokens: number;
  outputTokens: number;
  costUsd: number;
  savedUsd: number;
}

/** A rolling view of the last minute. */
export interface PerfSnapshot {
  /** Length of the window, milliseconds. */
  windowMs: number;
  kinds: Partial<Record<KindName, KindSnapshot>>;
  /** Where the limits stand now, the user's own first and then those that providers announced; absent without `rateLimit`. */
  limits?: LimiterStatus[];
}

const SLICES = 6;
const SLICE_MS = 10_000;
const WINDOW_MS = SLICES * SLICE_MS;
const HIGHEST_US = 3_600_000_000;

type Counts = Omit<KindSnapshot, "callsPerSecond" | "p50" | "p95" | "p99" | "hitRate" | "hitsByTier">;

/** Counts and latencies of one kind in one slice of time. */
class Slice {
  readonly counts: Counts = { calls: 0, errors: 0, hits: 0, misses: 0, coalesced: 0, inputTokens: 0, outputTokens: 0, costUsd: 0, savedUsd: 0 };
  readonly micros: Histogram = latencyHistogram();
  readonly hitsByTier: KindSnapshot["hitsByTier"] = {};
  /** Calls that could be answered without a request of their own, and those that were. */
  sharable = 0;
  shared = 0;

  add(facts: CallFacts): void {
    const { counts } = this;
    counts.calls += 1;
    if (facts.error) counts.errors += 1;
    const { usage } = facts;
    const follower = facts.coalesced === "follower";
    const hit = isHit(facts.cache);
    if (hit) counts.hits += 1;
    const tier = facts.cache?.tier;
    if (hit && tier) this.hitsByTier[tier] = (this.hitsByTier[tier] ?? 0) + 1;
    if (facts.cache?.status === "miss") counts.misses += 1;
    if (follower) counts.coalesced += 1;
    if (hit || facts.cache?.status === "miss" || facts.coalesced) this.sharable += 1;
    if (hit || follower) this.shared += 1;
    if (usage && !hit && !follower) {
      counts.inputTokens += usage.inputTokens;
      counts.outputTokens += usage.outputTokens;
    }
    counts.costUsd += facts.costUsd ?? 0;
    counts.savedUsd += facts.savedUsd ?? 0;
    this.micros.recordValue(Math.min(HIGHEST_US, Math.max(1, Math.round(facts.durationMs * 1000))));
  }
}

function latencyHistogram(): Histogram {
  return build({ bitBucketSize: 32, autoResize: true, lowestDiscernibleValue: 1, highestTrackableValue: 2, numberOfSignificantValueDigits: 2 });
}

/** Rolling statistics over the last minute, in slices of ten seconds. */
export class StatsWindow {
  readonly #clock: Clock;
  readonly #slices = new Map<KindName, Map<number, Slice>>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** @param elapsed now, by the monotonic clock */
  add(facts: CallFacts, elapsed = this.#clock.elapsed()): void {
    const now = Math.floor(elapsed / SLICE_MS);
    let ofKind = this.#slices.get(facts.kind);
    if (!ofKind) this.#slices.set(facts.kind, (ofKind = new Map()));
    let slice = ofKind.get(now);
    if (!slice) {
      for (const index of ofKind.keys()) if (index <= now - SLICES) ofKind.delete(index);
      ofKind.set(now, (slice = new Slice()));
    }
    slice.add(facts);
  }

  snapshot(): PerfSnapshot {
    const oldest = Math.floor(this.#clock.elapsed() / SLICE_MS) - SLICES;
    const kinds: PerfSnapshot["kinds"] = {};
    for (const [kind, slices] of this.#slices) {
      const recent = [...slices].filter(([index]) => index > oldest).map(([, slice]) => slice);
      if (recent.length > 0) kinds[kind] = summary(recent);
    }
    return { windowMs: WINDOW_MS, kinds };
  }
}

function summary(slices: readonly Slice[]): KindSnapshot {
  const micros = latencyHistogram();
  const total = new Slice().counts;
  let sharable = 0;
  let shared = 0;
  const hitsByTier: KindSnapshot["hitsByTier"] = {};
  for (const { counts, micros: slice, hitsByTier: inSlice, ...share } of slices) {
    micros.add(slice);
    sharable += share.sharable;
    shared += share.shared;
    for (const name of Object.keys(total) as (keyof Counts)[]) total[name] += counts[name];
    for (const tier of Object.keys(inSlice) as TierName[]) hitsByTier[tier] = (hitsByTier[tier] ?? 0) + (inSlice[tier] ?? 0);
  }
  const percentile = (p: number): number => micros.getValueAtPercentile(p) / 1000;
  return {
    ...total,
    hitsByTier,
    callsPerSecond: total.calls / (WINDOW_MS / 1000),
    p50: percentile(50),
    p95: percentile(95),
    p99: percentile(99),
    hitRate: sharable === 0 ? 0 : shared / sharable,
  };
}
