/** One of the processes of `cluster-calls.ts`: asks what it is told, many times at once, every second time as a stream. */
import { ChatOpenAI } from "@langchain/openai";
import { createPerf, withPerf } from "langchain-perf";

const [, , redis = "", baseURL = ""] = process.argv;
const perf = createPerf({ cache: { redis }, coalesce: { scope: "cluster" } });
const model = withPerf(new ChatOpenAI({ model: "chunks-20", apiKey: "none", configuration: { baseURL } }), perf);

async function ask(question: string, calls: number): Promise<void> {
  const streamed = async (): Promise<string> => (await Array.fromAsync(await model.stream(question), ({ text }) => text)).join("");
  const invoked = async (): Promise<string> => (await model.invoke(question)).text;
  const answers = await Promise.all(Array.from({ length: calls }, (_, at) => (at % 2 === 0 ? streamed() : invoked())));
  process.send?.([...new Set(answers)]);
}

process.on("message", ({ question, calls }: { question: string; calls: number }) => void ask(question, calls));
process.once("disconnect", () => void perf.close());
await ask(`warm-up of ${process.pid}`, 2);
