import { createSimulator, LATENCY_PROFILES, OptionError, type SimulatorOptions } from "langchain-perf/testing";
import type { Terminal } from "./terminal.ts";
import { UsageError } from "./usage-error.ts";

const DEFAULT_PORT = 4010;

/** Names and descriptions of the command's options. */
export const SIMULATE_OPTIONS: [name: string, description: string][] = [
  ["--port <number>", `Port to listen on; 0 takes a free one (default: ${DEFAULT_PORT})`],
  ["--host <address>", "Address to listen on (default: 127.0.0.1)"],
  ["--latency <name>", `none, agent, or a measured provider: ${LATENCY_PROFILES.join(", ")} (default: none)`],
  ["--speed <factor>", "Divides every latency (default: 1)"],
  ["--capacity <number>", "Requests at work at once (default: no limit)"],
  ["--max-queue <number>", "Requests that may wait for a place (default: 1000)"],
  ["--rpm <number>", "Requests per minute, above which the answer is 429 (default: no limit)"],
  ["--tpm <number>", "Tokens per minute, above which the answer is 429 (default: no limit)"],
  ["--fault <rule>", "A fault, e.g. \"status=429,probability=0.03\" or \"stall=5,times=2\"; may be repeated"],
  ["--no-prompt-cache", "Switch provider-side prompt caching off"],
  ["--digest-in-text", "End every text answer with the digest of its request"],
  ["--seed <number>", "Start of the random numbers (default: 1)"],
  ["--json", "Print the addresses as one line of JSON"],
];

/** Runs a simulated provider until the terminal ends. */
export async function runSimulate(flags: Record<string, unknown>, terminal: Terminal): Promise<void> {
  const simulator = await createSimulator(optionsOf(flags)).catch((error: unknown) => {
    throw OptionError.isInstance(error) ? new UsageError(error.message.replace(/^Option "[^"]*"/, `Option ${flagOf((error as OptionError).option)}`)) : error;
  });
  const { url, baseURL, anthropicBaseURL } = simulator;
  terminal.stdout(flags.json === true ? `${JSON.stringify({ url, baseURL, anthropicBaseURL })}\n` : greeting(url, baseURL));
  await new Promise<void>((resolve) => {
    if (terminal.ended.aborted) resolve();
    terminal.ended.addEventListener("abort", () => resolve(), { once: true });
  });
  const served = simulator.count();
  await simulator.close();
  if (flags.json !== true) terminal.stdout(`Requests served: ${served}.\n`);
}

function greeting(url: string, baseURL: string): string {
  return `Simulated provider at ${baseURL} (Anthropic: ${url}, log: ${url}/_control/requests)

  new ChatOpenAI({ model: "gpt-4o-mini", apiKey: "any", configuration: { baseURL: "${baseURL}" } })

`;
}

function optionsOf(flags: Record<string, unknown>): SimulatorOptions {
  const concurrency = numberOf(flags, "capacity");
  const maxQueue = numberOf(flags, "maxQueue", "max-queue");
  return {
    port: numberOf(flags, "port") ?? DEFAULT_PORT,
    host: textOf(flags, "host"),
    latency: textOf(flags, "latency"),
    speed: numberOf(flags, "speed"),
    seed: numberOf(flags, "seed"),
    capacity: { concurrency, maxQueue },
    limits: { requestsPerMinute: numberOf(flags, "rpm"), tokensPerMinute: numberOf(flags, "tpm") },
    promptCache: flags.promptCache !== false,
    digestInText: flags.digestInText === true,
    faults: [flags.fault ?? []].flat().map(String),
  };
}

const FLAGS: Record<string, string> = {
  "capacity.concurrency": "--capacity",
  "capacity.maxQueue": "--max-queue",
  "limits.requestsPerMinute": "--rpm",
  "limits.tokensPerMinute": "--tpm",
};

/** The flag that an option came from. */
function flagOf(option: string): string {
  return FLAGS[option] ?? (option.startsWith("faults") ? "--fault" : `--${option}`);
}

function numberOf(flags: Record<string, unknown>, key: string, name = key): number | undefined {
  const value = flags[key];
  if (value === undefined) return undefined;
  if (typeof value !== "number") throw new UsageError(`Option --${name}: wanted a number, got ${JSON.stringify(value)}.`);
  return value;
}

function textOf(flags: Record<string, unknown>, key: string): string | undefined {
  const value = flags[key];
  if (value === undefined || (typeof value === "string" && value !== "")) return value;
  throw new UsageError(`Option --${key}: wanted one text, got ${JSON.stringify(value)}.`);
}
