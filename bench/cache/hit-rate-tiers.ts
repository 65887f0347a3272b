import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createPerf } from "langchain-perf";
import { roomFor, webTrace } from "../data/web-traces.ts";
import type { Measure } from "../harness/bench.ts";
import { shown } from "../harness/report.ts";

export const measure: Measure = async () => {
  const trace = webTrace("web12");
  const room = roomFor(0.05, trace);
  const folder = await mkdtemp(join(tmpdir(), "langchain-perf-bench-"));
  const perf = createPerf({ cache: { memory: { policy: "s3-fifo", maxEntries: room }, persistent: `sqlite:${join(folder, "cache.db")}` } });
  let misses = 0;
  const lookUp = perf.cached("look up", async (id: string) => {
    misses += 1;
    return { id, name: `product ${id}` };
  });
  for (const id of trace) if ((await lookUp(id)).id !== id) throw new Error("This was another key's answer.");
  const { memory = 0, persistent = 0 } = perf.cache.stats().calls.function?.hits ?? {};
  await perf.close();
  await rm(folder, { recursive: true });
  const note = `room for ${shown(room)} entries in memory; hits there ${shown(memory)}, in the file ${shown(persistent)}, misses ${shown(misses)}; the trace's bound is 0.8561`;
  return { hit_rate_web12_tiers: { value: 1 - misses / trace.length, note } };
};
