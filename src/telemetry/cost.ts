import { isHit, type CallFacts } from "../core/facts.ts";
import { OptionError } from "../core/errors.ts";
import { isRecord } from "../core/options.ts";
import { costOf, resolvePrice, type Price } from "../core/price.ts";

export function resolvePricing(raw: unknown): ReadonlyMap<string, Price> {
  if (raw === undefined) return new Map();
  if (!isRecord(raw)) throw new OptionError("pricing", "an object of prices by model name", raw);
  return new Map(Object.entries(raw).map(([model, price]) => [model, resolvePrice(`pricing.${model}`, price)]));
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
