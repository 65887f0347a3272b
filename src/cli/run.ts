import { readFileSync } from "node:fs";
import { cacheCommands } from "./cache.ts";
import { readGiven, wordsOf, type Command } from "./command.ts";
import { Failure, UsageError } from "./errors.ts";
import { helpOf, overviewOf } from "./help.ts";
import { simulate } from "./simulate.ts";
import type { Terminal } from "./terminal.ts";

/** What the demo's module exports; `main` gives the exit code. */
interface Demo {
  main(argv: string[]): Promise<number>;
}

const FAILED = 1;
const USAGE = 2;

/** The demo reads its arguments itself, its `--help` included. */
const demo: Command = {
  usage: "demo",
  summary: "Play example programs bare and with langchain-perf, and compare them",
  flags: [],
  run: () => Promise.reject(new Error("The demo runs by its own arguments.")),
};

const COMMANDS: readonly Command[] = [simulate, demo, ...cacheCommands];

/**
 * Runs one command of `langchain-perf` and gives the exit code: 0, 1 when the system refuses, 2 when the command line is wrong.
 * Without a terminal: the process's own, ended by SIGINT or SIGTERM.
 */
export async function run(argv: string[], terminal?: Terminal, loadDemo = importDemo): Promise<number> {
  if (argv[0] === demo.usage) return runDemo(argv.slice(1), terminal ?? { stderr: (text) => void process.stderr.write(text) }, loadDemo);
  const own = terminal === undefined ? processTerminal() : undefined;
  try {
    return await runCommand(argv, terminal ?? own!);
  } finally {
    own?.release();
  }
}

async function runDemo(argv: string[], terminal: Pick<Terminal, "stderr">, loadDemo: () => Promise<Demo>): Promise<number> {
  try {
    return await (await loadDemo()).main(argv);
  } catch (error) {
    const [, missing] = /Cannot find package '([^']+)'/.exec((error as Error).message) ?? [];
    if (missing === undefined) throw error;
    terminal.stderr(`The demo's programs need the package "${missing}": npm install ${missing}\n`);
    return FAILED;
  }
}

async function runCommand(argv: readonly string[], terminal: Terminal): Promise<number> {
  const command = COMMANDS.find((candidate) => wordsOf(candidate).every((word, at) => argv[at] === word));
  if (!command) return overview(argv, terminal);
  try {
    const given = readGiven(command, argv.slice(wordsOf(command).length));
    if (!given.has("help")) return await command.run(given, terminal);
    terminal.stdout(helpOf(command));
    return 0;
  } catch (error) {
    if (error instanceof UsageError) {
      terminal.stderr(`${error.message}\n\n${helpOf(command)}`);
      return USAGE;
    }
    // A port in use and the like: the system's own words say enough.
    if (!(error instanceof Failure || (error instanceof Error && "syscall" in error))) throw error;
    terminal.stderr(`${error.message}\n`);
    return FAILED;
  }
}

/** Where the command line names no command: what there is, of a group where its first word is one. */
function overview(argv: readonly string[], terminal: Terminal): number {
  const group = COMMANDS.filter((command) => wordsOf(command).length > 1 && wordsOf(command)[0] === argv[0]);
  const [name, asked, help] = group.length > 0 ? [argv[0], argv[1], overviewOf(group, argv[0])] : ["", argv[0], overviewOf(COMMANDS)];
  if (asked === "--help" || asked === "-h") return terminal.stdout(help), 0;
  if (name === "" && (asked === "--version" || asked === "-v")) return terminal.stdout(`${version()}\n`), 0;
  terminal.stderr(`${asked === undefined ? "A command is missing." : `Unknown command or option: ${[name, asked].join(" ").trim()}`}\n\n${help}`);
  return USAGE;
}

function version(): string {
  // By the package's own export: relative to this file it would stand elsewhere once built.
  const manifest = JSON.parse(readFileSync(new URL(import.meta.resolve("langchain-perf/package.json")), "utf8")) as { version: string };
  return manifest.version;
}

/** The demo is built as a module of its own beside this one, and is only read when it is asked for. */
function importDemo(): Promise<Demo> {
  return import(new URL("./demo.js", import.meta.url).href) as Promise<Demo>;
}

function processTerminal(): Terminal & { release(): void } {
  const ended = new AbortController();
  const end = (): void => ended.abort();
  process.once("SIGINT", end).once("SIGTERM", end);
  return {
    stdout: (text) => void process.stdout.write(text),
    stderr: (text) => void process.stderr.write(text),
    rewrites: process.stderr.isTTY,
    ended: ended.signal,
    release: () => void process.off("SIGINT", end).off("SIGTERM", end),
  };
}
