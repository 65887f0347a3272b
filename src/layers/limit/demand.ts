import type { Usage } from "../../core/facts.ts";
import type { CallControl } from "../../core/control.ts";
import { OptionError } from "../../core/errors.ts";
import type { RequestEstimate } from "../../core/layer.ts";
import { atOnce, warnOnce } from "../../core/callback.ts";
import type { Demand } from "../../limits/limiter.ts";

/** What the layer needs to know how much a request will take. */
export interface DemandOptions {
  /** Tokens of texts, in this model's encoding. */
  countTokens(texts: readonly string[], model: string | undefined): number | Promise<number>;
  /** USD; `undefined` = the model has no price. */
  costOf(model: string | undefined, usage: Usage): number | undefined;
  /** Whether a model without a price is an error. */
  readonly needsPrices: boolean;
  /** Whose share of the limits a call takes. */
  per(control: CallControl): string;
}

/** The answer of a model of which no answer is known yet, tokens. */
const FIRST_GUESS = 256;
/** How much the newest answer counts. */
const WEIGHT = 0.1;
const MAX_MODELS = 1_000;
/** Providers' tokenizers do not differ by more than this. */
const MOST_APART = 4;

/** What the answers of a model have shown so far. */
interface Experience {
  /** Tokens of an answer. */
  output: number;
  /** Tokens of a prompt as the provider counts / as counted here. */
  ratio: number;
}

/** What a request will take, as far as is known, and what its prompt was counted as here. */
export interface CountedDemand {
  readonly demand: Demand;
  readonly model: string | undefined;
  readonly counted: number;
}

/** How much requests will take: the prompt counted, as the provider counts it, and the answer by its own bound or by the model's answers of late. */
export class Demands {
  readonly #options: DemandOptions;
  readonly #models = new Map<string, Experience>();
  readonly #warn = warnOnce();

  constructor(options: DemandOptions) {
    this.#options = options;
  }

  /** @param elapsed now, by the monotonic clock. @throws OptionError when the model has no price under a budget */
  async demand({ texts, extraTokens, maxOutputTokens, model }: RequestEstimate, control: CallControl, elapsed: number): Promise<CountedDemand> {
    const { countTokens, costOf, needsPrices } = this.#options;
    const counted = (await countTokens(texts, model)) + extraTokens;
    const known = this.#models.get(model ?? "");
    const inputTokens = Math.ceil(counted * (known?.ratio ?? 1));
    const outputTokens = Math.ceil(maxOutputTokens ?? known?.output ?? FIRST_GUESS);
    const costUsd = costOf(model, { inputTokens, outputTokens });
    if (costUsd === undefined && needsPrices) throw new OptionError(`pricing.${model ?? "<model>"}`, "a price, because `rateLimit.budgetUsdPerHour` is set", undefined);
    const { priority, deadlineAt } = control;
    const demand: Demand = {
      tokens: inputTokens + outputTokens,
      costUsd: costUsd ?? 0,
      tenant: this.#tenant(control),
      ...(priority === undefined ? {} : { priority }),
      ...(deadlineAt === undefined ? {} : { deadlineMs: deadlineAt - elapsed }),
    };
    return { demand, model, counted };
  }

  /** What a request took; later ones are estimated by it. */
  taken({ model, counted }: CountedDemand, usage: Usage): { tokens: number; costUsd: number | undefined } {
    const { inputTokens, outputTokens } = usage;
    const ratio = counted > 0 && inputTokens > 0 ? Math.min(MOST_APART, Math.max(1 / MOST_APART, inputTokens / counted)) : 1;
    const known = this.#models.get(model ?? "");
    if (known) {
      known.output += WEIGHT * (outputTokens - known.output);
      known.ratio += WEIGHT * (ratio - known.ratio);
    } else {
      if (this.#models.size >= MAX_MODELS) this.#models.clear();
      this.#models.set(model ?? "", { output: outputTokens, ratio });
    }
    return { tokens: inputTokens + outputTokens, costUsd: this.#options.costOf(model, usage) };
  }

  #tenant(control: CallControl): string {
    try {
      const tenant = atOnce(this.#options.per(control)) ?? "";
      if (typeof tenant === "string" || typeof tenant === "number") return String(tenant);
      throw new TypeError(`wanted a string, got ${typeof tenant}`);
    } catch (error) {
      this.#warn("rateLimit.per failed, and the call counts as nobody's", error);
      return "";
    }
  }
}
