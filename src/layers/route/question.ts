import type { Call, RequestEstimate } from "../../core/layer.ts";
import type { RouteQuestion } from "./strategy.ts";

const CHARACTERS_PER_TOKEN = 4;

/** What strategies are told of a call: looked at only when they ask. */
export class CallQuestion implements RouteQuestion {
  readonly #call: Call;
  #estimate: RequestEstimate | undefined;
  #inputTokens: number | undefined;

  constructor(call: Call) {
    this.#call = call;
  }

  get texts(): readonly string[] {
    return this.#estimated?.texts ?? [];
  }

  get openingTexts(): number | undefined {
    return this.#estimated?.openingTexts;
  }

  get inputTokens(): number {
    return (this.#inputTokens ??= this.#estimated ? roughTokens(this.#estimated) : 0);
  }

  get maxOutputTokens(): number | undefined {
    return this.#estimated?.maxOutputTokens;
  }

  get session(): string | undefined {
    return this.#call.control.session;
  }

  get tenant(): string | undefined {
    return this.#call.control.tenant;
  }

  get model(): string | undefined {
    return this.#call.facts.requestedModel ?? this.#call.facts.model;
  }

  get #estimated(): RequestEstimate | undefined {
    return (this.#estimate ??= this.#call.kind.estimate?.(this.#call.input));
  }
}

function roughTokens({ texts, extraTokens }: RequestEstimate): number {
  let characters = 0;
  for (const text of texts) characters += text.length;
  return Math.ceil(characters / CHARACTERS_PER_TOKEN) + extraTokens;
}
