import { createPerf, withPerf } from "langchain-perf";
import type { Measure } from "../harness/bench.ts";
import { FakeModel } from "../harness/fake-model.ts";
import { heapInUse } from "../harness/heap.ts";
import { shown } from "../harness/report.ts";
import { textOf } from "../harness/text.ts";

const ENTRIES = 20_000;
const ANSWER_BYTES = 2 * 1024;

export const measure: Measure = async () => {
  let asked = 0;
  const answer = (question: string): string => textOf(ANSWER_BYTES, `answer to ${question}`);
  const warm = withPerf(new FakeModel({ answer }));
  for (; asked < 1000; asked++) await warm.invoke(`question ${asked}`);
  const perf = createPerf({ cache: { memory: { maxBytes: 2 ** 30 } } });
  const model = withPerf(new FakeModel({ answer }), perf);
  const before = await heapInUse();
  for (const end = asked + ENTRIES; asked < end; asked++) await model.invoke(`question ${asked}`);
  const perEntry = ((await heapInUse()) - before) / ENTRIES;
  const { entries, sizeBytes } = perf.cache.stats();
  if (entries !== ENTRIES) throw new Error(`The cache holds ${entries} entries, wanted ${ENTRIES}.`);
  return { heap_per_entry_bytes: { value: perEntry, note: `the cache's own estimate: ${shown(sizeBytes / entries)} bytes` } };
};
