import { isHit, type CallFacts, type Usage } from "../core/facts.ts";
import { OptionError } from "../core/errors.ts";
import { isRecord, resolveWith } from "../core/options.ts";

/** USD per million tokens. */
export interface Price {
  input: number;
  output: number;
  /** For prompt tokens that the provider had cached. @default `input` */
  cachedInput?: number;
}

export function resolvePricing(raw: unknown): ReadonlyMap<string, Price> {
  if (raw === undefined) return new Map();
  if (!isRecord(raw)) throw new OptionError("pricing", "an object of prices by model name", raw);
  return new Map(Object.entries(raw).map(([model, price]) => [model, resolvePrice(`pricing.${model}`, price)]));
}

function resolvePrice(path: string, raw: unknown): Price {
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

export function costOf(usage: Usage, price: Price): number {
  const cached = usage.cachedInputTokens ?? 0;
  return ((usage.inputTokens - cached) * price.input + cached * (price.cachedInput ?? price.input) + usage.outputTokens * price.output) / MILLION;
}

/**
 * Writes what a call cost, or what it saved when another call had paid for its answer.
 * @param own the price of the deployment that answered
 */
export function addCost(facts: CallFacts, pricing: ReadonlyMap<string, Price>, own?: Price): void {
  const price = own ?? (facts.model === undefined ? undefined : pricing.get(facts.model));
  if (!price || !facts.usage) return;
  const cost = costOf(facts.usage, price);
  if (isHit(facts.cache) || facts.coalesced === "follower") {
    facts.costUsd = 0;
    facts.savedUsd = cost;
  } else {
    facts.costUsd = cost;
  }
}
