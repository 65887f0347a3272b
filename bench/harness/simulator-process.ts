import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { createSimulator, type SimulatorOptions } from "langchain-perf/testing";

export interface SimulatorProcess {
  /** For OpenAI clients. */
  readonly baseURL: string;
  close(): Promise<void>;
}

/** Starts the simulated provider in a process of its own, so that its work is not measured with ours. */
export async function simulatorProcess(options: SimulatorOptions = {}): Promise<SimulatorProcess> {
  const child = fork(fileURLToPath(import.meta.url), [JSON.stringify(options)], { execArgv: [] });
  const exited = once(child, "exit");
  const [baseURL] = (await Promise.race([once(child, "message"), exited.then(() => Promise.reject(new Error("The simulated provider did not start.")))])) as [string];
  return {
    baseURL,
    close: async () => {
      child.disconnect();
      await exited;
    },
  };
}

if (import.meta.main && process.send) {
  const simulator = await createSimulator(JSON.parse(process.argv[2] ?? "{}") as SimulatorOptions);
  process.once("disconnect", () => void simulator.close());
  process.send(simulator.baseURL);
}
