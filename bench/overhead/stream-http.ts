import { ChatOpenAI } from "@langchain/openai";
import { withPerf } from "langchain-perf";
import type { Measure } from "../harness/bench.ts";
import { measured, times } from "../harness/measured.ts";
import { paired } from "../harness/paired.ts";
import { simulatorProcess } from "../harness/simulator-process.ts";
import { streamingAnew } from "../harness/streaming.ts";

export const measure: Measure = async () => {
  const simulator = await simulatorProcess();
  try {
    const model = (): ChatOpenAI => new ChatOpenAI({ model: "chunks-100", apiKey: "none", configuration: { baseURL: simulator.baseURL } });
    const result = await paired({ bare: streamingAnew(model()), wrapped: streamingAnew(withPerf(model())), calls: 4 });
    return { stream_ratio_http: measured(result.ratio, times(result)) };
  } finally {
    await simulator.close();
  }
};
