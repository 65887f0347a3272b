import { AdaptiveConcurrency, fixedConcurrency } from "../../src/limits/concurrency.ts";
import type { Measure, Measurement } from "../harness/bench.ts";
import { quartiles } from "../harness/quartiles.ts";
import { shown } from "../harness/report.ts";
import { playSaturated, type Phase, type PhaseResult, type Upstream } from "./adaptive-upstream.ts";

const MEAN_MS = 400;
const PHASES: readonly Phase[] = [20, 8, 30, 15].map((slots) => ({ slots, meanMs: MEAN_MS, lastsMs: 300 * MEAN_MS }));
/** None of these was looked at while the algorithm was being made. */
const SEEDS = Array.from({ length: 15 }, (_, at) => 15_001 + at);
/** There are 60 limits to try in each phase. */
const SWEEP_SEEDS = SEEDS.slice(0, 7);
const LIMITS = Array.from({ length: 60 }, (_, at) => at + 1);

type Kind = Pick<Upstream, "discipline" | "stages">;
type Result = Pick<PhaseResult, "perSecond" | "p99Ms">;

/** The worst phase of each seed, in units of the best fixed limit of that phase. */
interface Ratios {
  readonly goodput: readonly number[];
  readonly p99: readonly number[];
  /** The best fixed limits, for people. */
  readonly best: string;
}

export const measure: Measure = async () => {
  const promised = ratiosFor({ discipline: "fifo", stages: 1 });
  const others = {
    "FIFO with CV 0.5": ratiosFor({ discipline: "fifo", stages: 4 }),
    "processor sharing with CV 1": ratiosFor({ discipline: "sharing", stages: 1 }),
    "processor sharing with CV 0.5": ratiosFor({ discipline: "sharing", stages: 4 }),
  };
  const measured = (name: "goodput" | "p99", worst: (...values: number[]) => number): Measurement => {
    const { low, median, high } = quartiles(promised[name]);
    const elsewhere = Object.entries(others).map(([kind, ratios]) => `${kind} ${shown(quartiles(ratios[name]).median)}`);
    return { value: median, spread: [low, high], note: `worst of ${SEEDS.length} seeds ${shown(worst(...promised[name]))}; ${elsewhere.join(", ")}; best fixed: ${promised.best}` };
  };
  return { adaptive_goodput: measured("goodput", Math.min), adaptive_p99: measured("p99", Math.max) };
};

function ratiosFor(kind: Kind): Ratios {
  const best = PHASES.map((phase) => bestFixed(kind, phase));
  const runs = SEEDS.map((seed) => playSaturated({ ...kind, phases: PHASES, seed }, new AdaptiveConcurrency()));
  const worst = (of: (result: Result) => number, pick: (...values: number[]) => number): number[] =>
    runs.map((phases) => pick(...phases.map((result, at) => of(result) / of(best[at] ?? result))));
  return {
    goodput: worst(({ perSecond }) => perSecond, Math.min),
    p99: worst(({ p99Ms }) => p99Ms, Math.max),
    best: best.map(({ limit, perSecond, p99Ms }) => `${limit} (${shown(perSecond)}/s, p99 ${shown(p99Ms)} ms)`).join(", "),
  };
}

/**
 * Of the fixed limits with at least 99% of the best goodput, the one with the smallest p99. Each has the phase to itself from start to
 * end, with nothing left over from the phase before, which the adaptive one does not.
 */
function bestFixed(kind: Kind, phase: Phase): Result & { readonly limit: number } {
  const results = LIMITS.map((limit) => {
    const runs = SWEEP_SEEDS.flatMap((seed) => playSaturated({ ...kind, phases: [phase], seed }, fixedConcurrency(limit)));
    return { limit, perSecond: mean(runs.map(({ perSecond }) => perSecond)), p99Ms: mean(runs.map(({ p99Ms }) => p99Ms)) };
  });
  const enough = 0.99 * Math.max(...results.map(({ perSecond }) => perSecond));
  return results.filter(({ perSecond }) => perSecond >= enough).reduce((best, result) => (result.p99Ms < best.p99Ms ? result : best));
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
