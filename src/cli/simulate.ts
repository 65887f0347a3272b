import { createSimulator, LATENCY_PROFILES, OptionError, type SimulatorOptions } from "langchain-perf/testing";
import type { Command, Flag, Given } from "./command.ts";
import { UsageError } from "./errors.ts";
import type { Terminal } from "./terminal.ts";

const DEFAULT_PORT = 4010;

const FLAGS: readonly Flag[] = [
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
export const simulate: Command = {
  usage: "simulate",
  summary: "Start a simulated OpenAI- and Anthropic-compatible provider",
  flags: FLAGS,
  examples: [
    "langchain-perf simulate --port 4010 --latency together_13b --speed 10",
    'langchain-perf simulate --fault "status=429,retry-after=1,probability=0.03" --rpm 600 --tpm 100000',
  ],
  run: runSimulate,
};

async function runSimulate(given: Given, terminal: Terminal): Promise<number> {
  const simulator = await createSimulator(optionsOf(given)).catch((error: unknown) => {
    throw OptionError.isInstance(error) ? new UsageError(error.message.replace(/^Option "[^"]*"/, `Option ${flagOf((error as OptionError).option)}`)) : error;
  });
  const { url, baseURL, anthropicBaseURL } = simulator;
  terminal.stdout(given.has("json") ? `${JSON.stringify({ url, baseURL, anthropicBaseURL })}\n` : greeting(url, baseURL));
  await new Promise<void>((resolve) => {
    if (terminal.ended.aborted) resolve();
    terminal.ended.addEventListener("abort", () => resolve(), { once: true });
  });
  const served = simulator.count();
  await simulator.close();
  if (!given.has("json")) terminal.stdout(`Requests served: ${served}.\n`);
  return 0;
}

function greeting(url: string, baseURL: string): string {
  return `Simulated provider at ${baseURL} (Anthropic: ${url}, log: ${url}/_control/requests)

  new ChatOpenAI({ model: "gpt-4o-mini", apiKey: "any", configuration: { baseURL: "${baseURL}" } })

`;
}

function optionsOf(given: Given): SimulatorOptions {
  return {
    port: given.number("port") ?? DEFAULT_PORT,
    host: given.text("host"),
    latency: given.text("latency"),
    speed: given.number("speed"),
    seed: given.number("seed"),
    capacity: { concurrency: given.number("capacity"), maxQueue: given.number("max-queue") },
    limits: { requestsPerMinute: given.number("rpm"), tokensPerMinute: given.number("tpm") },
    promptCache: !given.has("no-prompt-cache"),
    digestInText: given.has("digest-in-text"),
    faults: given.texts("fault"),
  };
}

const FLAG_OF: Record<string, string> = {
  "capacity.concurrency": "--capacity",
  "capacity.maxQueue": "--max-queue",
  "limits.requestsPerMinute": "--rpm",
  "limits.tokensPerMinute": "--tpm",
};

/** The flag that an option came from. */
function flagOf(option: string): string {
  return FLAG_OF[option] ?? (option.startsWith("faults") ? "--fault" : `--${option}`);
}
