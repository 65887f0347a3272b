import type { Measurement } from "./bench.ts";
import type { PairedResult } from "./paired.ts";
import type { Quartiles } from "./quartiles.ts";
import { shown } from "./report.ts";

export function measured({ low, median, high }: Quartiles, note: string): Measurement {
  return { value: median, spread: [low, high], note };
}

/** The absolute times behind a ratio. */
export function times({ bareUs, wrappedUs, cpuRatio }: PairedResult, bare = "bare", wrapped = "wrapped"): string {
  return `${wrapped} ${shown(wrappedUs.median)} µs, ${bare} ${shown(bareUs.median)} µs a call; CPU time alone ${shown(cpuRatio.median)} ×`;
}
