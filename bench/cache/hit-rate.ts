import { roomFor, webTrace, type WebTrace } from "../data/web-traces.ts";
import type { Measure, Measurement } from "../harness/bench.ts";
import { shown } from "../harness/report.ts";
import { hitRate } from "./replay.ts";

export const measure: Measure = async () => ({
  hit_rate_web12_memory5pct: measureTrace("web12"),
  hit_rate_web07_memory5pct: measureTrace("web07"),
});

function measureTrace(name: WebTrace): Measurement {
  const trace = webTrace(name);
  const room = roomFor(0.05, trace);
  return { value: hitRate("s3-fifo", room, trace), note: `room for ${shown(room)} entries; LRU ${shown(hitRate("lru", room, trace))}` };
}
