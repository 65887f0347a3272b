import { readIdentity } from "../../core/key.ts";

/** One part of a question, and how it differs from the nearest other question that was asked. */
export interface QuestionField {
  readonly name: string;
  readonly text: string;
}

export interface QuestionDifference {
  /** Key of the other question. */
  readonly key: string;
  readonly fields: readonly { readonly name: string; readonly here: string | undefined; readonly there: string | undefined }[];
}

/** What the latest questions were made of, bounded in length, oldest out first; for `perf.cache.explain`. */
export class QuestionLog {
  readonly #identities = new Map<string, string>();
  readonly #maxLength: number;
  /** Keys in the order they came, from `#oldest` on. A map alone would walk over its deleted entries at each eviction. */
  #order: string[] = [];
  #oldest = 0;
  #length = 0;

  /** @param maxLength characters of question text that are remembered */
  constructor(maxLength = 4 * 1024 * 1024) {
    this.#maxLength = maxLength;
  }

  remember(key: string, identity: string): void {
    if (this.#identities.has(key)) return;
    this.#identities.set(key, identity);
    this.#order.push(key);
    this.#length += identity.length;
    while (this.#length > this.#maxLength) this.#forgetOldest();
  }

  #forgetOldest(): void {
    const oldest = this.#order[this.#oldest++] as string;
    this.#length -= this.#identities.get(oldest)?.length ?? 0;
    this.#identities.delete(oldest);
    if (this.#oldest < this.#order.length / 2) return;
    this.#order = this.#order.slice(this.#oldest);
    this.#oldest = 0;
  }

  fields(key: string): QuestionField[] | undefined {
    const identity = this.#identities.get(key);
    return identity === undefined ? undefined : readIdentity(identity).map(([name, text]) => ({ name, text }));
  }

  /** The remembered question that differs in the fewest fields, at least one. */
  nearest(key: string): QuestionDifference | undefined {
    const here = this.fields(key);
    if (!here) return undefined;
    let best: QuestionDifference | undefined;
    for (const other of this.#identities.keys()) {
      if (other === key) continue;
      const fields = differences(here, this.fields(other) ?? []);
      if (!best || fields.length < best.fields.length) best = { key: other, fields };
    }
    return best;
  }

  clear(): void {
    this.#identities.clear();
    this.#order = [];
    this.#oldest = 0;
    this.#length = 0;
  }
}

function differences(here: readonly QuestionField[], there: readonly QuestionField[]): QuestionDifference["fields"] {
  const others = new Map(there.map((field) => [field.name, field.text]));
  const names = new Set([...here.map((field) => field.name), ...others.keys()]);
  const mine = new Map(here.map((field) => [field.name, field.text]));
  return [...names]
    .filter((name) => mine.get(name) !== others.get(name))
    .map((name) => ({ name, here: mine.get(name), there: others.get(name) }));
}
