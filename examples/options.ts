import { createPerf, withPerf } from "langchain-perf";
import { connect } from "./connect.ts";
import { createClassifier } from "./sentiment/sentiment.ts";

const { connection, close } = await connect();
const perf = createPerf({
  cache: { ttlMs: 10 * 60_000, memory: { maxBytes: 32 * 1024 * 1024 }, tenant: (_control, config: { configurable?: { user?: string } }) => config.configurable?.user },
  coalesce: true,
  trace: true,
  pricing: { "gpt-4o-mini": { input: 0.15, output: 0.6 } },
});
const keys: string[] = [];
perf.on("call", ({ kind, cache, durationMs, costUsd = 0, savedUsd = 0 }) => {
  if (kind !== "chat") return;
  if (cache?.key) keys.push(cache.key);
  console.log(`${cache?.status} in ${Math.round(durationMs)} ms, cost $${costUsd.toFixed(6)}, saved $${savedUsd.toFixed(6)}`);
});

const fast = withPerf(createClassifier(connection), perf);
const ada = { configurable: { user: "ada" } };
await fast.invoke({ message: "Where is my card?" }, ada); // miss
await fast.invoke({ message: "Where is my card?" }, ada); // hit
await fast.invoke({ message: "Where is my card?" }, { configurable: { user: "bob" } }); // miss: another tenant
await fast.invoke({ message: "Where is my card?" }, { configurable: { user: "ada", perf: { cache: "refresh", tags: ["cards"] } } });
await fast.invoke({ message: "Where is my new card?" }, ada); // miss: why?

const { nearest } = await perf.cache.explain(keys.at(-1) as string);
console.log(nearest?.fields); // the last message differs
console.log(await perf.cache.invalidate({ tags: ["cards"] }), "entry forgotten");
await perf.close();
await close();
