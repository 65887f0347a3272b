import type { ChatOpenAIFields } from "@langchain/openai";
import { createSimulator } from "langchain-perf/testing";

/** Where the examples find their model. */
export interface Provider {
  connection: Pick<ChatOpenAIFields, "apiKey" | "configuration">;
  close(): Promise<void>;
}

/** OpenAI when `OPENAI_API_KEY` is set, else a simulated provider that needs no key. */
export async function connect(): Promise<Provider> {
  if (process.env.OPENAI_API_KEY) return { connection: {}, close: async () => {} };
  const simulator = await createSimulator({ latency: "agent" });
  return {
    connection: { apiKey: "simulated", configuration: { baseURL: simulator.baseURL } },
    close: () => simulator.close(),
  };
}
