import type { Concurrency } from "../../src/limits/concurrency.ts";
import { seededRandom, type Random } from "../../src/testing/random.ts";

/** A stretch of time in which the upstream stays as it is. */
export interface Phase {
  readonly lastsMs: number;
  /** Requests that are worked on at once. */
  readonly slots: number;
  /** What a request takes when it waits for nothing. */
  readonly meanMs: number;
  /** It refuses what comes while this many are there. @default Infinity */
  readonly refusesAt?: number;
}

export interface Upstream {
  readonly phases: readonly Phase[];
  /** `fifo`: who finds no free slot waits for one. `sharing`: all are worked on at once, slower the more there are. */
  readonly discipline: "fifo" | "sharing";
  /** Stages of a request, exponential each: one has a coefficient of variation of 1, four have .5. */
  readonly stages: number;
  readonly seed: number;
}

/** What a phase gave, by the requests that ended in it. */
export interface PhaseResult {
  readonly perSecond: number;
  /** From admission to end, milliseconds. */
  readonly p99Ms: number;
  readonly refused: number;
}

/** A refusal is answered at once, but not in no time. */
const REFUSAL_MS = 20;

/** Plays an upstream in virtual time to a client that always has a request to send, and sends it as soon as the limit allows. */
export function playSaturated(upstream: Upstream, concurrency: Concurrency): PhaseResult[] {
  return new Simulation(upstream, concurrency).run();
}

class Simulation {
  readonly #upstream: Upstream;
  readonly #concurrency: Concurrency;
  readonly #random: Random;
  /** Requests in work, by the moment at which they are done; on the clock of the work, which is slower than time while slots are shared. */
  readonly #inWork = new MomentHeap();
  readonly #refusals = new MomentHeap();
  /** Moments of admission of those that wait for a slot, in order, from `#firstWaiting` on. */
  #waiting: number[] = [];
  #firstWaiting = 0;
  #now = 0;
  #worked = 0;
  #phase: Phase = { lastsMs: 0, slots: 0, meanMs: 0 };

  constructor(upstream: Upstream, concurrency: Concurrency) {
    this.#upstream = upstream;
    this.#concurrency = concurrency;
    this.#random = seededRandom(upstream.seed);
  }

  run(): PhaseResult[] {
    return this.#upstream.phases.map((phase) => this.#play(phase));
  }

  #play(phase: Phase): PhaseResult {
    this.#phase = phase;
    const until = this.#now + phase.lastsMs;
    const took: number[] = [];
    let refused = 0;
    this.#fill();
    for (;;) {
      const doneAt = this.#now + Math.max(0, this.#inWork.earliest - this.#worked) / this.#pace();
      const isRefusal = this.#refusals.earliest < doneAt;
      const at = Math.min(isRefusal ? this.#refusals.earliest : doneAt, until);
      this.#worked += (at - this.#now) * this.#pace();
      this.#now = at;
      if (at === until) break;
      const durationMs = at - (isRefusal ? this.#refusals : this.#inWork).take();
      if (isRefusal) refused += 1;
      else took.push(durationMs);
      this.#concurrency.ended({ durationMs, end: isRefusal ? "overloaded" : "ok", active: this.#active() + 1, now: at });
      this.#fill();
    }
    took.sort((one, other) => one - other);
    return { perSecond: (took.length * 1_000) / phase.lastsMs, p99Ms: took[Math.floor(took.length * 0.99)] ?? Number.NaN, refused };
  }

  #active(): number {
    return this.#inWork.size + this.#refusals.size + this.#waiting.length - this.#firstWaiting;
  }

  #pace(): number {
    return this.#upstream.discipline === "fifo" ? 1 : Math.min(1, this.#phase.slots / this.#inWork.size);
  }

  /** The client sends what it may, the upstream starts what it can. */
  #fill(): void {
    const { slots, refusesAt = Infinity } = this.#phase;
    while (this.#active() < this.#concurrency.limit) {
      if (this.#active() - this.#refusals.size >= refusesAt) this.#refusals.add(this.#now + REFUSAL_MS, this.#now);
      else this.#waiting.push(this.#now);
    }
    const room = this.#upstream.discipline === "fifo" ? slots : Infinity;
    while (this.#firstWaiting < this.#waiting.length && this.#inWork.size < room) {
      this.#inWork.add(this.#worked + this.#workMs(), this.#waiting[this.#firstWaiting++] ?? Number.NaN);
    }
    if (this.#firstWaiting > 1_000) {
      this.#waiting = this.#waiting.slice(this.#firstWaiting);
      this.#firstWaiting = 0;
    }
  }

  #workMs(): number {
    let stages = 0;
    for (let stage = 0; stage < this.#upstream.stages; stage++) stages -= Math.log(1 - this.#random());
    return (stages * this.#phase.meanMs) / this.#upstream.stages;
  }
}

/** Requests, the one that ends first on top. */
class MomentHeap {
  readonly #entries: { readonly endsAt: number; readonly admittedAt: number }[] = [];

  get size(): number {
    return this.#entries.length;
  }

  get earliest(): number {
    return this.#entries[0]?.endsAt ?? Infinity;
  }

  add(endsAt: number, admittedAt: number): void {
    // So few are under way that keeping them sorted costs less than a tree would.
    let at = this.#entries.length;
    while (at > 0 && (this.#entries[at - 1]?.endsAt ?? 0) > endsAt) at -= 1;
    this.#entries.splice(at, 0, { endsAt, admittedAt });
  }

  /** @returns when the request that ends first was admitted */
  take(): number {
    return this.#entries.shift()?.admittedAt ?? Number.NaN;
  }
}
