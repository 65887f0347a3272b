import { OpenAIEmbeddings } from "@langchain/openai";
import { createPerf, withPerf } from "langchain-perf";
import { connect } from "./connect.ts";
import { createClassifier } from "./sentiment/sentiment.ts";

const { connection, close } = await connect();
const perf = createPerf({
  rateLimit: { requestsPerMinute: 3_000, tokensPerMinute: 500_000, maxConcurrent: "adaptive", per: ({ tenant }) => tenant ?? "" },
  batch: true,
});
const classifier = withPerf(createClassifier(connection), perf);

// A long list: some at a time, memory bounded, and never faster than the limits.
const messages = Array.from({ length: 40 }, (_, at) => ({ message: `Order ${at} is broken and terrible, I want my money back!` }));
const moods: Record<string, number> = {};
for await (const result of perf.map(classifier, messages, { concurrency: 32, order: "completion" })) {
  if (result.ok) moods[result.output.sentiment] = (moods[result.output.sentiment] ?? 0) + 1;
}
console.log(moods);

// Somebody waits for this one: first in the queue, or refused at once if 20 s are not enough.
const ada = { configurable: { perf: { priority: 0, deadlineMs: 20_000, tenant: "ada" } } };
console.log(await classifier.invoke({ message: "Thank you, it is here!" }, ada));

// Questions asked at the same time are one request.
const requests = new Set<number | undefined>();
perf.on("call", ({ kind, batchSize }) => kind === "embeddings" && requests.add(batchSize));
const embeddings = withPerf(new OpenAIEmbeddings({ model: "text-embedding-3-small", ...connection }), perf);
await Promise.all(messages.map(({ message }) => embeddings.embedQuery(message)));
console.log([...requests], "texts in a request");

console.log(perf.stats().limits?.[0]);
await perf.close();
await close();
