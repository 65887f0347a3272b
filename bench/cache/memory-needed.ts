import { roomFor, webTrace, type WebTrace } from "../data/web-traces.ts";
import type { Measure, Measurement } from "../harness/bench.ts";
import { shown } from "../harness/report.ts";
import { hitRate } from "./replay.ts";

export const measure: Measure = async () => ({
  memory_for_lru_hit_rate_web12: measureTrace("web12"),
  memory_for_lru_hit_rate_web07: measureTrace("web07"),
});

function measureTrace(name: WebTrace): Measurement {
  const trace = webTrace(name);
  const room = roomFor(0.05, trace);
  const wanted = hitRate("lru", room, trace);
  const enough = leastRoom(room, (entries) => hitRate("s3-fifo", entries, trace) >= wanted);
  return { value: enough / room, note: `hit rate ${shown(wanted)}: S3-FIFO with room for ${shown(enough)} entries, LRU for ${shown(room)}` };
}

/** The least number of entries that is enough, by bisection below one that is. */
function leastRoom(enough: number, isEnough: (entries: number) => boolean): number {
  let tooFew = 0;
  while (enough - tooFew > 1) {
    const between = Math.floor((tooFew + enough) / 2);
    if (isEnough(between)) enough = between;
    else tooFew = between;
  }
  return enough;
}
