import { readFileSync } from "node:fs";
import { cac, type CAC } from "cac";
import { runSimulate, SIMULATE_OPTIONS } from "./simulate.ts";
import type { Terminal } from "./terminal.ts";
import { UsageError } from "./usage-error.ts";

/** What the demo's module exports; `main` gives the exit code. */
interface Demo {
  main(argv: string[]): Promise<number>;
}

const FAILED = 1;
const USAGE = 2;

/**
 * Runs one command of `langchain-perf` and gives the exit code: 0, 1 when the system refuses, 2 when the command line is wrong.
 * Without a terminal: the process's own, ended by SIGINT or SIGTERM.
 */
export async function run(argv: string[], terminal?: Terminal, loadDemo = importDemo): Promise<number> {
  // The demo reads its arguments itself, its `--help` included.
  if (argv[0] === "demo") return runDemo(argv.slice(1), terminal ?? { stderr: (text) => void process.stderr.write(text) }, loadDemo);
  const own = terminal === undefined ? processTerminal() : undefined;
  try {
    return await runParsed(argv, terminal ?? own!);
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

async function runParsed(argv: string[], terminal: Terminal): Promise<number> {
  const cli = createParser();
  const help = captureHelp(cli);
  try {
    cli.parse(["node", "langchain-perf", ...argv], { run: false });
    if (cli.options.help === true) {
      terminal.stdout(help());
      return 0;
    }
    if (cli.options.version === true && cli.matchedCommand === undefined) {
      terminal.stdout(`${version()}\n`);
      return 0;
    }
    if (cli.matchedCommand === undefined) throw new UsageError(argv[0] === undefined ? "A command is missing." : `Unknown command or option: ${argv[0]}`);
    cli.matchedCommand.checkUnknownOptions();
    cli.matchedCommand.checkOptionValue();
    cli.matchedCommand.checkUnusedArgs();
    await runSimulate(cli.options, terminal);
    return 0;
  } catch (error) {
    if (isUsageError(error)) {
      terminal.stderr(`${error.message}\n\n${help()}`);
      return USAGE;
    }
    // A port in use and the like: the system's own words say enough.
    if (!(error instanceof Error && "syscall" in error)) throw error;
    terminal.stderr(`${error.message}\n`);
    return FAILED;
  }
}

function createParser(): CAC {
  const cli = cac("langchain-perf");
  const simulate = cli
    .command("simulate", "Start a simulated OpenAI- and Anthropic-compatible provider")
    .example("langchain-perf simulate --port 4010 --latency together_13b --speed 10")
    .example('langchain-perf simulate --fault "status=429,retry-after=1,probability=0.03" --rpm 600 --tpm 100000');
  for (const [name, description] of SIMULATE_OPTIONS) simulate.option(name, description);
  cli.command("demo", "Play example programs bare and with langchain-perf, and compare them (see demo --help)");
  cli.option("-h, --help", "Show this message");
  cli.option("-v, --version", "Show the version");
  return cli;
}

/** The help of the matched command as a text: the parser itself only prints. */
function captureHelp(cli: CAC): () => string {
  return () => {
    const command = cli.matchedCommand ?? cli.globalCommand;
    const info = console.info;
    let text = "";
    console.info = (message: string) => void (text += `${message}\n`);
    try {
      command.outputHelp();
    } finally {
      console.info = info;
    }
    return text;
  };
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

function isUsageError(error: unknown): error is Error {
  return error instanceof UsageError || (error instanceof Error && error.name === "CACError");
}

function processTerminal(): Terminal & { release(): void } {
  const ended = new AbortController();
  const end = (): void => ended.abort();
  process.once("SIGINT", end).once("SIGTERM", end);
  return {
    stdout: (text) => void process.stdout.write(text),
    stderr: (text) => void process.stderr.write(text),
    ended: ended.signal,
    release: () => void process.off("SIGINT", end).off("SIGTERM", end),
  };
}
