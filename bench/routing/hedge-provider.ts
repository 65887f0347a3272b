import type { Alarm } from "../../src/core/clock.ts";
import { NO_ATTEMPTS, type CallFacts } from "../../src/core/facts.ts";
import type { Call, CallChanges, Kind } from "../../src/core/layer.ts";
import { fromNext } from "../../src/core/parts.ts";
import { NO_WISHES } from "../../src/core/control.ts";
import type { MeasuredCall } from "../data/llmperf-source.ts";

/** What a question will be answered with: how long each deployment takes is drawn beforehand, so that the same answers come hedged or not. */
export interface TimedQuestion {
  readonly answers: Readonly<Record<string, MeasuredCall>>;
  readonly tokens: number;
}

interface TimedPart {
  readonly isFirst: boolean;
  readonly tokens: number;
}

/** An answer comes in two parts: its first token, and all others when the last one is there. */
const timed = {
  name: "chat",
  estimate: () => ({ texts: [], extraTokens: 0, maxOutputTokens: undefined, model: undefined }),
  routing: { rebind: (input) => input, hasParts: () => true, streams: () => true, isEmpty: () => false, isCut: () => false, hasSideEffects: () => false },
  packer: () => (part) => part,
  hasContent: () => true,
  usage: (_mode, parts) => ({ inputTokens: 0, outputTokens: parts.reduce((sum, { tokens }) => sum + tokens, 0) }),
} as Partial<Kind<TimedQuestion, TimedPart, TimedPart>>;

/** A call that is read in parts, as far as routing looks at it. */
export function timedCall(question: TimedQuestion): Call {
  const facts = { id: "", model: "timed", attempts: NO_ATTEMPTS } as unknown as CallFacts;
  const make = (changes: CallChanges): Call =>
    ({ kind: timed, mode: "stream", input: question, control: NO_WISHES, facts, signal: undefined, origin: undefined, ...changes, with: (more: CallChanges) => make({ ...changes, ...more }) }) as unknown as Call;
  return make({});
}

/** Whoever is asked answers in the time that was drawn for them. */
export class TimedProvider {
  readonly #clock: Alarm;
  requests = 0;

  constructor(clock: Alarm) {
    this.#clock = clock;
  }

  readonly answer = ({ input, attempt }: Call): AsyncIterable<unknown> => {
    const { answers, tokens } = input as TimedQuestion;
    const { ttftMs, interTokenMs } = answers[attempt?.deployment ?? ""] as MeasuredCall;
    const waits = [ttftMs, interTokenMs * (tokens - 1)];
    const parts: readonly TimedPart[] = [{ isFirst: true, tokens: 1 }, { isFirst: false, tokens: tokens - 1 }];
    let told = 0;
    let cancel = (): void => {};
    this.requests += 1;
    attempt?.began?.();
    const next = (): Promise<IteratorResult<unknown>> =>
      new Promise((resolve) => {
        const part = told;
        told += 1;
        if (part === parts.length) resolve({ done: true, value: undefined });
        else cancel = this.#clock.after(waits[part] as number, () => resolve({ done: false, value: parts[part] }));
      });
    return fromNext(next, () => cancel());
  };
}
