import { parseFault, resolveFault, type FaultRule } from "./fault-rules.ts";
import type { Random } from "./random.ts";

/** What a request is known by when faults are looked up. */
export interface FaultTarget {
  model: string;
  path: string;
  header?: string;
}

interface ActiveRule {
  rule: FaultRule;
  addedAt: number;
  left: number;
}

const REMEMBERED_TEXTS = 1_000;

/** All rules of one simulator: by control API, by model name, by header. */
export class FaultBook {
  readonly #rules = new Map<number, ActiveRule>();
  readonly #texts = new Map<string, ActiveRule>();
  readonly #random: Random;
  readonly #elapsed: () => number;
  #lastId = 0;

  constructor(random: Random, elapsed: () => number) {
    this.#random = random;
    this.#elapsed = elapsed;
  }

  add(rule: FaultRule | string, option = "fault"): number {
    this.#rules.set(++this.#lastId, this.#activate(resolveFault(rule, option)));
    return this.#lastId;
  }

  remove(id: number): boolean {
    return this.#rules.delete(id);
  }

  clear(): void {
    this.#rules.clear();
    this.#texts.clear();
  }

  list(): { id: number; rule: FaultRule; timesLeft: number | null }[] {
    return [...this.#rules].map(([id, { rule, left }]) => ({ id, rule, timesLeft: Number.isFinite(left) ? left : null }));
  }

  /** The fault that strikes this request, if any: the header's, the model name's, or the first rule's. */
  strike({ model, path, header }: FaultTarget): FaultRule | undefined {
    const plus = model.indexOf("+");
    const named = plus === -1 ? "" : model.slice(plus + 1);
    const rules = [this.#byText(header ?? "", "x-simulate-fault"), this.#byText(named, "model"), ...this.#rules.values()];
    return rules.find((active) => active !== undefined && this.#strikes(active, model, path))?.rule;
  }

  #strikes(active: ActiveRule, model: string, path: string): boolean {
    const { rule } = active;
    if (rule.model !== undefined && rule.model !== model) return false;
    if (rule.path !== undefined && !path.endsWith(rule.path)) return false;
    if (active.left <= 0) return false;
    const { onMs, offMs } = rule;
    if (onMs !== undefined && offMs !== undefined && (this.#elapsed() - active.addedAt) % (onMs + offMs) >= onMs) return false;
    if (rule.probability !== undefined && this.#random() >= rule.probability) return false;
    active.left--;
    return true;
  }

  /** A text keeps its state, so that `times` counts over requests. */
  #byText(text: string, option: string): ActiveRule | undefined {
    if (text === "") return undefined;
    const known = this.#texts.get(text);
    if (known !== undefined) return known;
    if (this.#texts.size >= REMEMBERED_TEXTS) this.#texts.delete(this.#texts.keys().next().value!);
    const active = this.#activate(parseFault(text, option));
    this.#texts.set(text, active);
    return active;
  }

  #activate(rule: FaultRule): ActiveRule {
    return { rule, addedAt: this.#elapsed(), left: rule.times ?? Infinity };
  }
}
