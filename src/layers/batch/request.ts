import { linkAbort, type LinkedAbort } from "../../core/abort.ts";
import type { Alarm } from "../../core/clock.ts";
import { DeadlineError } from "../../core/errors.ts";
import type { CallFacts } from "../../core/facts.ts";
import type { Call } from "../../core/layer.ts";
import { last, settled } from "../../core/parts.ts";
import type { Leavable, Slice } from "./asker.ts";
import { mayBlameTexts } from "./blame.ts";

/**
 * Into how many parts a refused request falls. Quarters take as many requests as halves to find one bad text, in half the rounds, and
 * where all are bad a third more than asking one by one, instead of twice as many.
 */
const PARTS = 4;

/** Asks for the texts of several calls in one request and gives each its answers, or its failure. Never fails itself. */
export async function askTogether(slices: readonly Slice[], clock: Alarm): Promise<void> {
  const wanted = slices.filter(({ asker }) => !asker.isDone);
  if (wanted.length === 0) return;
  const parts = await new JoinedRequest(wanted, clock).settle();
  await Promise.all(parts.map((part) => askTogether(part, clock)));
}

/** One request for one or several calls. */
class JoinedRequest implements Leavable {
  readonly #slices: readonly Slice[];
  readonly #first: Slice;
  readonly #texts: readonly string[];
  readonly #abort: LinkedAbort = linkAbort();
  readonly #clock: Alarm;
  #waiting: number;

  constructor(slices: readonly Slice[], clock: Alarm) {
    this.#slices = slices;
    this.#clock = clock;
    this.#first = slices.reduce(lessUrgent);
    this.#texts = slices.flatMap(({ asker, from, to }) => asker.texts.slice(from, to));
    this.#waiting = slices.length;
  }

  left(reason: unknown): void {
    this.#waiting -= 1;
    if (this.#waiting === 0) this.#abort.abort(reason);
  }

  /** @returns what must be asked again, in parts; the others have got their answers, or failed */
  async settle(): Promise<(readonly Slice[])[]> {
    for (const { asker } of this.#slices) asker.requests.add(this);
    const callOffs = this.#slices.flatMap((slice) => this.#watch(slice));
    try {
      const part = await this.#ask();
      return this.#isWhole() ? this.#finish(part) : this.#divide(part);
    } catch (error) {
      return this.#fail(error, mayBlameTexts(error));
    } finally {
      for (const callOff of callOffs) callOff();
    }
  }

  /** The request has the latest of its calls' deadlines: one that has less time leaves it if it still waits then. */
  #watch(slice: Slice): (() => void)[] {
    const at = deadlineOf(slice);
    if (at >= deadlineOf(this.#first)) return [];
    const late = (): void => {
      if (this.#first.asker.call.isWaiting) slice.asker.fail(new DeadlineError("No permit for the request that this call shares came before its deadline."));
    };
    return [this.#clock.after(Math.max(0, at - this.#clock.elapsed()), late)];
  }

  /** Whether it is exactly one call as it was made. */
  #isWhole(): boolean {
    return this.#slices.length === 1 && this.#texts.length === this.#first.asker.texts.length;
  }

  async #ask(): Promise<unknown> {
    const { call, next, inContext, joining } = this.#first.asker;
    const { signal } = this.#abort;
    const ask = (asked: Call): Promise<unknown> => inContext(() => settled(() => last(next(asked))));
    if (this.#isWhole()) return ask(call.with({ signal }));
    const before = { ...call.facts };
    const facts = { ...before };
    try {
      return await ask(call.with({ signal, facts, input: joining.join(call.input, this.#texts) }));
    } finally {
      this.#report(before, facts);
    }
  }

  /** What the layers below wrote down holds for each call. */
  #report(before: CallFacts, after: CallFacts): void {
    const news = Object.entries(after).filter(([name, value]) => value !== before[name as keyof CallFacts]);
    for (const { asker } of this.#slices) if (!asker.isDone) Object.assign(asker.call.facts, Object.fromEntries(news));
  }

  #finish(part: unknown): [] {
    this.#settled();
    this.#first.asker.finish(part);
    return [];
  }

  #divide(part: unknown): (readonly Slice[])[] {
    const count = this.#texts.length;
    const answers = this.#first.asker.joining.split(part, count);
    if (!answers) return this.#fail(new Error(`${count} texts were asked for, and not each of them has an answer.`), true);
    this.#settled();
    let at = 0;
    for (const { asker, from, to } of this.#slices) asker.answer(from, answers.slice(at, (at += to - from)));
    return [];
  }

  /** One call's failure is its own. Of several it is asked in parts whose it is, as far as it can be one text's. */
  #fail(error: unknown, isOneTexts: boolean): (readonly Slice[])[] {
    const several = this.#slices.length > 1;
    if (several && isOneTexts) {
      for (const { asker } of this.#slices) asker.requests.delete(this);
      const size = Math.ceil(this.#slices.length / PARTS);
      return Array.from({ length: Math.ceil(this.#slices.length / size) }, (_, at) => this.#slices.slice(at * size, (at + 1) * size));
    }
    this.#settled();
    for (const { asker } of this.#slices) asker.fail(error);
    return [];
  }

  #settled(): void {
    for (const { asker } of this.#slices) {
      asker.requests.delete(this);
      const { facts } = asker.call;
      if (!asker.isDone) facts.batchSize = Math.max(facts.batchSize ?? 0, this.#texts.length);
    }
  }
}

/** A request is made as one of its calls: that which may wait longest, so that none is refused because another is in more of a hurry. */
function lessUrgent(one: Slice, other: Slice): Slice {
  return deadlineOf(other) > deadlineOf(one) ? other : one;
}

function deadlineOf({ asker }: Slice): number {
  return asker.call.control.deadlineAt ?? Infinity;
}
