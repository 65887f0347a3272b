import type { Measured } from "./latency-window.ts";

interface Window {
  readonly meanMs: number;
  /** Standard error of the mean, as a share of it. */
  readonly error: number;
  readonly at: number;
}

/** How long a window is remembered: this, or this many latencies if that is longer. */
const WINDOWS_MS = 120_000;
const WINDOWS_LATENCIES = 60;
/** The same of probes, which are rarer. */
const PROBES_MS = 150_000;
const PROBES_LATENCIES = 200;
const PROBES = 3;
/** The share of the windows that is better, and how many standard errors that is below the mean when only chance makes them differ. */
const PERCENTILE = 0.1;
const PERCENTILE_ERRORS = 1.28;

/** The latency that requests have when they wait for nothing. */
export class Baseline {
  #windows: Window[] = [];
  #probes: Window[] = [];
  #ms = 0;

  /** Milliseconds; known from the first window on. */
  get ms(): number {
    return this.#ms;
  }

  add(measured: Measured, now: number): void {
    const { meanMs } = measured;
    this.#windows.push(windowOf(measured, now));
    this.#windows = since(now - Math.max(WINDOWS_MS, WINDOWS_LATENCIES * meanMs), this.#windows);
    this.#probes = since(now - Math.max(PROBES_MS, PROBES_LATENCIES * meanMs), this.#probes);
    const probed = middle(this.#probes);
    this.#ms = this.#probes.length === PROBES ? probed : Math.min(probed, this.#best());
  }

  /** A window with the limit lowered. Once there are enough of these, the others are not asked any more: they may all have had a queue. */
  addProbe(measured: Measured, now: number): void {
    this.#probes = [...this.#probes, windowOf(measured, now)].slice(-PROBES);
  }

  /** The best windows owe part of what they are to luck; that much is added. */
  #best(): number {
    const sorted = this.#windows.toSorted((one, other) => one.meanMs - other.meanMs);
    const best = sorted[Math.floor(PERCENTILE * sorted.length)]?.meanMs ?? 0;
    const errors = this.#windows.map(({ error }) => error).toSorted((one, other) => one - other);
    const luck = PERCENTILE_ERRORS * Math.min(1, Math.log10(sorted.length)) * (errors[errors.length >> 1] ?? 0);
    return best * (1 + luck);
  }
}

function windowOf({ meanMs, errorMs }: Measured, at: number): Window {
  return { meanMs, error: meanMs > 0 ? errorMs / meanMs : 0, at };
}

function since(moment: number, windows: Window[]): Window[] {
  return windows.filter(({ at }) => at >= moment);
}

/** `Infinity` for none. */
function middle(windows: readonly Window[]): number {
  return windows.toSorted((one, other) => one.meanMs - other.meanMs)[windows.length >> 1]?.meanMs ?? Infinity;
}
