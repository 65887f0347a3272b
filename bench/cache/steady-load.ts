import { setTimeout as delay } from "node:timers/promises";
import { quartiles } from "../harness/quartiles.ts";

/** What became of the calls of one phase. */
export interface Phase {
  readonly tookMs: number[];
  failed: number;
}

export function newPhase(): Phase {
  return { tookMs: [], failed: 0 };
}

/** Calls at a steady rate, whether or not the earlier ones have ended; each counts for the phase in which it began. */
export class SteadyLoad {
  readonly #call: () => Promise<void>;
  readonly #timer: NodeJS.Timeout;
  readonly #open = new Set<Promise<void>>();
  readonly #began = performance.now();
  #made = 0;
  phase: Phase = newPhase();

  constructor(perSecond: number, call: () => Promise<void>) {
    this.#call = call;
    // A timer that comes late makes the calls that it owes.
    this.#timer = setInterval(() => {
      while (this.#made < ((performance.now() - this.#began) / 1_000) * perSecond) this.#make();
    }, 1_000 / perSecond);
  }

  /** A phase of its own for so long; ends when its last call has ended. */
  async during(ms: number): Promise<Phase> {
    const phase = (this.phase = newPhase());
    await delay(ms);
    this.phase = newPhase();
    await Promise.all(this.#open);
    return phase;
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await Promise.all(this.#open);
  }

  #make(): void {
    this.#made += 1;
    const { phase } = this;
    const began = performance.now();
    const call = this.#call().then(
      () => void phase.tookMs.push(performance.now() - began),
      () => void (phase.failed += 1),
    );
    this.#open.add(call);
    void call.finally(() => this.#open.delete(call));
  }
}

export function p99({ tookMs }: Phase): number {
  return tookMs.toSorted((a, b) => a - b)[Math.floor(tookMs.length * 0.99)] ?? Number.NaN;
}

export function medianOf({ tookMs }: Phase): number {
  return quartiles(tookMs).median;
}
