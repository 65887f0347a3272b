import type { Measure } from "../harness/bench.ts";
import { quartiles } from "../harness/quartiles.ts";
import { shown } from "../harness/report.ts";
import type { OutageLog } from "./outage-log.ts";
import { OPEN_MS, playOutages, RECOVERY_MS } from "./outage-play.ts";

/** A share is the full one again when it is so much of what it was while all was well, for half an open period. */
const FULL = 0.9;
const STEADY_MS = OPEN_MS / 2;

/**
 * `outage_goodput`: of all calls that were under way while the fault was there, in all rounds together, those that got their answer within the 2 s that callers
 * wait; two deployments have room for all of them. `outage_p99`: of the times of the same calls, a failed one counting as endless, against the median of the calm
 * times before each fault, so that a calm time that something else disturbed does not flatter it.
 * `outage_recovery_periods`: from the end of the fault, in all rounds together, until the deployment began to answer at least 90% of its share of the calls for half an open period.
 */
export const measure: Measure = async () => {
  const { log, failing, calm, faults } = await playOutages();
  const calmMs = quartiles(calm.map((interval) => p99(log.timesOf([interval])))).median;
  const share = log.shareOf(failing, calm);
  const kinds = [...faults].map(([name, intervals]) => {
    const regainedMs = log.regained(failing, intervals.map(({ to }) => to), FULL * share, { forMs: STEADY_MS, withinMs: RECOVERY_MS });
    return { name, calls: log.timesOf(intervals).length, ...answered(log, intervals), periods: regainedMs / OPEN_MS };
  });
  const each = (text: (kind: (typeof kinds)[number]) => string): string => kinds.map((kind) => `${kind.name} ${text(kind)}`).join(", ");
  return {
    outage_goodput: { value: Math.min(...kinds.map(({ goodput }) => goodput)), note: each(({ goodput, calls }) => `${shown(goodput)} of ${shown(calls)} calls`) },
    outage_p99: { value: Math.max(...kinds.map(({ p99Ms }) => p99Ms)) / calmMs, note: `healthy ${shown(calmMs)} ms, ${each(({ p99Ms }) => `${shown(p99Ms)} ms`)}` },
    outage_recovery_periods: { value: Math.max(...kinds.map(({ periods }) => periods)), note: `of ${shown(OPEN_MS)} ms: ${each(({ periods }) => shown(periods))}; its share was ${shown(share)}` },
  };
};

function answered(log: OutageLog, intervals: Parameters<OutageLog["timesOf"]>[0]): { goodput: number; p99Ms: number } {
  const times = log.timesOf(intervals);
  return { goodput: times.filter(Number.isFinite).length / times.length, p99Ms: p99(times) };
}

/** @param times the longest last */
function p99(times: readonly number[]): number {
  return times[Math.floor(times.length * 0.99)] ?? Number.NaN;
}
