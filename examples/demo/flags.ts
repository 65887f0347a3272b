import { parseArgs } from "node:util";
import { LATENCY_PROFILES } from "langchain-perf/testing";
import { type ProgramName, programs } from "./programs.ts";

/** What the demo was asked for. */
export interface Flags {
  programs: ProgramName[];
  requests: number;
  seed: number;
  concurrency: number;
  latency: string;
  speed: number;
  json: boolean;
  help: boolean;
}

/** A flag that is unknown, or whose value cannot be used. */
export class FlagError extends Error {
  override name = "FlagError";
}

const names = Object.keys(programs) as ProgramName[];

const latencies = ["none", "agent", ...LATENCY_PROFILES];

const defaults = { requests: 150, seed: 1, concurrency: 24, latency: "together_70b", speed: 1 };

export const usage = `Usage: langchain-perf demo [options]

Plays the same questions to four LangChain.js programs, bare and wrapped with .withPerf(),
against a simulated provider on this machine. No key and no network are needed.

Options:
  --program <name>      ${names.join(", ")}; several by repeating or by commas (default: all)
  --requests <n>        questions per program (default: ${defaults.requests})
  --seed <n>            draws other questions and other latencies (default: ${defaults.seed})
  --concurrency <n>     conversations at a time (default: ${defaults.concurrency})
  --latency <preset>    how slow the provider is: a measured provider and model, "agent" or "none" (default: ${defaults.latency})
  --speed <factor>      divides the provider's latencies (default: ${defaults.speed})
  --json                one JSON object on stdout
  --help                this text
`;

/** Reads the command line; throws `FlagError`. */
export function parseFlags(argv: string[]): Flags {
  const values = parse(argv);
  return {
    programs: values.program === undefined ? names : readPrograms(values.program),
    requests: readNumber("requests", values.requests, defaults.requests, { min: 1, max: 100_000, whole: true }),
    seed: readNumber("seed", values.seed, defaults.seed, { min: 0, max: 2 ** 32 - 1, whole: true }),
    concurrency: readNumber("concurrency", values.concurrency, defaults.concurrency, { min: 1, max: 1_000, whole: true }),
    latency: readOneOf("latency", values.latency ?? defaults.latency, latencies),
    speed: readNumber("speed", values.speed, defaults.speed, { min: 0.1, max: 1_000, whole: false }),
    json: values.json ?? false,
    help: values.help ?? false,
  };
}

function parse(argv: string[]) {
  try {
    return parseArgs({
      args: argv,
      options: {
        program: { type: "string", multiple: true },
        requests: { type: "string" },
        seed: { type: "string" },
        concurrency: { type: "string" },
        latency: { type: "string" },
        speed: { type: "string" },
        json: { type: "boolean" },
        help: { type: "boolean", short: "h" },
      },
    }).values;
  } catch (error) {
    throw new FlagError(error instanceof Error ? error.message : String(error));
  }
}

function readPrograms(given: string[]): ProgramName[] {
  const wanted = given.flatMap((list) => list.split(",")).map((name) => name.trim());
  for (const name of wanted) readOneOf("program", name, names);
  return names.filter((name) => wanted.includes(name));
}

function readOneOf(flag: string, given: string, allowed: readonly string[]): string {
  if (!allowed.includes(given)) throw new FlagError(`--${flag} must be one of ${allowed.join(", ")}; got "${given}"`);
  return given;
}

function readNumber(flag: string, given: string | undefined, fallback: number, { min, max, whole }: { min: number; max: number; whole: boolean }): number {
  if (given === undefined) return fallback;
  const value = Number(given);
  if (given.trim() === "" || !(value >= min && value <= max) || (whole && !Number.isInteger(value))) {
    throw new FlagError(`--${flag} must be a ${whole ? "whole number" : "number"} from ${min} to ${max}; got "${given}"`);
  }
  return value;
}
