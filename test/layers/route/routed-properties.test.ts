import fc from "fast-check";
import { afterAll, beforeAll, expect, it } from "vitest";
import { Unfit } from "../../../src/core/layer.ts";
import { seededRandom } from "../../../src/testing/random.ts";
import { failure, NOTHING, unreachable, World, type Asking, type Caller, type Scripted, type WorldOptions } from "./support/route-world.ts";
import type { Attempted, Part, Step } from "./support/scripted-kind.ts";

const unhandled: unknown[] = [];
const hear = (error: unknown): void => void unhandled.push(error);
beforeAll(() => void process.on("unhandledRejection", hear));
afterAll(() => void process.off("unhandledRejection", hear));

const SEED = 20_261_129;
const IDS = ["a", "b", "c"] as const;

const ms = fc.constantFrom(0, 1, 7, 40, 60, 300);
const error = fc.constantFrom<() => Error>(
  () => failure(400), () => failure(401), () => failure(429), () => failure(429, "slow down", { retryAfterMs: 80 }), () => failure(429, "come back tomorrow", { retryAfterMs: 1e8 }),
  () => failure(500), () => failure(503), () => failure(400, "maximum context length"), () => failure(400, "content_filter"), unreachable, () => new TypeError("no function"), () => new Error("?"),
);
const before: fc.Arbitrary<readonly Step[]> = fc.array(fc.oneof<fc.Arbitrary<Step>[]>(ms, fc.constant("empty"), fc.constant({ status: 200 })), { maxLength: 3 });
const content: fc.Arbitrary<readonly Step[]> = fc.array(fc.oneof<fc.Arbitrary<Step>[]>(ms, fc.constant("part")), { maxLength: 5 });
const end: fc.Arbitrary<readonly Step[]> = fc.oneof(
  { weight: 6, arbitrary: fc.constant<readonly Step[]>(["stop"]) },
  { weight: 4, arbitrary: error.map((made): readonly Step[] => [made()]) },
  fc.constant<readonly Step[]>([]), fc.constant<readonly Step[]>([{ told: failure(500), maxRetries: 2 }, "stop"]), fc.constant<readonly Step[]>(["filtered"]), fc.constant<readonly Step[]>(["silence"]),
);
const attempted: fc.Arbitrary<Attempted> = fc.record({
  steps: fc.tuple(before, content, end).map((steps) => steps.flat()),
  queueMs: fc.oneof({ weight: 5, arbitrary: fc.constant(0) }, ms),
  isDeaf: fc.boolean(),
});
const deployment: fc.Arbitrary<Scripted> = fc.record({
  attempts: fc.array(attempted, { minLength: 1, maxLength: 4 }),
  contextWindow: fc.constantFrom(undefined, 1_000, 2_000),
  priority: fc.nat(1),
});
const some = <T>(arbitrary: fc.Arbitrary<T>, otherwise: T): fc.Arbitrary<T> => fc.oneof(arbitrary, fc.constant(otherwise));
const options: fc.Arbitrary<WorldOptions> = fc.record({
  rules: fc.record({
    totalMs: some(fc.constantFrom(30, 100, 2_000), Infinity),
    onInterrupt: fc.constantFrom("error" as const, "hold" as const),
    circuit: some(fc.constant({ failureRate: 0.5, minCalls: 2, windowMs: 1_000, openMs: 200, halfOpenProbes: 1 }), undefined),
    hedge: some(fc.constant({ afterMs: 20, budget: 1 }), undefined),
    contentFilter: fc.subarray(["a", "b"]),
    contextWindow: some(fc.subarray(["b", "a"]), undefined),
    cascade: some(fc.boolean().map((isGood) => ({ first: "a", accept: () => Promise.resolve(isGood) })), undefined),
  }),
  retry: fc.record({ maxRetries: fc.nat(6), baseDelayMs: fc.constant(10), maxDelayMs: fc.constantFrom(10, 100, 1_000), budget: fc.constantFrom(0, 1) }),
  // Somebody has patience for no more than this, or what is silent is waited for as long as anybody likes.
  patience: fc.record({ attemptMs: some(fc.constant(200), 500), firstTokenMs: some(fc.constant(50), Infinity), stallMs: some(fc.constant(50), Infinity) }),
  isLimited: fc.boolean(),
});
interface Played extends Omit<Asking, "signal"> {
  readonly afterMs: number;
  readonly abortAfterMs: number | undefined;
}
const asking: fc.Arbitrary<Played> = fc.record({
  mode: fc.constantFrom("invoke" as const, "stream" as const),
  question: fc.record({ hasSideEffects: fc.boolean(), isWhole: fc.boolean() }),
  control: fc.constantFrom({}, {}, { deployment: "a" }),
  pauseMs: fc.constantFrom(0, 5),
  afterMs: fc.nat(100),
  abortAfterMs: fc.option(fc.nat(150), { nil: undefined, freq: 3 }),
});

/** One deployment's answer, all of it and in order. */
function isWhole(parts: readonly Part[]): boolean {
  const numbers = parts.flatMap((part) => part.numbers);
  const isOne = new Set(parts.map(({ from, request }) => `${from} ${request}`)).size === 1;
  return isOne && numbers.every((number, at) => number === at) && parts.at(-1)?.reason !== undefined;
}

function played(world: World, { abortAfterMs, afterMs: _afterMs, ...rest }: Played): Caller {
  const abort = new AbortController();
  if (abortAfterMs !== undefined) world.time.after(abortAfterMs, () => abort.abort(new Error("gone")));
  return world.ask({ ...rest, ...(abortAfterMs === undefined ? {} : { signal: abort.signal }) });
}

it("whatever deployments do, every call ends, with the whole answer of exactly one of them or an error, and nothing of it is left", { timeout: 120_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(fc.tuple(deployment, deployment, deployment), options, fc.array(asking, { minLength: 1, maxLength: 5 }), fc.nat(), async (scripts, rules, calls, seed) => {
      const world = new World(Object.fromEntries(IDS.map((id, at) => [id, scripts[at]!])), { ...rules, random: seededRandom(seed) });
      const callers: Caller[] = [];
      for (const call of calls) {
        await world.time.pass(call.afterMs);
        callers.push(played(world, call));
      }
      expect(await world.time.passAll()).toBe(true);
      for (const [at, caller] of callers.entries()) {
        expect(caller.outcome).not.toBe("waits");
        if (caller.error === undefined) {
          expect(isWhole(caller.parts)).toBe(true);
          expect(caller.facts.deployment).toBe(caller.parts[0]!.from);
        }
        const { attempts } = caller.facts;
        expect(attempts.map(({ attempt }) => attempt)).toEqual(attempts.map((_, before) => before + 1));
        const answered = attempts.filter((attempt) => attempt.error === undefined);
        if (caller.error === undefined && answered.length > 0) expect(answered.map((attempt) => attempt.deployment)).toEqual([caller.facts.deployment]);
        const { abortAfterMs } = calls[at]!;
        if (abortAfterMs === undefined) expect(String(caller.error)).not.toContain("AbortError");
      }
      expect(world.leftOver).toEqual(NOTHING);
      expect(unhandled.splice(0)).toEqual([]);
    }),
    { seed: SEED, numRuns: 1_500 },
  );
});

it("no call lasts longer than its deadline, however its answer is read", { timeout: 60_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(fc.tuple(deployment, deployment, deployment), options, asking, fc.integer({ min: 1, max: 400 }), async (scripts, rules, call, deadlineAt) => {
      const world = new World(Object.fromEntries(IDS.map((id, at) => [id, scripts[at]!])), rules);
      const caller = world.ask({ ...call, pauseMs: 0, control: { ...call.control, deadlineAt } });
      await world.time.passAll();
      expect(caller.endedAt).toBeLessThanOrEqual(deadlineAt);
      for (const { at } of world.requests) expect(at).toBeLessThanOrEqual(deadlineAt);
    }),
    { seed: SEED, numRuns: 1_000 },
  );
});

const helpless: fc.Arbitrary<Attempted> = fc.record({
  steps: fc.tuple(before, fc.constantFrom<readonly Step[]>(
    [], [failure(401)], [failure(429, "slow down", { retryAfterMs: 1e8 })], [failure(500)], [failure(503)], [unreachable()], [new Error("?")], ["silence"],
  )).map((steps) => steps.flat()),
});
const able: fc.Arbitrary<Attempted> = fc.record({ steps: fc.tuple(fc.constantFrom<Step>(0, 10, 40), fc.constantFrom<readonly Step[]>(["part", 30, "stop"], ["stop"], ["part", "part", 49, "part", "stop"])).map((steps) => steps.flat()) });

/**
 * What is promised: there is an answer if there is one deployment that is fit, can be asked, and answers within the patience, and if the others fail of nothing that is the
 * question's own (400), of its length or of a filter; if there are as many retries as deployments and failures that are tried twice (500), the budget has them, and the deadline
 * the time; and if no part was given before a failure.
 */
it("there is an answer whenever one deployment would give it at its first attempt, wherever it stands", { timeout: 60_000 }, async () => {
  const worlds = fc.record({
    failing: fc.array(fc.array(helpless, { minLength: 1, maxLength: 2 }), { maxLength: 3 }),
    unfit: fc.boolean(),
    answer: able,
    place: fc.nat(3),
    priority: fc.nat(2),
    hedge: some(fc.constant({ afterMs: 20, budget: 1 }), undefined),
    mode: fc.constantFrom("invoke" as const, "stream" as const),
  });
  await fc.assert(
    fc.asyncProperty(worlds, async ({ failing, unfit, answer, place, priority, hedge, mode }) => {
      const scripts: Scripted[] = failing.map((attempts) => ({ attempts, priority: 1 }));
      if (unfit) scripts.push({ attempts: [answer], unfit: new Unfit("cannot take it").reason });
      scripts.splice(place, 0, { attempts: [answer], priority });
      const world = new World(Object.fromEntries(scripts.map((script, at) => [`deployment ${at}`, script])), {
        rules: { hedge }, retry: { maxRetries: 2 * failing.length }, patience: { firstTokenMs: 50, stallMs: 50 },
      });
      const caller = await world.answer({ mode });
      expect([caller.error, isWhole(caller.parts), world.leftOver]).toEqual([undefined, true, NOTHING]);
    }),
    { seed: SEED, numRuns: 1_000 },
  );
});
