import { withPerf } from "langchain-perf";
import type { Measure } from "../harness/bench.ts";
import { FakeModel } from "../harness/fake-model.ts";
import { measured, times } from "../harness/measured.ts";
import { paired } from "../harness/paired.ts";
import { streamingAnew } from "../harness/streaming.ts";

const CHUNKS = 100;

export const measure: Measure = async () => {
  const model = (): FakeModel => new FakeModel({ chunks: CHUNKS });
  const result = await paired({ bare: streamingAnew(model()), wrapped: streamingAnew(withPerf(model())), calls: 8 });
  const { low, median, high } = result.addedUs;
  return { stream_us_per_chunk: measured({ low: low / CHUNKS, median: median / CHUNKS, high: high / CHUNKS }, times(result)) };
};
