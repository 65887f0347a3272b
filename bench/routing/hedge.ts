import type { Measure, Measurement } from "../harness/bench.ts";
import { quartiles } from "../harness/quartiles.ts";
import { shown } from "../harness/report.ts";
import { playHedged, type HedgeResult } from "./hedge-play.ts";

/** None of these was looked at while the algorithm was being made. */
const SEEDS = [41_001, 41_002, 41_003, 41_004, 41_005, 41_006, 41_007];

/** Of each seed, hedged / not. */
interface Ratios {
  readonly first: readonly number[];
  readonly total: readonly number[];
  /** Requests that hedging added, per 100 calls. */
  readonly extra: readonly number[];
  /** The p99 that the first of these ratios is made of, milliseconds. */
  readonly note: string;
}

export const measure: Measure = async () => {
  const together = await ratiosOf("together_13b");
  const replicate = await ratiosOf("replicate_70b");
  const togetherElsewhere = await ratiosOf("together_13b", "anyscale_13b");
  const replicateElsewhere = await ratiosOf("replicate_70b", "together_70b");
  return {
    hedge_p99_together_13b: measured(together.first, `${together.note}; hedged by Anyscale's 13b ${shown(quartiles(togetherElsewhere.first).median)}`),
    hedge_p99_replicate_70b: measured(replicate.first, `${replicate.note}; hedged by Together's 70b ${shown(quartiles(replicateElsewhere.first).median)}`),
    hedge_extra_calls: { value: Math.max(...together.extra, ...replicate.extra, ...togetherElsewhere.extra, ...replicateElsewhere.extra), note: `the most of ${4 * SEEDS.length} runs` },
    hedge_e2e_p99: measured(quartiles(together.total).median > quartiles(replicate.total).median ? together.total : replicate.total, `hedged by other providers ${[togetherElsewhere, replicateElsewhere].map(({ total }) => shown(quartiles(total).median)).join(" and ")}`),
  };
};

function measured(ratios: readonly number[], note: string): Measurement {
  const { low, median, high } = quartiles(ratios);
  return { value: median, spread: [low, high], note: `worst of ${SEEDS.length} seeds ${shown(Math.max(...ratios))}; ${note}` };
}

async function ratiosOf(first: string, second = first): Promise<Ratios> {
  const runs = [];
  for (const seed of SEEDS) runs.push({ without: await playHedged({ first, second, seed, hedge: undefined }), hedged: await playHedged({ first, second, seed, hedge: {} }) });
  const [shownRun] = runs as [(typeof runs)[number]];
  return {
    first: runs.map(({ without, hedged }) => p99(hedged.firstTokenMs) / p99(without.firstTokenMs)),
    total: runs.map(({ without, hedged }) => p99(hedged.totalMs) / p99(without.totalMs)),
    extra: runs.map(({ hedged }) => 100 * (hedged.requests / hedged.calls - 1)),
    note: `e.g. ${seconds(shownRun.hedged)} instead of ${seconds(shownRun.without)}, of ${shown(shownRun.hedged.calls)} calls`,
  };
}

function seconds({ firstTokenMs }: HedgeResult): string {
  return `${shown(p99(firstTokenMs) / 1_000)} s`;
}

function p99(values: readonly number[]): number {
  return values.toSorted((one, other) => one - other)[Math.floor(0.99 * values.length)] ?? Number.NaN;
}
