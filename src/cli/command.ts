import { parseArgs } from "node:util";
import type { Terminal } from "./terminal.ts";
import { UsageError } from "./errors.ts";

/** A flag as the help shows it, e.g. `--port <number>` or `--json`, and what it means. */
export type Flag = readonly [flag: string, meaning: string];

/** One thing that `langchain-perf` can do. */
export interface Command {
  /** Its words and arguments, e.g. `cache get <key>`. */
  readonly usage: string;
  readonly summary: string;
  readonly flags: readonly Flag[];
  /** What a user should know besides, one line each. */
  readonly notes?: readonly string[];
  readonly examples?: readonly string[];
  /** @returns the exit code. @throws UsageError, Failure */
  run(given: Given, terminal: Terminal): Promise<number>;
}

/** The words that call a command, e.g. `cache get`. */
export function wordsOf({ usage }: Command): string[] {
  return argumentFree(usage).split(" ");
}

/** What stands on the command line behind a command's words. Texts stay as they were typed: a tag `007` is no number. */
export class Given {
  readonly #values: Readonly<Record<string, unknown>>;
  readonly #positionals: readonly string[];

  constructor(values: Readonly<Record<string, unknown>>, positionals: readonly string[]) {
    this.#values = values;
    this.#positionals = positionals;
  }

  /** The command's own argument. */
  get argument(): string {
    return this.#positionals[0] as string;
  }

  has(flag: string): boolean {
    return this.#values[flag] !== undefined;
  }

  /** Values of a flag that may be repeated; none is empty. @throws UsageError */
  texts(flag: string): string[] {
    const values = (this.#values[flag] ?? []) as string[];
    if (values.includes("")) throw new UsageError(`Option --${flag}: wanted a text that is not empty, got "".`);
    return values;
  }

  /** @throws UsageError when it is given twice or empty */
  text(flag: string): string | undefined {
    const values = this.texts(flag);
    if (values.length > 1) throw new UsageError(`Option --${flag}: wanted one text, got ${JSON.stringify(values)}.`);
    return values[0];
  }

  /** @throws UsageError when it is no number */
  number(flag: string): number | undefined {
    const text = this.text(flag);
    if (text === undefined) return undefined;
    const value = Number(text);
    if (text.trim() === "" || Number.isNaN(value)) throw new UsageError(`Option --${flag}: wanted a number, got ${JSON.stringify(text)}.`);
    return value;
  }

  /** @throws UsageError when it is no whole number of at least `min` */
  count(flag: string, min: number): number | undefined {
    const value = this.number(flag);
    if (value !== undefined && (!Number.isSafeInteger(value) || value < min)) throw new UsageError(`Option --${flag}: wanted a whole number of at least ${min}, got ${value}.`);
    return value;
  }
}

/** Reads what follows a command's words. @throws UsageError for what the command does not know or misses */
export function readGiven(command: Command, argv: readonly string[]): Given {
  const options = Object.fromEntries(command.flags.map(([flag]) => [nameOf(flag), flag.includes("<") ? TEXT : SWITCH]));
  const { values, positionals } = parsed(keysGuarded(argv), { ...options, help: { type: "boolean", short: "h" } });
  const wanted = command.usage.match(/<[^>]+>/g) ?? [];
  if (positionals.length > wanted.length && !values.help) throw new UsageError(`Unexpected argument: ${positionals[wanted.length]}`);
  if (positionals.length < wanted.length && !values.help) throw new UsageError(`${wanted[positionals.length]} is missing.`);
  return new Given(values, positionals);
}

/** One key of the cache in 64 begins with a dash, and must not be taken for a flag. */
function keysGuarded(argv: readonly string[]): string[] {
  const isKey = (text: string): boolean => /^-[\w-]{42}$/.test(text);
  const flags: string[] = [];
  const keys: string[] = [];
  for (const text of argv) {
    if (!isKey(text)) flags.push(text);
    else if (flags.at(-1) === "--key") flags.push(`${flags.pop()}=${text}`);
    else keys.push(text);
  }
  return keys.length === 0 || flags.includes("--") ? [...flags, ...keys] : [...flags, "--", ...keys];
}

const TEXT = { type: "string", multiple: true } as const;
const SWITCH = { type: "boolean" } as const;

type ParseOptions = NonNullable<NonNullable<Parameters<typeof parseArgs>[0]>["options"]>;

function parsed(args: readonly string[], options: ParseOptions): { values: Record<string, unknown>; positionals: string[] } {
  try {
    return parseArgs({ args, options, allowPositionals: true });
  } catch (error) {
    // The first sentence says it; the others speak of code.
    if ((error as { code?: string }).code?.startsWith("ERR_PARSE_ARGS")) throw new UsageError((error as Error).message.split(/\. (?=To )|\n/, 1)[0] as string);
    throw error;
  }
}

function nameOf(flag: string): string {
  return argumentFree(flag).slice("--".length);
}

function argumentFree(text: string): string {
  return text.split(" <", 1)[0] as string;
}
