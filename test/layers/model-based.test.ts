import { AIMessage } from "@langchain/core/messages";
import type { ChatGenerationChunk } from "@langchain/core/outputs";
import { CacheMissError, withPerf, type CallWishes, type PerfOptions } from "langchain-perf";
import fc from "fast-check";
import { expect, it } from "vitest";
import { Faucet, settle } from "./support/gate.ts";
import { listening } from "./support/listening.ts";
import { chunk, ScriptedChat } from "./support/scripted-chat.ts";

type Mode = "invoke" | "stream";
type Wish = NonNullable<CallWishes["cache"]>;
type Step =
  | { do: "call"; text: string; mode: Mode; wish: Wish; tenant: string | undefined }
  /** The numbers choose among the upstream calls or callers that are open, oldest first. */
  | { do: "drip" | "finish" | "fail"; which: number }
  | { do: "abort"; which: number };

/** How a caller's wait ended: with an answer, with the failure of an upstream call, or otherwise. */
type Outcome = { text: string } | { failed: number } | { aborted: true } | { missed: true };

/** One call that reached the model. Its answer says which it was, so that a wrong one shows. */
interface Upstream {
  readonly number: number;
  readonly text: string;
  readonly mode: Mode;
  readonly signal: AbortSignal | undefined;
  readonly tap: Faucet<ChatGenerationChunk>;
}

class Failure extends Error {
  readonly number: number;
  constructor(number: number) {
    super(`upstream call ${number} failed`);
    this.number = number;
  }
}

/** The real thing: a model whose calls wait to be told what to do. */
class System {
  readonly upstream: Upstream[] = [];
  readonly callers: { abort: AbortController; outcome: Outcome | undefined }[] = [];
  readonly #model: ScriptedChat;

  constructor(options: PerfOptions) {
    const open = (mode: Mode, text: string, signal: AbortSignal | undefined): Upstream => {
      const made = { number: this.upstream.length, text, mode, signal, tap: new Faucet<ChatGenerationChunk>() };
      this.upstream.push(made);
      // As real models do; that readers leave one that does not is tested with the layer.
      signal?.addEventListener("abort", () => made.tap.fail(signal.reason), { once: true });
      return made;
    };
    const model = new ScriptedChat({
      stream: ({ messages, signal }) => open("stream", messages[0]!.text, signal).tap,
      whole: async ({ messages, signal }) => {
        const parts = await Array.fromAsync(open("invoke", messages[0]!.text, signal).tap);
        const text = parts.map((part) => part.text).join("");
        return { generations: [{ text, message: new AIMessage(text), generationInfo: { finish_reason: "stop" } }] };
      },
    });
    this.#model = withPerf(model, listening(options).perf);
  }

  call({ text, mode, wish, tenant }: Extract<Step, { do: "call" }>): void {
    const caller = { abort: new AbortController(), outcome: undefined as Outcome | undefined };
    this.callers.push(caller);
    const config = { signal: caller.abort.signal, configurable: { perf: { cache: wish, ...(tenant === undefined ? {} : { tenant }) } } };
    const asked = mode === "invoke"
      ? this.#model.invoke(text, config).then((message) => message.text)
      : this.#model.stream(text, config).then(async (stream) => (await Array.fromAsync(stream)).map((part) => part.text).join(""));
    asked.then((answer) => (caller.outcome = { text: answer }), (error: unknown) => (caller.outcome = outcomeOf(error, caller.abort.signal)));
  }
}

function outcomeOf(error: unknown, signal: AbortSignal): Outcome {
  if (error instanceof Failure) return { failed: error.number };
  if (CacheMissError.isInstance(error)) return { missed: true };
  if (signal.aborted) return { aborted: true };
  throw error;
}

/** What should happen, in the simplest words. */
class Reference {
  readonly outcomes: (Outcome | undefined)[] = [];
  /** By the numbers of the upstream calls; those that ended or were left are gone. */
  readonly open = new Map<number, { share: string | undefined; entry: string | undefined; text: string; callers: Set<number> }>();
  readonly #cache = new Map<string, string>();
  readonly #options: { cache: boolean; coalesce: boolean };
  upstreamCalls = 0;

  constructor(options: { cache: boolean; coalesce: boolean }) {
    this.#options = options;
  }

  call({ text, wish, tenant }: Extract<Step, { do: "call" }>): void {
    const caller = this.outcomes.push(undefined) - 1;
    const question = `${tenant ?? ""}/${text}`;
    const kept = this.#cache.get(question);
    if (kept !== undefined && (wish === "use" || wish === "only")) return void (this.outcomes[caller] = { text: kept });
    if (wish === "only") return void (this.outcomes[caller] = { missed: true });
    const share = this.#options.coalesce && wish !== "bypass" ? `${question} ${wish}` : undefined;
    const flight = share === undefined ? undefined : [...this.open.values()].find((one) => one.share === share);
    if (flight) return void flight.callers.add(caller);
    this.open.set(this.upstreamCalls++, { share, entry: this.#options.cache && wish !== "bypass" ? question : undefined, text, callers: new Set([caller]) });
  }

  finish(number: number): void {
    const { callers, entry, text } = this.#take(number);
    for (const caller of callers) this.outcomes[caller] = { text: answerOf(text, number) };
    if (entry !== undefined) this.#cache.set(entry, answerOf(text, number));
  }

  fail(number: number): void {
    for (const caller of this.#take(number).callers) this.outcomes[caller] = { failed: number };
  }

  abort(caller: number): void {
    if (this.outcomes[caller] !== undefined) return;
    this.outcomes[caller] = { aborted: true };
    for (const [number, { callers }] of this.open) if (callers.delete(caller) && callers.size === 0) this.open.delete(number);
  }

  #take(number: number): { callers: Set<number>; entry: string | undefined; text: string } {
    const flight = this.open.get(number)!;
    this.open.delete(number);
    return flight;
  }
}

const answerOf = (text: string, number: number): string => `${text} by call ${number}`;

async function play(steps: readonly Step[], layers: { cache: boolean; coalesce: boolean }): Promise<void> {
  const system = new System(layers);
  const reference = new Reference(layers);
  const dripped = new Set<number>();
  const drip = ({ number, text, tap }: Upstream): void => {
    if (!dripped.has(number)) tap.push(chunk({ content: text }));
    dripped.add(number);
  };
  for (const step of steps) {
    const open = [...reference.open.keys()];
    if (step.do === "call") {
      system.call(step);
      reference.call(step);
    } else if (step.do === "abort") {
      const caller = step.which % Math.max(1, system.callers.length);
      system.callers[caller]?.abort.abort(new Error("gone"));
      if (system.callers[caller]) reference.abort(caller);
    } else if (open.length > 0) {
      const upstream = system.upstream[open[step.which % open.length] as number]!;
      if (step.do !== "fail") drip(upstream);
      if (step.do === "fail") {
        upstream.tap.fail(new Failure(upstream.number));
        reference.fail(upstream.number);
      } else if (step.do === "finish") {
        upstream.tap.push(chunk({ content: ` by call ${upstream.number}` }, { finish_reason: "stop" }));
        upstream.tap.end();
        reference.finish(upstream.number);
      }
    }
    await settle();
    expect(system.callers.map(({ outcome }) => outcome)).toEqual(reference.outcomes);
    expect(system.upstream).toHaveLength(reference.upstreamCalls);
    for (const { number, signal } of system.upstream) if (reference.open.has(number)) expect(signal?.aborted ?? false).toBe(false);
  }
}

const call = fc.record({
  do: fc.constant("call" as const),
  text: fc.constantFrom("a", "b"),
  mode: fc.constantFrom<Mode>("invoke", "stream"),
  wish: fc.oneof({ weight: 5, arbitrary: fc.constant<Wish>("use") }, { weight: 2, arbitrary: fc.constantFrom<Wish>("refresh", "bypass", "only") }),
  tenant: fc.oneof({ weight: 5, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: fc.constant("acme") }),
});
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: call },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("drip" as const), which: fc.nat(5) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("finish" as const), which: fc.nat(5) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("fail" as const), which: fc.nat(5) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("abort" as const), which: fc.nat(20) }) },
);

it.each([{ cache: true, coalesce: true }, { cache: true, coalesce: false }, { cache: false, coalesce: true }])(
  "any sequence of calls, aborts and failures gives what a simple reference says: %o",
  async (layers) => {
    await fc.assert(fc.asyncProperty(fc.array(step, { maxLength: 16 }), (steps) => play(steps, layers)), { seed: 20_261_121, numRuns: 250 });
  },
);
