import { OptionError } from "../core/errors.ts";
import { hasMethods, resolveWith, type OptionReader } from "../core/options.ts";
import type { Limiter } from "../limits/limiter.ts";
import type { Check, ContractLimits } from "./limiter-contract/check.ts";
import { orderCases } from "./limiter-contract/order.ts";
import { placeCases } from "./limiter-contract/places.ts";
import { correctionCases, costCases, oversizeCases, requestCases, tokenCases } from "./limiter-contract/quotas.ts";
import { waitingCases } from "./limiter-contract/waiting.ts";
import type { ContractCase } from "./store-contract.ts";

export type { ContractLimits } from "./limiter-contract/check.ts";

/**
 * What a limiter may be excused from:
 * - `requests`: it has no quota of requests per minute
 * - `tokens`: it has no quota of tokens per minute
 * - `cost`: it has no budget of USD per hour
 * - `corrections`: its quotas count estimates, whatever requests really take
 * - `oversize`: it does not know what is larger than a quota, and lets it wait for its deadline
 */
export type LimiterExcuse = keyof typeof EXCUSABLE;

const EXCUSABLE = { requests: requestCases, tokens: tokenCases, cost: costCases, corrections: correctionCases, oversize: oversizeCases };

export interface LimiterContractOptions {
  /** @default none */
  excused?: readonly LimiterExcuse[] | undefined;
}

/**
 * What every {@link Limiter} promises, as cases for any test framework: `for (const { name, run } of limiterContract(create)) it(name, run)`.
 * The cases take real time, two seconds each at most.
 *
 * @param create opens a limiter that keeps to the limits and shares nothing with any other; called once for each case
 * @throws OptionError
 */
export function limiterContract(create: (limits: ContractLimits) => Limiter | Promise<Limiter>, options: LimiterContractOptions = {}): readonly ContractCase[] {
  if (typeof create !== "function") throw new OptionError("limiterContract.create", "a function that gives a limiter", create);
  const excused = resolveWith("limiterContract", options, readExcuses);
  const owed = Object.entries(EXCUSABLE).filter(([excuse]) => !excused.includes(excuse));
  const checks: Record<string, Check> = { ...orderCases, ...placeCases, ...waitingCases, ...Object.assign({}, ...owed.map(([, cases]) => cases)) };
  return Object.entries(checks).map(([name, check]) => ({
    name,
    run: async () => {
      const opened: Limiter[] = [];
      try {
        await check(async (limits) => {
          const limiter: Limiter = await create(limits);
          if (!hasMethods(limiter, ["acquire", "status"])) throw new OptionError("limiterContract.create", "a function that gives a limiter, an object with acquire() and status()", limiter);
          opened.push(limiter);
          return limiter;
        });
      } finally {
        await Promise.all(opened.map((limiter) => limiter.close?.()));
      }
    },
  }));
}

function readExcuses(read: OptionReader): readonly string[] {
  const excused = read.strings("excused") ?? [];
  const unknown = excused.find((excuse) => !Object.hasOwn(EXCUSABLE, excuse));
  if (unknown !== undefined) throw new OptionError(read.pathOf("excused"), `some of ${Object.keys(EXCUSABLE).map((excuse) => `"${excuse}"`).join(", ")}`, unknown);
  return excused;
}
