import { styleText } from "node:util";
import { LATENCY_PROFILES } from "langchain-perf/testing";
import { compareSides, type ProgramResult } from "./compare.ts";
import { FlagError, type Flags, parseFlags, usage } from "./flags.ts";
import { programs } from "./programs.ts";
import { formatChange, milliseconds, renderTable } from "./table.ts";
import { ZIPF_EXPONENT } from "./workload.ts";

/**
 * Plays the demo and gives its exit code: 0 when bare and wrapped answered alike, 1 when they did not
 * or something failed, 2 for flags that cannot be used.
 */
export async function main(argv: string[]): Promise<number> {
  let flags: Flags;
  try {
    flags = parseFlags(argv);
  } catch (error) {
    if (!(error instanceof FlagError)) throw error;
    process.stderr.write(`${error.message}\n\n${usage}`);
    return 2;
  }
  if (flags.help) {
    process.stdout.write(usage);
    return 0;
  }
  try {
    return await run(flags);
  } catch (error) {
    process.stderr.write(`\nThe demo failed: ${error instanceof Error ? error.message : String(error)}\n`);
    return 1;
  }
}

async function run(flags: Flags): Promise<number> {
  const start = performance.now();
  if (!flags.json) print(introduce(flags));
  const results: ProgramResult[] = [];
  for (const name of flags.programs) {
    const result = await compareSides(name, flags);
    results.push(result);
    if (!flags.json) print(report(result));
    for (const { question, bare, wrapped } of result.differences.slice(0, 3)) {
      process.stderr.write(`${name} answered otherwise: ${question}\n  bare:    ${bare}\n  wrapped: ${wrapped}\n`);
    }
  }
  const elapsedMs = performance.now() - start;
  print(flags.json ? JSON.stringify(toJson(flags, results, elapsedMs)) : conclude(results, elapsedMs));
  return results.every(({ differences }) => differences.length === 0) ? 0 : 1;
}

function introduce({ programs: names, requests, concurrency, seed, latency, speed }: Flags): string {
  const title = styleText("bold", "langchain-perf demo", { stream: process.stdout });
  return `${title}: the same questions, bare and with .withPerf()

  programs     ${names.join(", ")}
  questions    ${requests} per program and side, Zipf-distributed (s = ${ZIPF_EXPONENT}), seed ${seed}, ${concurrency} conversations at a time
  provider     simulated on this machine, over HTTP; latency "${latency}"${LATENCY_PROFILES.includes(latency) ? ", as measured by LLMPerf" : ""}${speed === 1 ? "" : `, divided by ${speed}`}
  prices       gpt-4o-mini $0.15 in, $0.60 out; text-embedding-3-small $0.02 per million tokens
`;
}

function report({ program, questions, differences, bare, wrapped }: ProgramResult): string {
  const stream = process.stdout;
  const equal = styleText(differences.length === 0 ? "green" : "red", `answers equal ${questions - differences.length}/${questions}`, { stream });
  const indexing = bare.setupMs < 100 ? "" : `; indexed in ${milliseconds(bare.setupMs)} bare, ${milliseconds(wrapped.setupMs)} wrapped, not in the latency`;
  return `  ${styleText("bold", `${program}: ${programs[program].title}`, { stream })}
${renderTable(bare, wrapped, stream)}
  ${equal}${indexing}
`;
}

function conclude(results: ProgramResult[], elapsedMs: number): string {
  const total = (value: (result: ProgramResult) => number): number => results.reduce((sum, result) => sum + value(result), 0);
  const questions = total((result) => result.questions);
  const equal = questions - total(({ differences }) => differences.length);
  const [callsBare, callsWrapped] = [total(({ bare }) => bare.chatCalls + bare.embeddingsCalls), total(({ wrapped }) => wrapped.chatCalls + wrapped.embeddingsCalls)];
  const [costBare, costWrapped] = [total(({ bare }) => bare.costUsd), total(({ wrapped }) => wrapped.costUsd)];
  return `  answers equal ${equal}/${questions}; upstream calls ${callsBare} → ${callsWrapped} (${formatChange(callsBare, callsWrapped)}); cost $${costBare.toFixed(4)} → $${costWrapped.toFixed(4)} (${formatChange(costBare, costWrapped)}); ${seconds(elapsedMs)} in all`;
}

function toJson(flags: Flags, results: ProgramResult[], elapsedMs: number): object {
  const { requests, seed, concurrency, latency, speed } = flags;
  return {
    requests, seed, concurrency, latency, speed,
    zipfExponent: ZIPF_EXPONENT,
    equal: results.every(({ differences }) => differences.length === 0),
    elapsedMs,
    programs: results.map(({ program, questions, differences, bare, wrapped }) => ({
      program, questions, answersEqual: questions - differences.length, bare, wrapped,
    })),
  };
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

if (import.meta.main) process.exitCode = await main(process.argv.slice(2));
