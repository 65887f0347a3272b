import { ChatOpenAI, OpenAI, OpenAIEmbeddings } from "@langchain/openai";
import { createPerf, NoDeploymentError, type CallFacts, type CircuitEvent, type Deployment, type DeploymentStatus, type PerfOptions, type RoutingOptions, type RoutingStrategy } from "langchain-perf";
import { yes, type Same } from "./same.js";

const model = new ChatOpenAI({ model: "gpt-4o-mini", apiKey: "none" });
const deployments: Deployment[] = [
  { id: "east", model, weight: 2, priority: 0, requestsPerMinute: 600, tokensPerMinute: 90_000, maxConcurrent: 8, contextWindow: 128_000, price: { input: 1, output: 2 }, tags: ["eu"] },
  { id: "own", model, metricsUrl: "http://127.0.0.1:8000/metrics" },
];
const own: RoutingStrategy = (candidates, { inputTokens, session }) => (session === undefined && inputTokens > 1_000 ? (candidates[0] as DeploymentStatus).id : "own");
const chat: RoutingOptions = {
  deployments, strategy: own, latencyBoundMs: 500, circuit: { openMs: 1_000 }, hedge: { percentile: 0.9 }, onInterrupt: "hold", shared: "redis://localhost:6379",
  fallback: { contextWindow: ["own"], contentFilter: false },
  cascade: { first: "own", accept: async (answer) => answer !== undefined },
  when: ({ name, kind }) => kind === "chat" && name.startsWith("gpt"),
};
const options: PerfOptions = {
  routing: [chat, { deployments: [{ id: "texts", model: new OpenAIEmbeddings({ apiKey: "none" }) }] }, { deployments: [{ id: "completions", model: new OpenAI({ apiKey: "none" }) }] }],
  retry: { maxRetries: 3, budget: 0.1, on: (error) => !(error instanceof TypeError) },
  timeouts: { attemptMs: 1, firstTokenMs: 1, stallMs: 1, totalMs: 1, idleConsumerMs: 1 },
};

export async function use(): Promise<void> {
  const perf = createPerf(options);
  yes<Same<ReturnType<typeof perf.deployments>, DeploymentStatus[]>>();
  perf.on("circuit", (event) => yes<Same<typeof event, CircuitEvent>>());
  perf.on("call", ({ attempts, deployment }: CallFacts) => attempts.every((attempt) => attempt.deployment === deployment));
  perf.addDeployment({ id: "west", model });
  await perf.drainDeployment("east");
  await perf.reconfigure({ routing: false, retry: false });
}

export const whyOf = (error: unknown): string[] => (NoDeploymentError.isInstance(error) ? (error as NoDeploymentError).errors.map(({ deployment }) => deployment) : []);

// @ts-expect-error no such strategy
createPerf({ routing: { deployments, strategy: "fastest" } });
// @ts-expect-error a deployment has a name
createPerf({ routing: { deployments: [{ model }] } });
// @ts-expect-error a number is no model
createPerf({ routing: { deployments: [{ id: "east", model: 42 }] } });
