import { readdirSync } from "node:fs";
import { parseArgs } from "node:util";
import type { Bench } from "./harness/bench.ts";
import { measureGroup } from "./harness/group-process.ts";
import { jsonLine, machine, table, type Row } from "./harness/report.ts";

const SUFFIX = ".bench.ts";

interface Wanted {
  readonly name: string;
  readonly json: boolean;
  /** Part of the names of the figures to measure. */
  readonly filter: string;
}

function usage(problem?: string): string {
  return `${problem === undefined ? "" : `${problem}\n\n`}Usage: npm run bench -- <name> [--json] [--filter <figure>]

Benches: ${benchNames().join(", ")}
`;
}

function benchNames(): string[] {
  return readdirSync(import.meta.dirname).filter((file) => file.endsWith(SUFFIX)).map((file) => file.slice(0, -SUFFIX.length)).sort();
}

/** What the command line asks for, or what is wrong with it. */
function readCommandLine(args: string[]): Wanted | { problem?: string } {
  try {
    const { values, positionals } = parseArgs({ args, allowPositionals: true, options: { json: { type: "boolean" }, filter: { type: "string" } } });
    const [name, ...rest] = positionals;
    if (name === undefined) return {};
    if (!benchNames().includes(name)) return { problem: `There is no bench "${name}".` };
    if (rest.length > 0) return { problem: `One bench at a time; what is "${rest.join(" ")}"?` };
    return { name, json: values.json === true, filter: values.filter ?? "" };
  } catch (error) {
    return { problem: (error as Error).message };
  }
}

/** Measures the groups that have a wanted figure, one after the other. */
async function measureBench({ groups }: Bench, benchUrl: string, filter: string): Promise<Row[]> {
  const rows: Row[] = [];
  for (const { module, figures } of groups) {
    const wanted = Object.entries(figures).filter(([name]) => name.includes(filter));
    if (wanted.length === 0) continue;
    process.stderr.write(`measuring ${wanted.map(([name]) => name).join(", ")}\n`);
    const measured = await measureGroup(new URL(module, benchUrl).href);
    for (const [name, spec] of wanted) {
      const measurement = measured[name];
      if (!measurement) throw new Error(`${module} gave no ${name}.`);
      rows.push({ name, spec, measured: measurement });
    }
  }
  return rows;
}

async function main(args: string[]): Promise<number> {
  const wanted = readCommandLine(args);
  if (!("name" in wanted)) {
    process.stderr.write(usage(wanted.problem));
    return 2;
  }
  const url = new URL(`./${wanted.name}${SUFFIX}`, import.meta.url).href;
  const { default: bench } = (await import(url)) as { default: Bench };
  const rows = await measureBench(bench, url, wanted.filter);
  if (rows.length === 0) {
    process.stderr.write(usage(`Bench "${wanted.name}" has no figure like "${wanted.filter}".`));
    return 2;
  }
  process.stdout.write(`${bench.about}\n${machine()}\n\n${table(rows)}\n`);
  if (wanted.json) process.stdout.write(`${jsonLine(wanted.name, rows)}\n`);
  return 0;
}

process.exitCode = await main(process.argv.slice(2));
