import { OptionError } from "./errors.ts";
import type { Usage } from "./facts.ts";
import { resolveWith } from "./options.ts";

/** USD per million tokens. */
export interface Price {
  input: number;
  output: number;
  /** For prompt tokens that the provider had cached. @default `input` */
  cachedInput?: number;
}

/** A price as the options have it. @throws OptionError */
export function resolvePrice(path: string, raw: unknown): Price {
  return resolveWith(path, raw, (read) => {
    const input = requireNumber(path, "input", read.number("input", { default: undefined, min: 0 }));
    const output = requireNumber(path, "output", read.number("output", { default: undefined, min: 0 }));
    return { input, output, cachedInput: read.number("cachedInput", { default: input, min: 0 }) };
  });
}

function requireNumber(path: string, name: string, value: number | undefined): number {
  if (value === undefined) throw new OptionError(`${path}.${name}`, "USD per million tokens", value);
  return value;
}

const MILLION = 1_000_000;

/** What tokens cost, USD. */
export function costOf(usage: Usage, price: Price): number {
  const cached = usage.cachedInputTokens ?? 0;
  return ((usage.inputTokens - cached) * price.input + cached * (price.cachedInput ?? price.input) + usage.outputTokens * price.output) / MILLION;
}
