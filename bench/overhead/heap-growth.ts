import { createPerf, withPerf } from "langchain-perf";
import type { Measure } from "../harness/bench.ts";
import { FakeModel } from "../harness/fake-model.ts";
import { heapInUse } from "../harness/heap.ts";
import { shown } from "../harness/report.ts";

const CALLS = 200_000;
/** Enough for everything that is bounded to reach its bound: the cache, the log of questions, the statistics. */
const WARM_UP_CALLS = 60_000;

type Asker = (model: FakeModel, at: number) => Promise<void>;

const hit: Asker = async (model, at) => void (await model.invoke(`A common question, number ${at % 50}`));
const miss: Asker = async (model, at) => void (await model.invoke(`A rare question, number ${at}`));

const streamed: Asker = async (model, at) => {
  for await (const _ of await model.stream(`A question for a stream, number ${at}`));
};

const leftEarly: Asker = async (model, at) => {
  for await (const _ of await model.stream(`A question for a reader who leaves, number ${at}`)) break;
};

const aborted: Asker = async (model, at) => {
  const abort = new AbortController();
  try {
    for await (const _ of await model.stream(`A question for a reader who aborts, number ${at}`, { signal: abort.signal })) abort.abort();
  } catch (error) {
    if (!abort.signal.aborted) throw error;
  }
};

const failing: Asker = async (model, at) => {
  const failed = await model.invoke(`fail ${at}`).then(() => false, () => true);
  if (!failed) throw new Error("A call that should fail did not.");
};

/** What is asked in turn: of twenty calls eight hits, six misses, three streams, two that end early and an error. */
const MIX: readonly Asker[] = [
  hit, miss, hit, streamed, miss, hit, leftEarly, miss, hit, streamed,
  miss, hit, failing, miss, hit, aborted, hit, streamed, miss, hit,
];

export const measure: Measure = async () => {
  const perf = createPerf({ cache: { memory: { maxBytes: 4 * 1024 * 1024 } }, coalesce: true, trace: true });
  const model = withPerf(new FakeModel({ answer, chunks: 10 }), perf);
  let at = 0;
  for (; at < WARM_UP_CALLS; at++) await ask(model, at);
  const before = await heapInUse();
  for (; at < WARM_UP_CALLS + CALLS; at++) await ask(model, at);
  const growth = (await heapInUse()) - before;
  const { entries, sizeBytes, evictions } = perf.cache.stats();
  return { heap_growth_bytes: { value: growth, note: `heap before ${shown(before)}; cache ${entries} entries, ${shown(sizeBytes)} bytes, ${shown(evictions)} evictions` } };
};

function ask(model: FakeModel, at: number): Promise<void> {
  return (MIX[at % MIX.length] as Asker)(model, at);
}

function answer(question: string): string {
  if (question.startsWith("fail")) throw new Error("This call fails.");
  return `The answer to: ${question}`;
}
