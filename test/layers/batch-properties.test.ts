import fc from "fast-check";
import { expect, it } from "vitest";
import { batching, vectorOf } from "./support/batching.ts";
import { settle } from "./support/gate.ts";

const SEED = 20_261_104;

type Step =
  | { do: "query" | "documents"; sizes: readonly number[]; bad: boolean; signal: number | undefined }
  /** Of those who share a signal, all at once. */
  | { do: "abort"; signal: number }
  | { do: "pause"; ms: number }
  /** Lets the provider answer what it has been asked, oldest first. */
  | { do: "answer"; count: number; failing: boolean };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constantFrom("query", "documents"), sizes: fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1, maxLength: 12 }), bad: fc.nat(7).map((one) => one === 0), signal: fc.option(fc.nat(2), { nil: undefined }) }) as fc.Arbitrary<Step> },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("abort" as const), signal: fc.nat(2) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("pause" as const), ms: fc.double({ min: 0, max: 6, noNaN: true }) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("answer" as const), count: fc.integer({ min: 1, max: 4 }), failing: fc.boolean() }) },
);

interface Caller {
  readonly texts: readonly string[];
  readonly isBad: boolean;
  readonly abort: AbortController | undefined;
  outcome: { vectors: unknown } | { error: unknown } | undefined;
}

const REFUSED = Object.assign(new Error("a bad text"), { status: 400 });
const FAILED = Object.assign(new Error("the server failed"), { status: 500 });

/** Plays the steps, lets everything end, and gives what became of every caller and every request. */
async function play(steps: readonly Step[], limits: { maxBatchSize: number; maxBatchTokens: number }) {
  const pending: ((failing: boolean) => void)[] = [];
  const setting = batching({
    ...limits, symmetric: true,
    answer: ({ method, texts }) => new Promise((resolve, reject) => pending.push((failing) => {
      if (failing) reject(FAILED);
      else if (texts.some((text) => text.startsWith("bad"))) reject(REFUSED);
      else resolve(method === "embedQuery" ? vectorOf(texts[0]!) : texts.map(vectorOf));
    })),
  });
  const callers: Caller[] = [];
  const signals = [0, 1, 2].map(() => new AbortController());
  let failed = false;
  const call = ({ do: method, sizes, bad, signal }: Extract<Step, { sizes: unknown }>): void => {
    const abort = signal === undefined ? undefined : signals[signal];
    const texts = sizes.slice(0, method === "query" ? 1 : undefined).map((size, at) => `${bad && at === 0 ? "bad" : "good"} ${callers.length} ${at} ${"x".repeat(size)}`);
    const caller: Caller = { texts, isBad: bad, abort, outcome: undefined };
    callers.push(caller);
    const wish = abort ? { signal: abort.signal } : {};
    const answer: Promise<unknown> = method === "query" ? setting.query(texts[0]!, wish).then((vector) => [vector]) : setting.documents(texts, wish);
    answer.then((vectors) => (caller.outcome = { vectors }), (error: unknown) => (caller.outcome = { error }));
  };
  for (const one of steps) {
    if (one.do === "abort") signals[one.signal]!.abort(`signal ${one.signal}`);
    else if (one.do === "answer") for (const answer of pending.splice(0, one.count)) answer((failed ||= one.failing, one.failing));
    else if (one.do === "pause") await settle().then(() => setting.clock.advance(one.ms));
    else call(one);
  }
  for (let round = 0; pending.length > 0 || round < 3; round += 1) {
    setting.clock.advance(1_000);
    await settle();
    for (const answer of pending.splice(0)) answer(false);
    await settle();
  }
  return { callers, failed, ...setting };
}

it("whatever comes, each caller gets the vectors of its own texts in order, its own abort or its own failure, and no request is larger than it may be", async () => {
  const limits = fc.record({ maxBatchSize: fc.integer({ min: 1, max: 9 }), maxBatchTokens: fc.integer({ min: 5, max: 60 }) });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 40 }), limits, async (steps, { maxBatchSize, maxBatchTokens }) => {
      const { callers, asked, failed, batch, clock } = await play(steps, { maxBatchSize, maxBatchTokens });
      for (const { texts, isBad, abort, outcome } of callers) {
        expect(outcome).toBeDefined();
        if ("vectors" in outcome!) {
          expect(isBad).toBe(false);
          expect(outcome.vectors).toEqual(texts.map(vectorOf));
        } else {
          const own: unknown[] = [...(isBad ? [REFUSED] : []), ...(failed ? [FAILED] : []), ...(abort?.signal.aborted ? [abort.signal.reason] : [])];
          expect(own).toContain(outcome!.error);
        }
      }
      for (const { texts } of asked) {
        expect(texts.length).toBeLessThanOrEqual(maxBatchSize);
        if (texts.length > 1) expect(texts.reduce((sum, text) => sum + text.length / 3, 0)).toBeLessThanOrEqual(maxBatchTokens + 1e-9);
      }
      const requests = asked.flatMap(({ texts }) => texts);
      if (!callers.some(({ isBad }) => isBad)) expect(new Set(requests).size).toBe(requests.length);
      expect(batch.isIdle).toBe(true);
      expect(clock.waiting).toBe(0);
    }),
    { seed: SEED, numRuns: 300 },
  );
});
