import { OptionError } from "../core/errors.ts";
import { resolveWith } from "../core/options.ts";
import { Baseline } from "./concurrency/baseline.ts";
import { Ceiling } from "./concurrency/ceiling.ts";
import { LatencyWindow, type Measured } from "./concurrency/latency-window.ts";
import type { RequestEnd } from "./limiter.ts";

/** A request that ended, as concurrency sees it. */
export interface EndedRequest {
  /** From its permit to its end. */
  readonly durationMs: number;
  readonly end: RequestEnd;
  /** Requests that were under way when it ended, itself included. */
  readonly active: number;
  /** Monotonic clock, milliseconds. */
  readonly now: number;
}

/** How many requests may be under way at once. */
export interface Concurrency {
  /** A whole number of at least 1. */
  readonly limit: number;
  /** Where that number comes from, for people. */
  readonly reason: string;
  ended(request: EndedRequest): void;
}

export function fixedConcurrency(limit: number): Concurrency {
  return { limit, reason: "as configured", ended: () => undefined };
}

export interface AdaptiveConcurrencyOptions {
  /** Where it begins. @default 10, or the nearest that `min` and `max` allow */
  readonly initial?: number;
  /** @default 1 */
  readonly min?: number;
  /** @default 1_000 */
  readonly max?: number;
}

/** More than any upstream serves. */
const MOST = 1_000_000;
/** What a start without a queue multiplies the limit by, a window at a time. */
const START_FACTOR = 1.5;
/** What a refusal multiplies it by. */
const REFUSED_FACTOR = 0.8;
/** Share of the limit that is left while the latency without a queue is measured. */
const PROBE_FACTOR = 0.75;
/** Time between two such measurements: this, and this many latencies. */
const PROBE_EVERY_MS = 30_000;
const PROBE_EVERY_LATENCIES = 40;
/** A probe goes on with a lower limit if it left less than this share of the latency, unless it lowered the limit by so many already. */
const STILL_FALLING = 0.9;
const ENOUGH_LOWERED = 8;
/** A queue of this many requests more than chance explains is what we want: less leaves slots idle at times, more is waiting for nothing. */
const WANTED_QUEUE = { least: 1, most: 4 };
/** Refusals sooner after a cut than this belong to it. */
const LONGEST_BURST_MS = 250;
/** Who was away for so long begins a new window. */
const IDLE_MS = 120_000;

/**
 * Finds the concurrency above which the upstream only queues, from latency alone. As in TCP Vegas and Netflix's concurrency-limits, the
 * part of a window's mean latency that exceeds the latency without a queue says how many of the requests under way must be waiting
 * (Little's law). Unlike there, the difference has to exceed what chance explains, and the latency without a queue is measured by
 * lowering the limit for a moment, at most twice a minute: without that, the best of the past creeps up with the queue that it allows.
 *
 * A limit that is not reached is left as it is: nothing can be learned about it.
 */
export class AdaptiveConcurrency implements Concurrency {
  readonly #min: number;
  readonly #max: number;
  readonly #window = new LatencyWindow();
  readonly #baseline = new Baseline();
  readonly #ceiling = new Ceiling();
  /** The limit outside of probes, with its fraction. */
  #size: number;
  #reason = "starting";
  #isStarting = true;
  /** Windows in a row that called for more. */
  #growths = 0;
  /** Share of the limit that a probe leaves; 1 = none is under way. */
  #share = 1;
  /** Latency at the limit that the probe lowered. */
  #beforeProbeMs = 0;
  #probedAt = -Infinity;
  /** What ends before this was admitted under another limit. */
  #settledAt = -Infinity;
  #cutAt = -Infinity;
  #endedAt = -Infinity;
  #latencyMs = 0;
  /** The first answers after a time without any are short ones: those that take long are still under way. */
  #isFresh = true;

  /** @throws OptionError for bounds that are no whole numbers of at least 1, or contradict each other */
  constructor(options: AdaptiveConcurrencyOptions = {}) {
    const { initial, min, max } = resolveWith("adaptive", options, (read) => ({
      initial: read.number("initial", { default: undefined, min: 1, max: MOST, integer: true }),
      min: read.number("min", { default: 1, min: 1, max: MOST, integer: true }),
      max: read.number("max", { default: 1_000, min: 1, max: MOST, integer: true }),
    }));
    if (min > max) throw new OptionError("adaptive.max", `at least min (${min})`, max);
    if (initial !== undefined && (initial < min || initial > max)) throw new OptionError("adaptive.initial", `between min (${min}) and max (${max})`, initial);
    this.#min = min;
    this.#max = max;
    this.#size = Math.min(max, Math.max(min, initial ?? 10));
  }

  get limit(): number {
    return Math.max(this.#min, Math.round(this.#size * this.#share));
  }

  get reason(): string {
    return this.#reason;
  }

  ended({ durationMs, end, active, now }: EndedRequest): void {
    if (end === "overloaded") return this.#refused(now - durationMs, now);
    // Whoever left did not wait for the end, and an error comes sooner or later than an answer.
    if (end !== "ok") return;
    if (now - durationMs - this.#endedAt > IDLE_MS) this.#restart();
    this.#endedAt = now;
    if (now < this.#settledAt) return;
    const measured = this.#window.add(durationMs, active, now);
    if (measured === undefined) return;
    this.#latencyMs = measured.meanMs;
    if (this.#isFresh) this.#isFresh = false;
    else if (this.#share < 1) this.#endProbe(measured, now);
    else this.#judge(measured, now);
  }

  get #steadyLimit(): number {
    return Math.round(this.#size);
  }

  #restart(): void {
    this.#window.clear();
    this.#isFresh = true;
    this.#share = 1;
  }

  #judge(measured: Measured, now: number): void {
    this.#baseline.add(measured, now);
    if (measured.peak < this.#steadyLimit) {
      this.#growths = 0;
      this.#reason = `${measured.peak} at once are the most that were needed: ${this.#steadyLimit} stays`;
      return;
    }
    const bestMs = this.#baseline.ms;
    const active = Math.min(measured.active, this.#size);
    const queue = active * (1 - bestMs / measured.meanMs);
    const chance = (active * measured.errorMs) / measured.meanMs;
    const { least, most } = WANTED_QUEUE;
    const why = `latency ${Math.round(measured.meanMs)} ms, ${(measured.meanMs / bestMs).toFixed(1)} x the best of late (${Math.round(bestMs)} ms)`;
    if (queue < chance + least) this.#grow(why, now);
    else {
      this.#growths = 0;
      this.#isStarting = false;
      const excess = queue - chance - most;
      // Aims at the middle of what is wanted.
      this.#resize(excess > 0 ? this.#size - 0.7 * Math.max(1, excess + (most - least) / 2) : this.#size, why);
    }
    this.#probeWhenDue(now);
  }

  #grow(why: string, now: number): void {
    // The more windows call for more, the further away is the knee.
    const step = 0.5 * Math.sqrt(this.#size) * (1 + 0.5 * Math.min(4, this.#growths));
    const wanted = this.#isStarting ? this.#size * START_FACTOR : this.#size + Math.max(1, step);
    this.#growths += 1;
    // So many at once are new that those of them that end soon would make the latency look shorter than it is.
    if (this.#isStarting) this.#settledAt = now + this.#latencyMs;
    const below = this.#ceiling.below(now);
    if (Math.round(wanted) < below) this.#resize(wanted, why);
    else this.#resize(Math.max(this.#size, below - 1), `refused at ${below} of late`);
  }

  /** A burst of refusals counts once: those admitted before the limit was cut say nothing about the new one. */
  #refused(admittedAt: number, now: number): void {
    if (admittedAt < this.#cutAt || now - this.#cutAt < Math.min(this.#latencyMs, LONGEST_BURST_MS)) return;
    this.#ceiling.refused(this.limit, this.#latencyMs, now);
    this.#cutAt = now;
    this.#isStarting = false;
    this.#share = 1;
    this.#growths = 0;
    this.#window.clear();
    this.#resize(this.#size * REFUSED_FACTOR, "429, 503 or timeout from upstream");
  }

  #probeWhenDue(now: number): void {
    const isDue = now - this.#probedAt > Math.max(PROBE_EVERY_MS, PROBE_EVERY_LATENCIES * this.#latencyMs);
    if (isDue && !this.#isStarting) this.#probe(now);
  }

  /** @returns whether there was anything left to lower */
  #probe(now: number): boolean {
    const before = this.limit;
    this.#share *= PROBE_FACTOR;
    if (this.limit === before) {
      this.#share = 1;
      return false;
    }
    this.#beforeProbeMs = this.#latencyMs;
    this.#settledAt = now + this.#latencyMs;
    this.#reason = `latency without a queue is being measured: ${before} -> ${this.limit}`;
    return true;
  }

  #endProbe(measured: Measured, now: number): void {
    const lowered = this.limit;
    // A latency that falls with the limit still had a queue in it. Where many are under way, having lowered the limit once shows as much.
    const hadQueue = measured.meanMs < STILL_FALLING * this.#beforeProbeMs && this.#steadyLimit - lowered < ENOUGH_LOWERED;
    if (hadQueue && this.#probe(now)) return;
    this.#share = 1;
    this.#reason = `latency without a queue measured, ${Math.round(measured.meanMs)} ms: ${lowered} -> ${this.#steadyLimit}`;
    this.#probedAt = now;
    this.#settledAt = now + measured.meanMs;
    this.#baseline.addProbe(measured, now);
  }

  #resize(size: number, why: string): void {
    const before = this.#steadyLimit;
    this.#size = Math.min(this.#max, Math.max(this.#min, size));
    this.#reason = `${why}: ${before === this.#steadyLimit ? `${before} stays` : `${before} -> ${this.#steadyLimit}`}`;
  }
}
