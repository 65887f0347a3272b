import { LRUCache } from "lru-cache";
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

/** What the latest questions were made of, bounded in bytes; for `perf.cache.explain`. */
export class QuestionLog {
  readonly #identities: LRUCache<string, string>;

  /** @param maxBytes bytes of question text that are remembered */
  constructor(maxBytes = 4 * 1024 * 1024) {
    this.#identities = new LRUCache({ maxSize: maxBytes, sizeCalculation: (identity) => identity.length + 1 });
  }

  remember(key: string, identity: string): void {
    this.#identities.set(key, identity);
  }

  fields(key: string): QuestionField[] | undefined {
    const identity = this.#identities.peek(key);
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
