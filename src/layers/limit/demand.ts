import type { Usage } from "../../core/facts.ts";
import type { CallControl } from "../../core/control.ts";
import { OptionError } from "../../core/errors.ts";
import type { RequestEstimate } from "../../core/layer.ts";
import { warnOnce } from "../../core/callback.ts";
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

/** How much requests will take: the prompt counted, the answer by its own bound or by the model's answers of late. */
export class Demands {
  readonly #options: DemandOptions;
  readonly #answers = new Map<string, number>();
  readonly #warn = warnOnce();

  constructor(options: DemandOptions) {
    this.#options = options;
  }

  /** @param elapsed now, by the monotonic clock. @throws OptionError when the model has no price under a budget */
  async demand({ texts, extraTokens, maxOutputTokens, model }: RequestEstimate, control: CallControl, elapsed: number): Promise<Demand> {
    const { countTokens, costOf, needsPrices } = this.#options;
    const inputTokens = (await countTokens(texts, model)) + extraTokens;
    const outputTokens = maxOutputTokens ?? this.#answers.get(model ?? "") ?? FIRST_GUESS;
    const costUsd = costOf(model, { inputTokens, outputTokens });
    if (costUsd === undefined && needsPrices) throw new OptionError(`pricing.${model ?? "<model>"}`, "a price, because `rateLimit.budgetUsdPerHour` is set", undefined);
    const { priority, deadlineAt } = control;
    return {
      tokens: Math.ceil(inputTokens + outputTokens),
      costUsd: costUsd ?? 0,
      tenant: this.#tenant(control),
      ...(priority === undefined ? {} : { priority }),
      ...(deadlineAt === undefined ? {} : { deadlineMs: deadlineAt - elapsed }),
    };
  }

  /** What a request took. */
  taken(model: string | undefined, usage: Usage): { tokens: number; costUsd: number | undefined } {
    const before = this.#answers.get(model ?? "");
    if (before === undefined && this.#answers.size >= MAX_MODELS) this.#answers.clear();
    this.#answers.set(model ?? "", before === undefined ? usage.outputTokens : before + WEIGHT * (usage.outputTokens - before));
    return { tokens: usage.inputTokens + usage.outputTokens, costUsd: this.#options.costOf(model, usage) };
  }

  #tenant(control: CallControl): string {
    try {
      return String(this.#options.per(control));
    } catch (error) {
      this.#warn("rateLimit.per failed, and the call counts as nobody's", error);
      return "";
    }
  }
}
