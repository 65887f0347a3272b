import { ChatOpenAI } from "@langchain/openai";
import type { SimulatorOptions } from "langchain-perf/testing";
import { simulatorProcess, type SimulatorProcess } from "../harness/simulator-process.ts";

export function modelAt(baseURL: string): ChatOpenAI {
  return new ChatOpenAI({ model: "gpt-4o-mini", apiKey: "none", configuration: { baseURL } });
}

/** How many requests a simulated provider has got. */
export async function requestsOf(baseURL: string): Promise<number> {
  const response = await fetch(new URL("/_control/requests?limit=1", baseURL));
  return ((await response.json()) as { total: number }).total;
}

/** A simulated provider that can be made to fail, and dies like a server: what is under way breaks off, and then nobody listens at its port. */
export class FailingProvider {
  readonly baseURL: string;
  readonly #options: SimulatorOptions;
  #process: SimulatorProcess;

  private constructor(options: SimulatorOptions, process: SimulatorProcess) {
    this.baseURL = process.baseURL;
    this.#options = { ...options, port: Number(new URL(process.baseURL).port) };
    this.#process = process;
  }

  static async start(options: SimulatorOptions): Promise<FailingProvider> {
    return new FailingProvider(options, await simulatorProcess(options));
  }

  /** @param rule e.g. `reset,on=500,off=500` */
  async fault(rule: string): Promise<void> {
    await fetch(new URL("/_control/faults", this.baseURL), { method: "POST", body: JSON.stringify({ fault: rule }) });
  }

  async heal(): Promise<void> {
    await fetch(new URL("/_control/faults", this.baseURL), { method: "DELETE" });
  }

  async die(): Promise<void> {
    await this.#process.close();
  }

  /** At the same port. */
  async restart(): Promise<void> {
    this.#process = await simulatorProcess(this.#options);
  }

  close(): Promise<void> {
    return this.#process.close();
  }
}
