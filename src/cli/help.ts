import { wordsOf, type Command, type Flag } from "./command.ts";

const GLOBAL: readonly Flag[] = [["-h, --help", "Show this message"]];

/** How one command is used. */
export function helpOf({ usage, summary, flags, notes = [], examples = [] }: Command): string {
  const hasFlags = flags.length > 0;
  return sections([
    `${summary}.`,
    `Usage:\n  $ langchain-perf ${usage}${hasFlags ? " [options]" : ""}`,
    `Options:\n${columns([...flags, ...GLOBAL])}`,
    notes.join("\n"),
    examples.length > 0 ? `Examples:\n${examples.map((example) => `  ${example}`).join("\n")}` : "",
  ]);
}

/** What commands there are. @param group the first words of all of them, where the question was for a group */
export function overviewOf(commands: readonly Command[], group = ""): string {
  const version: readonly Flag[] = group === "" ? [["-v, --version", "Show the version"]] : [];
  return sections([
    `Usage:\n  $ langchain-perf ${group === "" ? "" : `${group} `}<command> [options]`,
    `Commands:\n${columns(commands.map(({ usage, summary }) => [usage, summary]))}`,
    `Options:\n${columns([...GLOBAL, ...version])}`,
    `langchain-perf ${wordsOf(commands[0] as Command).join(" ")} --help, and so on, has the rest.`,
  ]);
}

function columns(rows: readonly Flag[]): string {
  const width = Math.max(...rows.map(([left]) => left.length));
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`).join("\n");
}

function sections(parts: readonly string[]): string {
  return `${parts.filter((part) => part !== "").join("\n\n")}\n`;
}
