import { setTimeout as delay } from "node:timers/promises";
import { withPerf } from "langchain-perf";
import type { Measure } from "../harness/bench.ts";
import { FakeModel } from "../harness/fake-model.ts";

const CALLERS = 1000;

export const measure: Measure = async () => {
  const invoked = await upstreamCalls(async (model) => void (await model.invoke("The same question.")));
  const streamed = await upstreamCalls(async (model) => {
    for await (const _ of await model.stream("The same question."));
  });
  return { coalesce_calls: { value: Math.max(invoked, streamed), note: `invoke ${invoked}, stream ${streamed}` } };
};

async function upstreamCalls(call: (model: FakeModel) => Promise<void>): Promise<number> {
  const answer = async (): Promise<string> => delay(20, "An answer.");
  const model = new FakeModel({ answer });
  const wrapped = withPerf(model, { coalesce: true });
  await Promise.all(Array.from({ length: CALLERS }, () => call(wrapped)));
  return model.calls;
}
