import { readIdentity } from "../../core/key.ts";

/** One part of a question. */
export interface QuestionField {
  readonly name: string;
  readonly text: string;
}

/** How a question differs from the nearest other one that was asked. */
export interface QuestionDifference {
  /** Key of the other question. */
  readonly key: string;
  readonly fields: readonly { readonly name: string; readonly here: string | undefined; readonly there: string | undefined }[];
}

interface Question {
  readonly key: string;
  readonly identity: string;
  /** Whose question it is. */
  readonly tenant: string | undefined;
}

/**
 * What the latest questions were made of, bounded in length, oldest out first; for `perf.cache.explain`. Written at every miss
 * and hardly ever read: a list, not a map.
 */
export class QuestionLog {
  readonly #maxLength: number;
  /** Live from `#oldest` on. */
  #questions: Question[] = [];
  #oldest = 0;
  #length = 0;

  /** @param maxLength characters of question text that are remembered */
  constructor(maxLength = 4 * 1024 * 1024) {
    this.#maxLength = maxLength;
  }

  remember(key: string, identity: string, tenant?: string): void {
    this.#questions.push({ key, identity, tenant });
    this.#length += identity.length;
    while (this.#length > this.#maxLength) this.#length -= (this.#questions[this.#oldest++] as Question).identity.length;
    if (this.#oldest > 1_000 && this.#oldest > this.#questions.length / 2) {
      this.#questions = this.#questions.slice(this.#oldest);
      this.#oldest = 0;
    }
  }

  fields(key: string): QuestionField[] | undefined {
    const question = this.#find(key);
    return question && fieldsOf(question.identity);
  }

  /** The remembered question of the same tenant that differs in the fewest fields, at least one. */
  nearest(key: string): QuestionDifference | undefined {
    const question = this.#find(key);
    if (!question) return undefined;
    const here = fieldsOf(question.identity);
    let best: QuestionDifference | undefined;
    for (const other of this.#questions.slice(this.#oldest)) {
      if (other.key === key || other.tenant !== question.tenant) continue;
      const fields = differences(here, fieldsOf(other.identity));
      if (fields.length === 0) continue;
      if (!best || fields.length < best.fields.length) best = { key: other.key, fields };
    }
    return best;
  }

  /** Forgets the questions of some tenants, or of nobody in particular. */
  forget(isForgotten: (tenant: string | undefined) => boolean): void {
    const doomed = new Set([...new Set(this.#questions.map(({ tenant }) => tenant))].filter(isForgotten));
    if (doomed.size === 0) return;
    this.#questions = this.#questions.slice(this.#oldest).filter(({ tenant }) => !doomed.has(tenant));
    this.#oldest = 0;
    this.#length = this.#questions.reduce((sum, { identity }) => sum + identity.length, 0);
  }

  #find(key: string): Question | undefined {
    return this.#questions.findLast((asked, at) => at >= this.#oldest && asked.key === key);
  }
}

function fieldsOf(identity: string): QuestionField[] {
  return readIdentity(identity).map(([name, text]) => ({ name, text: readable(text) }));
}

/** A text that is one plain string, without the mark of its length. */
function readable(text: string): string {
  const [mark, length] = /^"(\d+):/.exec(text) ?? [];
  return mark !== undefined && text.length === mark.length + Number(length) ? text.slice(mark.length) : text;
}

function differences(here: readonly QuestionField[], there: readonly QuestionField[]): QuestionDifference["fields"] {
  const others = new Map(there.map((field) => [field.name, field.text]));
  const names = new Set([...here.map((field) => field.name), ...others.keys()]);
  const mine = new Map(here.map((field) => [field.name, field.text]));
  return [...names]
    .filter((name) => mine.get(name) !== others.get(name))
    .map((name) => ({ name, here: mine.get(name), there: others.get(name) }));
}
