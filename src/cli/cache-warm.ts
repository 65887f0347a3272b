import { readFileSync } from "node:fs";
import { extname, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { perfOf, type CacheOptions, type WarmReport } from "langchain-perf";
import { openTarget, TARGET_FLAGS, TARGET_NOTES } from "./cache-target.ts";
import type { Command, Given } from "./command.ts";
import { Failure, UsageError } from "./errors.ts";
import { Progress } from "./progress.ts";
import { count, span } from "./table.ts";
import type { Terminal } from "./terminal.ts";

/** What is used of a Runnable. */
interface Runnable {
  invoke(input: unknown): Promise<unknown>;
}

export const warm: Command = {
  usage: "cache warm",
  summary: "Ask a chain a list of questions, so that their answers are in the cache",
  flags: [
    ...TARGET_FLAGS,
    ["--module <path>", "Exports the chain, unwrapped, or a function that gives it"],
    ["--export <name>", "The name of the export (default: default)"],
    ["--inputs <path>", "Questions: a .jsonl file with one JSON value on each line, or any other with one text on each line"],
    ["--concurrency <n>", "Questions at a time (default: 4)"],
    ["--ttl-ms <ms>", "How long answers are fresh (default: 3600000, an hour)"],
    ["--namespace <name>", "The cache.namespace of the program that will ask (default: default)"],
    ["--tenant <tenant>", "Whose answers they are"],
    ["--tag <tag>", "A tag for the answers; may be repeated"],
    ["--json", "Print the report as JSON"],
  ],
  notes: ["The program that is to find the answers must ask the same questions of the same model, in this namespace and for this tenant.", ...TARGET_NOTES],
  examples: ["langchain-perf cache warm --redis redis://localhost:6379 --module ./chain.ts --inputs questions.txt"],
  run: runWarm,
};

async function runWarm(given: Given, terminal: Terminal): Promise<number> {
  const [path, inputsPath] = [needed(given, "module"), needed(given, "inputs")];
  const concurrency = given.count("concurrency", 1);
  const inputs = readInputs(inputsPath);
  const [ttlMs, namespace] = [given.count("ttl-ms", 1), given.text("namespace")];
  const extra: CacheOptions = { ...(ttlMs === undefined ? {} : { ttlMs }), ...(namespace === undefined ? {} : { namespace }) };
  await using target = await openTarget(given, { both: true, create: true }, extra);
  const chain = await loadChain(path, given.text("export") ?? "default");
  const [tenant, tags] = [given.text("tenant"), given.texts("tag")];
  const wishes = { ...(tenant === undefined ? {} : { tenant }), ...(tags.length > 0 ? { tags } : {}) };
  const seen = { calls: 0, hits: 0 };
  target.perf.on("call", ({ cache }) => {
    if (!cache?.key) return;
    seen.calls += 1;
    if (cache.status !== "miss") seen.hits += 1;
  });
  const progress = new Progress("warmed", terminal);
  const asked = { invoke: (input: unknown) => target.perf.run(() => chain.invoke(input), wishes) };
  const report = await target.cache.warm(asked, inputs, {
    ...(concurrency === undefined ? {} : { concurrency }),
    onProgress: (done, total) => progress.update(done, total),
    signal: terminal.ended,
  });
  progress.end();
  await target.ask(() => target.perf.flush());
  return tell(report, inputs.length, seen, given, terminal);
}

function tell({ done, failed, errors, durationMs, aborted }: WarmReport, total: number, seen: { calls: number; hits: number }, given: Given, { stdout, stderr }: Terminal): number {
  const shown = errors.map(({ index, error }) => ({ question: index + 1, error: messageOf(error) }));
  const { calls, hits } = seen;
  if (given.has("json")) stdout(`${JSON.stringify({ questions: total, done, failed, cacheableCalls: calls, hits, durationMs: Math.round(durationMs), aborted, errors: shown })}\n`);
  else stdout(`${count(done)} of ${count(total)} questions asked in ${span(Math.max(1_000, durationMs))}, ${count(failed)} failed; ${count(calls)} calls, ${count(hits)} of them known before.\n`);
  for (const { question, error } of shown) stderr(`question ${question}: ${error}\n`);
  if (failed > shown.length) stderr(`… and ${count(failed - shown.length)} more\n`);
  if (done > failed && calls === 0) throw new Failure("No answer was kept: the chain made no call that can be cached. Does it use another copy of @langchain/core than langchain-perf?");
  return failed > 0 || aborted ? 1 : 0;
}

function needed(given: Given, flag: string): string {
  const text = given.text(flag);
  if (text === undefined) throw new UsageError(`Option --${flag} is missing.`);
  return text;
}

/** @throws Failure */
function readInputs(path: string): unknown[] {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    throw new Failure(`${path}: ${messageOf(error)}`);
  }
  const lines = text.replace(/^\uFEFF/, "").split(/\r?\n/).map((line, at) => [line.trim(), at + 1] as const).filter(([line]) => line !== "");
  if (lines.length === 0) throw new Failure(`${path}: there is no question in it.`);
  return lines.map(([line, number]) => (extname(path) === ".jsonl" ? fromJson(line, `${path}:${number}`) : line));
}

function fromJson(line: string, place: string): unknown {
  try {
    return JSON.parse(line) as unknown;
  } catch (error) {
    throw new Failure(`${place}: ${messageOf(error)}`);
  }
}

/** @throws Failure */
async function loadChain(path: string, name: string): Promise<Runnable> {
  let chain: unknown;
  try {
    const loaded = (await import(pathToFileURL(resolve(path)).href)) as Record<string, unknown>;
    if (!(name in loaded)) throw new Error(`it has no export "${name}", but ${Object.keys(loaded).join(", ") || "none"}`);
    const exported = loaded[name];
    chain = typeof exported === "function" && !isRunnable(exported) ? await (exported as () => unknown)() : exported;
  } catch (error) {
    throw new Failure(`${path}: ${messageOf(error)}`);
  }
  if (!isRunnable(chain)) throw new Failure(`${path}: export "${name}" is no Runnable and gives none.`);
  if (perfOf(chain)) throw new Failure(`${path}: export "${name}" has a perf of its own, and would fill that one's cache: export the chain without it, or call perf.cache.warm() in your program.`);
  return chain;
}

function isRunnable(value: unknown): value is Runnable {
  return typeof (value as Partial<Runnable> | null | undefined)?.invoke === "function";
}

function messageOf(error: unknown): string {
  return (error instanceof Error ? error.message || error.name : String(error)).split("\n", 1)[0] as string;
}
