import type { CallControl } from "../../../../src/core/control.ts";
import { NO_ATTEMPTS, type CallFacts } from "../../../../src/core/facts.ts";
import { Unfit, type Answer, type Call, type CallChanges, type Kind, type Mode, type Next } from "../../../../src/core/layer.ts";
import type { VirtualTime } from "../../../support/virtual-time.ts";

/** A part tells whose it is and its place in the answer, so that a mixture of answers shows. */
export interface Part {
  readonly from: string;
  /** Which request to that deployment it answers, from 1. */
  readonly request: number;
  readonly numbers: readonly number[];
  readonly reason?: "stop" | "filtered" | undefined;
}

export interface Question {
  readonly target?: Target;
  readonly hasSideEffects?: boolean;
  /** It cannot be read in parts. */
  readonly isWhole?: boolean;
}

/** What an attempt does, step after step; without `stop` or `filtered` at its end the answer is cut. */
export type Step =
  /** Milliseconds pass. */
  | number
  /** A part: with content, without any, or the last one. */
  | "part" | "empty" | "stop" | "filtered"
  /** Nothing more comes. */
  | "silence"
  /** The response's status is heard of. */
  | { readonly status: number }
  /** The object that was asked swallows this failure, and tells of it. */
  | { readonly told: Error; readonly maxRetries: number }
  | Error;

export interface Attempted {
  /** Before the request is made: its permits are waited for. */
  readonly queueMs?: number;
  /** It is refused before it is made. */
  readonly refused?: Error;
  /** It takes no notice of its signal. */
  readonly isDeaf?: boolean;
  readonly steps: readonly Step[];
}

/** Who is asked. */
export class Target {
  readonly id: string;
  readonly #attempts: readonly Attempted[];
  readonly unfit: string | undefined;
  requests = 0;
  closed = 0;

  /** @param attempts what its requests do, one after the other; the last one for all that follow */
  constructor(id: string, attempts: readonly Attempted[], unfit?: string) {
    this.id = id;
    this.#attempts = attempts;
    this.unfit = unfit;
  }

  begin(): { request: number; attempted: Attempted } {
    this.requests += 1;
    return { request: this.requests, attempted: this.#attempts[Math.min(this.requests, this.#attempts.length) - 1] as Attempted };
  }
}

function merged(parts: readonly Part[]): Part {
  const [first] = parts;
  if (!first) return { from: "nobody", request: 0, numbers: [] };
  const isMixed = parts.some(({ from, request }) => from !== first.from || request !== first.request);
  return { from: isMixed ? "a mixture" : first.from, request: first.request, numbers: parts.flatMap(({ numbers }) => numbers), reason: parts.at(-1)?.reason };
}

const reasonOf = ({ parts }: Answer): Part["reason"] => (parts.at(-1) as Part | undefined)?.reason;

export const scriptedKind = {
  name: "chat",
  estimate: () => ({ texts: ["question"], extraTokens: 0, maxOutputTokens: undefined, model: undefined }),
  question: (input) => ({ asked: input, config: {} }),
  routing: {
    rebind: (input, target) => ((target as Target).unfit === undefined ? { ...input, target: target as Target } : new Unfit((target as Target).unfit as string)),
    hasParts: ({ isWhole = false }) => !isWhole,
    streams: () => true,
    isEmpty: ({ mode }) => mode === "invoke",
    isCut: (answer) => reasonOf(answer) === undefined,
    hasSideEffects: ({ hasSideEffects = false }) => hasSideEffects,
  },
  whole: ({ parts }) => merged(parts as Part[]),
  convert: ({ parts }) => [merged(parts as Part[])],
  packer: () => (part) => ({ ...part }),
  completeness: (answer) => (reasonOf(answer) === "filtered" ? "filtered" : "complete"),
  usage: () => ({ inputTokens: 10, outputTokens: 10 }),
  hasContent: ({ numbers }) => numbers.length > 0,
} as Partial<Kind<Question, Part, Part>> as Kind<Question, Part, Part>;

/** A call as the engine would make it. */
export function callOf(input: Question, { mode, signal, control }: { mode: Mode; signal: AbortSignal | undefined; control: CallControl }): Call {
  const facts: CallFacts = { id: "call", kind: "chat", model: "asked", mode: mode === "invoke" ? "invoke" : "stream", startedAt: 0, durationMs: 0, attempts: NO_ATTEMPTS };
  const changed = (before: object, changes: CallChanges): Call => {
    const call = { ...before, ...changes };
    return Object.assign(call, { with: (more: CallChanges) => changed(call, more) }) as unknown as Call;
  };
  return changed({ kind: scriptedKind, mode, input, signal, control, facts, backend: {}, key: undefined }, {});
}

/** One request to a target, as it is written. */
class Playing implements AsyncIterator<Part> {
  readonly #call: Call;
  readonly #time: VirtualTime;
  readonly #target: Target;
  readonly #request: number;
  readonly #attempted: Attempted;
  readonly #steps: Step[];
  readonly #began: (target: Target) => void;
  #hasBegun = false;
  #hasEnded = false;
  #number = 0;

  constructor(call: Call, time: VirtualTime, began: (target: Target) => void) {
    this.#call = call;
    this.#time = time;
    this.#began = began;
    this.#target = (call.input as Question).target as Target;
    const { request, attempted } = this.#target.begin();
    this.#request = request;
    this.#attempted = attempted;
    this.#steps = [...attempted.steps];
  }

  async next(): Promise<IteratorResult<Part>> {
    if (!this.#hasBegun) await this.#begin();
    return this.#call.mode === "invoke" ? await this.#whole() : await this.#part();
  }

  return(): Promise<IteratorResult<Part>> {
    this.#steps.length = 0;
    this.#target.closed += 1;
    return Promise.resolve({ done: true, value: undefined });
  }

  async #begin(): Promise<void> {
    const { queueMs = 0, refused } = this.#attempted;
    this.#hasBegun = true;
    if (queueMs > 0) await this.#wait(queueMs, this.#call.signal);
    if (refused) throw refused;
    this.#began(this.#target);
    this.#call.attempt?.began?.();
  }

  async #whole(): Promise<IteratorResult<Part>> {
    if (this.#hasEnded) return { done: true, value: undefined };
    this.#hasEnded = true;
    const parts: Part[] = [];
    for (let result = await this.#part(); !result.done; result = await this.#part()) parts.push(result.value);
    return { done: false, value: merged(parts) };
  }

  async #part(): Promise<IteratorResult<Part>> {
    for (let step = this.#steps.shift(); step !== undefined; step = this.#steps.shift()) {
      if (typeof step === "number") await this.#wait(step);
      else if (step === "silence") await this.#wait(Infinity);
      else if (step instanceof Error) throw step;
      else if (typeof step === "string") return { done: false, value: this.#made(step) };
      else if ("status" in step) this.#call.attempt?.heard?.(step.status, new Map());
      else this.#call.attempt?.failed?.(step.told, step.maxRetries);
    }
    return { done: true, value: undefined };
  }

  #made(step: "part" | "empty" | "stop" | "filtered"): Part {
    const numbers = step === "empty" ? [] : [this.#number++];
    return { from: this.#target.id, request: this.#request, numbers, ...(step === "stop" || step === "filtered" ? { reason: step } : {}) };
  }

  #wait(ms: number, signal = this.#attempted.isDeaf ? undefined : this.#call.signal): Promise<void> {
    return new Promise((resolve, reject) => {
      const cancel = ms === Infinity ? () => {} : this.#time.after(ms, resolve);
      const aborted = (): void => {
        cancel();
        reject(signal?.reason);
      };
      if (signal?.aborted) aborted();
      else signal?.addEventListener("abort", aborted, { once: true });
    });
  }
}

/** What is below the routes: targets that do what their scripts say. */
export function scripted(time: VirtualTime, began: (target: Target) => void): Next {
  return (call) => ({ [Symbol.asyncIterator]: () => new Playing(call, time, began) });
}
