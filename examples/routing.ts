import { ChatAnthropic } from "@langchain/anthropic";
import { StringOutputParser } from "@langchain/core/output_parsers";
import { ChatPromptTemplate } from "@langchain/core/prompts";
import { ChatOpenAI } from "@langchain/openai";
import { createPerf, withPerf } from "langchain-perf";
import { createSimulator } from "langchain-perf/testing";

// Two simulated providers, so that no key is needed; one of them refuses every request.
const [healthy, failing] = await Promise.all([createSimulator({ latency: "agent", speed: 5 }), createSimulator({ faults: ["status=503"] })]);
const openAI = (baseURL: string): ChatOpenAI => new ChatOpenAI({ model: "gpt-4o-mini", apiKey: "simulated", configuration: { baseURL } });

// The program as it was.
const prompt = ChatPromptTemplate.fromMessages([["system", "You answer questions about our shop in one sentence."], ["human", "{question}"]]);
const chain = prompt.pipe(openAI(failing.baseURL)).pipe(new StringOutputParser());

// The same for three deployments: whoever can, answers.
const perf = createPerf({
  routing: {
    strategy: "least-busy",
    deployments: [
      { id: "east", model: openAI(failing.baseURL) },
      { id: "west", model: openAI(healthy.baseURL) },
      { id: "claude", model: new ChatAnthropic({ model: "claude-haiku-4-5", apiKey: "simulated", anthropicApiUrl: healthy.anthropicBaseURL }) },
    ],
  },
  retry: { maxRetries: 2 },
  timeouts: { firstTokenMs: 10_000, totalMs: 30_000 },
});
perf.on("call", ({ kind, deployment, attempts }) => {
  if (kind === "chat") console.log(`${deployment} answered:`, attempts.map(({ deployment: asked, error }) => `${asked} ${error ?? "ok"}`).join(", "));
});

const fast = withPerf(chain, perf);
const questions = ["Where is my card?", "When does it arrive?", "Can I send it back?"];
console.log(await fast.batch(questions.map((question) => ({ question }))));
console.table(perf.deployments(), ["id", "model", "circuit", "requests", "failures"]);
await perf.close();
await Promise.all([healthy.close(), failing.close()]);
