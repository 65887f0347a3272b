import { afterEach, beforeAll, afterAll, describe, expect, it } from "vitest";
import { CircuitOpenError, DeadlineError, NoDeploymentError, StreamInterruptedError } from "../../../src/core/errors.ts";
import { answers, failure, NOTHING, unreachable, World, type Asking, type WorldOptions } from "./support/route-world.ts";
import type { Step } from "./support/scripted-kind.ts";

const unhandled: unknown[] = [];
const hear = (error: unknown): void => void unhandled.push(error);
beforeAll(() => void process.on("unhandledRejection", hear));
afterAll(() => void process.off("unhandledRejection", hear));
afterEach(() => expect(unhandled.splice(0)).toEqual([]));

const late = (): readonly Step[] => ["silence"];
const MODES = ["invoke", "stream"] as const;

describe("after a failure", () => {
  const cases: { what: string; steps: readonly Step[]; attempts: string[]; options?: WorldOptions }[] = [
    { what: "a 500", steps: [5, failure(500)], attempts: ["a server", "a server", "b"] },
    { what: "a 429", steps: [5, failure(429)], attempts: ["a rate-limited", "b"] },
    { what: "a 429 for want of money", steps: [5, failure(429, "You exceeded your current quota", { code: "insufficient_quota" })], attempts: ["a quota", "b"] },
    { what: "a 401", steps: [5, failure(401)], attempts: ["a auth", "b"] },
    { what: "a 404", steps: [5, failure(404)], attempts: ["a not-found", "b"] },
    { what: "a 503", steps: [5, failure(503)], attempts: ["a overloaded", "b"] },
    { what: "a 529", steps: [5, failure(529)], attempts: ["a overloaded", "b"] },
    { what: "a connection that is refused", steps: [5, unreachable()], attempts: ["a network", "b"] },
    { what: "silence", steps: late(), attempts: ["a timeout", "b"], options: { patience: { firstTokenMs: 50 } } },
    { what: "an answer that is empty", steps: [5], attempts: ["a interrupted", "b"] },
    { what: "an answer without content that is not ended", steps: [5, "empty"], attempts: ["a interrupted", "b"] },
    { what: "a connection lost before any content", steps: [5, "empty", unreachable()], attempts: ["a interrupted", "b"], options: { patience: { stallMs: 1_000 } } },
    { what: "a program's error", steps: [5, new RangeError("Invalid array length")], attempts: ["a program", "b"] },
    { what: "anything else", steps: [5, new Error("what is this?")], attempts: ["a unknown", "b"] },
  ];

  describe.each(MODES)("%s", (mode) => {
    it.each(cases)("of $what another deployment answers", async ({ steps, attempts, options }) => {
      const world = new World({ a: [steps], b: [answers()] }, options);
      const caller = await world.answer({ mode });
      expect([caller.outcome, caller.attempts]).toEqual(["b", attempts]);
      expect(caller.facts.attempts.map(({ attempt }) => attempt)).toEqual(attempts.map((_, at) => at + 1));
      expect(caller.facts).toMatchObject({ deployment: "b", model: "model of b", requestedModel: "asked" });
      expect(world.leftOver).toEqual(NOTHING);
    });

    it.each(cases.filter(({ what }) => what !== "a 500"))("of $what another is asked in the same instant", async ({ steps, options }) => {
      const world = new World({ a: [steps], b: [answers()] }, options);
      await world.answer({ mode });
      expect(world.requests.map(({ id }) => id)).toEqual(["a", "b"]);
      expect(world.requests[1]!.at).toBe(options?.patience?.firstTokenMs ?? 5);
    });

    it.each([failure(400), failure(422), failure(413)])("that is the question's own ($message) the call ends with the error itself", async (error) => {
      const world = new World({ a: [[5, error]], b: [answers()] });
      const caller = await world.answer({ mode });
      expect(caller.error).toBe(error);
      expect([caller.endedAt, caller.attempts, world.leftOver]).toEqual([5, ["a refused"], NOTHING]);
    });
  });

  it("in the middle of an answer that is wanted whole, another gives the whole of it", async () => {
    const world = new World({ a: [[5, "part", 5, unreachable()]], b: [answers()] }, { patience: { stallMs: 1_000 } });
    const caller = await world.answer();
    expect(caller.attempts).toEqual(["a interrupted", "b"]);
    expect(caller.parts).toEqual([{ from: "b", request: 1, numbers: [0, 1], reason: "stop" }]);
  });

  it.each([[unreachable()], [] as Step[]])("in the middle of a stream, the reader is told what it has (%#)", async (...end) => {
    const world = new World({ a: [[5, "part", "part", 5, ...end]], b: [answers()] });
    const caller = await world.answer({ mode: "stream" });
    expect(caller.error).toBeInstanceOf(StreamInterruptedError);
    expect(caller.error).toMatchObject({ partsDelivered: 2, partial: { from: "a", numbers: [0, 1] } });
    expect((caller.error as Error).cause).toBe(end[0]);
    expect([caller.attempts, world.leftOver]).toEqual([["a interrupted"], NOTHING]);
  });

  it("in the middle of a stream that is held back, another gives the whole of it", async () => {
    const world = new World({ a: [[5, "part", 5]], b: [answers()] }, { rules: { onInterrupt: "hold" } });
    const caller = await world.answer({ mode: "stream" });
    expect([caller.outcome, caller.parts.map(({ numbers }) => numbers), caller.partsAt]).toEqual(["b", [[0], [1]], [30, 30]]);
    expect(world.leftOver).toEqual(NOTHING);
  });

  it("a deployment is disabled that is of no use, and the next call asks another first", async () => {
    const world = new World({ a: [[5, failure(401)]], b: [answers()] });
    await world.answer();
    expect(world.disabled).toEqual(["a auth"]);
    expect((await world.answer()).attempts).toEqual(["b"]);
  });

  it("the deployments are asked again in turn, those that were silent never", async () => {
    const world = new World({ a: [late(), answers()], b: [[5, failure(503)], [5, failure(503)], answers()] }, { patience: { attemptMs: 50 } });
    const caller = await world.answer();
    expect(caller.attempts).toEqual(["a timeout", "b overloaded", "b overloaded", "b"]);
  });

  it("of all, the call's error says what each failed of", async () => {
    const [first, second] = [failure(503), failure(401)];
    const world = new World({ a: [[failure(500), 1], [first]], b: [[second]] }, { retry: { maxRetries: 2 } });
    const caller = await world.answer();
    expect(caller.error).toBeInstanceOf(NoDeploymentError);
    expect((caller.error as NoDeploymentError).errors).toEqual([{ deployment: "a", error: first }, { deployment: "b", error: second }]);
  });
});

describe("a pause before the next attempt", () => {
  it.each(Array.from({ length: 20 }, (_, seed) => seed + 1))("is drawn from the shortest one to three times the last, and no longer than the longest (%i)", async (seed) => {
    let state = seed * 0.05;
    const world = new World({ a: [[failure(503)]] }, { random: () => (state = (state * 7.31) % 1), retry: { maxRetries: 8, maxDelayMs: 1_000, budget: 1 } });
    await world.answer();
    expect(world.requests).toHaveLength(9);
    const pauses = world.requests.slice(1).map(({ at }, before) => at - world.requests[before]!.at);
    for (const [at, pause] of pauses.entries()) {
      expect(pause).toBeGreaterThanOrEqual(100);
      expect(pause).toBeLessThanOrEqual(Math.min(1_000, 3 * (at === 0 ? 100 : pauses[at - 1]!)) + 1e-9);
    }
  });

  it("reaches its bounds", async () => {
    const least = new World({ a: [[failure(503)]] }, { random: () => 0, retry: { maxRetries: 3 } });
    await least.answer();
    expect(least.requests.map(({ at }) => at)).toEqual([0, 100, 200, 300]);
    const most = new World({ a: [[failure(503)]] }, { random: () => 1 - Number.EPSILON, retry: { maxRetries: 4, maxDelayMs: 2_000 } });
    await most.answer();
    expect(most.requests.map(({ at }) => Math.round(at))).toEqual([0, 300, 1_200, 3_200, 5_200]);
  });

  it("comes before the same deployment is asked again after a 500, too", async () => {
    const world = new World({ a: [[failure(500)], answers()], b: [answers()] }, { random: () => 0.5 });
    const caller = await world.answer();
    expect([caller.attempts, world.requests[1]]).toEqual([["a server", "a"], { id: "a", at: 200 }]);
  });

  it.each([50, 700, 29_999])("is what the provider asked for, exactly: %i ms", async (retryAfterMs) => {
    const world = new World({ a: [[5, failure(429, "slow down", { retryAfterMs })], answers()] });
    const caller = await world.answer();
    expect([caller.outcome, world.requests[1]]).toEqual(["a", { id: "a", at: 5 + retryAfterMs }]);
    expect(caller.facts.attempts[0]).toMatchObject({ status: 429, retryAfterMs });
  });

  it("is what the provider asked for where nobody spoke of deployments, too", async () => {
    const world = new World({ a: [[5, failure(429, "slow down", { retryAfterMs: 700 })], answers()] }, { isImplicit: true });
    await world.answer();
    expect(world.requests[1]).toEqual({ id: "a", at: 705 });
  });

  it.each([false, true])("is not made where the provider asks for more patience than there may be (implicit: %s)", async (isImplicit) => {
    const error = failure(429, "slow down", { retryAfterMs: 30_001 });
    const world = new World({ a: [[5, error], answers()] }, { isImplicit });
    const caller = await world.answer();
    expect([caller.error, caller.endedAt, world.requests.length]).toEqual([error, 5, 1]);
  });

  it("is the other's own where one of two has asked for patience", async () => {
    const world = new World({ a: [[5, unreachable()], answers()], b: [[5, failure(429, "slow down", { retryAfterMs: 20_000 })]] }, { random: () => 0 });
    const caller = await world.answer();
    expect([caller.attempts, world.requests.at(-1)]).toEqual([["a network", "b rate-limited", "a"], { id: "a", at: 110 }]);
  });

  it("is not begun without an end", async () => {
    const circuit = { failureRate: 0.5, minCalls: 1, windowMs: 10_000, openMs: 5_000, halfOpenProbes: 1 };
    const world = new World({ a: [[5, failure(503)]], b: [[5, failure(503)]] }, { rules: { circuit }, retry: { maxDelayMs: Infinity } });
    const caller = await world.answer();
    expect([caller.endedAt, world.leftOver]).toEqual([10, NOTHING]);
  });

  it("lets those go first that have not asked for patience, for as long as they did", async () => {
    const world = new World({ a: [[5, failure(429, "slow down", { retryAfterMs: 1_000 })], answers()], b: [answers(), answers()] });
    await world.answer();
    await world.time.pass(980 - world.time.elapsed());
    expect((await world.answer()).outcome).toBe("b");
    await world.time.pass(1_005 - world.time.elapsed());
    expect((await world.answer()).outcome).toBe("a");
  });
});

describe("retries", () => {
  it.each([0, 1, 4])("are never more than maxRetries: %i", async (maxRetries) => {
    const world = new World({ a: [[failure(503)]], b: [[failure(500)]] }, { retry: { maxRetries } });
    await world.answer();
    expect(world.requests).toHaveLength(1 + maxRetries);
  });

  it("are none with `retry: false`, and the failure is the model's own", async () => {
    const error = failure(503);
    const world = new World({ a: [[5, error]], b: [answers()] }, { retry: { maxRetries: 0 } });
    const caller = await world.answer();
    expect([caller.error, caller.endedAt]).toEqual([error, 5]);
  });

  it.each([{ error: failure(400), isWorth: true, attempts: ["a refused", "b"] }, { error: failure(503), isWorth: false, attempts: ["a overloaded"] }])(
    "are made where `retry.on` says so: $attempts",
    async ({ error, isWorth, attempts }) => {
      const judged: unknown[] = [];
      const on = (failed: unknown): boolean => (judged.push(failed), isWorth);
      const world = new World({ a: [[error]], b: [answers()] }, { retry: { on } });
      expect((await world.answer()).attempts).toEqual(attempts);
      expect(new Set(judged)).toEqual(new Set([error]));
    },
  );

  it("are made at one that was refused where `retry.on` says so, and never at one that was silent", async () => {
    const world = new World({ a: [late()], b: [[5, failure(400)], answers()] }, { retry: { on: () => true }, patience: { attemptMs: 50 } });
    expect((await world.answer()).attempts).toEqual(["a timeout", "b refused", "b"]);
  });

  it("go by the kind of the error where `retry.on` has no judgement", async () => {
    const world = new World({ a: [[failure(503)]], b: [[failure(400)]] }, { retry: { on: () => undefined } });
    expect((await world.answer()).attempts).toEqual(["a overloaded", "b refused"]);
  });

  const circuit = { failureRate: 0.5, minCalls: 5, windowMs: 10_000, openMs: 5_000, halfOpenProbes: 1 };

  it.each([undefined, circuit])("do not storm: in a total outage a thousand calls make at most 1.2 requests each, and thirty (circuit: %o)", async (chosen) => {
    const world = new World({ a: [[5, failure(503)]], b: [[5, unreachable()]] }, { rules: { circuit: chosen }, retry: { maxRetries: 5, budget: 0.2 } });
    const callers = [];
    for (let call = 0; call < 1_000; call += 1) {
      callers.push(world.ask());
      await world.time.pass(9);
    }
    await world.time.passAll();
    expect(callers.every(({ error }) => error !== undefined)).toBe(true);
    expect(world.requests.length).toBeLessThanOrEqual(1_000 * 1.2 + 30);
    if (!chosen) expect(world.requests.length).toBeGreaterThan(1_000);
    expect(world.leftOver).toEqual(NOTHING);
  });

  it("are not kept by an empty budget from a deployment that is well", async () => {
    const world = new World({ a: [[5, failure(503)]], b: [answers()] }, { rules: { circuit: { ...circuit, failureRate: 1, minCalls: 1_000 } }, retry: { maxRetries: 2, budget: 0 } });
    for (let call = 0; call < 200; call += 1) expect((await world.answer()).outcome).toBe("b");
  });

  it("are made as often as the object would make them where nobody asked for any", async () => {
    const told = (maxRetries: number): readonly Step[] => [{ told: failure(503), maxRetries }, failure(503)];
    const world = new World({ a: [told(2)] }, { isImplicit: true, retry: { maxRetries: undefined, budget: Infinity } });
    await world.answer();
    expect(world.requests).toHaveLength(3);
    const deaf = new World({ a: [[failure(503)]] }, { isImplicit: true, retry: { maxRetries: undefined, budget: Infinity } });
    await deaf.answer();
    expect(deaf.requests).toHaveLength(1);
  });
});

describe("a call's deadline", () => {
  const within = (deadlineAt: number): Asking => ({ control: { deadlineAt } });

  it.each([
    { what: "another attempt at the same", deployments: { a: [[5, failure(500)], answers()] } },
    { what: "the same again", deployments: { a: [[5, failure(503)], answers()] } },
    { what: "a provider's patience", deployments: { a: [[5, failure(429, "slow down", { retryAfterMs: 100 })], answers()] } },
  ])("ends it at once where the pause for $what would end after it", async ({ deployments }) => {
    const world = new World(deployments, { random: () => 0 });
    const caller = await world.answer(within(105));
    expect([caller.endedAt, world.requests.length, world.leftOver]).toEqual([5, 1, NOTHING]);
    const longer = new World({ a: [deployments.a[0]!, answers(0)] }, { random: () => 0 });
    expect((await longer.answer(within(106))).outcome).toBe("a");
  });

  it("sends it to another at once where the pause after a 500 would end after it", async () => {
    const world = new World({ a: [[5, failure(500)]], b: [answers()] });
    const caller = await world.answer(within(100));
    expect([caller.outcome, caller.attempts, caller.endedAt]).toEqual(["b", ["a server", "b"], 25]);
  });

  it("breaks off an answer that is not whole by then", async () => {
    const world = new World({ a: [[5, "part", 200, "stop"]], b: [answers()] });
    const caller = await world.answer(within(100));
    expect(caller.error).toBeInstanceOf(DeadlineError);
    expect([caller.endedAt, caller.attempts, world.leftOver]).toEqual([100, ["a timeout"], NOTHING]);
  });

  it("is the earlier of its own and `timeouts.totalMs`", async () => {
    const world = new World({ a: [late()] }, { rules: { totalMs: 80 } });
    expect((await world.answer(within(100))).endedAt).toBe(80);
    expect((await world.answer(within(100))).endedAt).toBe(100);
  });

  it("that has passed makes no request", async () => {
    const world = new World({ a: [answers()] });
    const caller = await world.answer(within(0));
    expect(caller.error).toBeInstanceOf(DeadlineError);
    expect([caller.endedAt, world.requests]).toEqual([0, []]);
  });
});

describe("who may be asked", () => {
  const circuit = { failureRate: 0.5, minCalls: 2, windowMs: 10_000, openMs: 1_000, halfOpenProbes: 1 };

  it("are those that can take the question", async () => {
    const world = new World({ a: { attempts: [answers()], unfit: "cannot take tools" }, b: [answers()] });
    expect((await world.answer()).attempts).toEqual(["b"]);
    expect(world.find("a").lastUnfit).toBe("cannot take tools");
  });

  it("is nobody where none can, and the error says why", async () => {
    const world = new World({ a: { attempts: [answers()], unfit: "cannot take tools" }, b: { attempts: [answers()], unfit: "is too small" } });
    const { error } = await world.answer();
    expect(error).toBeInstanceOf(NoDeploymentError);
    expect(error).toMatchObject({ retryable: false, message: 'No deployment gave an answer. "a": not asked, it cannot take tools; "b": not asked, it is too small' });
  });

  it("is nobody while all circuits are open, and the error says for how long", async () => {
    const world = new World({ a: [[5, failure(503)]], b: [[5, failure(503)]] }, { rules: { circuit } });
    for (let call = 0; call < 2; call += 1) await world.answer();
    const { error } = await world.answer();
    expect(error).toMatchObject({ retryable: true, message: expect.stringMatching(/^No deployment gave an answer\. "a": not asked for the next \d+ ms, too many .*; "b": not asked for the next \d+ ms, too many/) });
    expect(world.find("b").lastError).toMatch(/^overloaded: /);
  });

  it("is the deployment that the call wishes for, alone", async () => {
    const world = new World({ a: [answers()], b: [[5, failure(503)], answers()] });
    const caller = await world.answer({ control: { deployment: "b" } });
    expect(caller.attempts).toEqual(["b overloaded", "b"]);
    expect(() => world.ask({ control: { deployment: "c" } })).toThrow('Option "configurable.perf.deployment": wanted one of "a", "b", got "c".');
  });

  it("is nobody while the only one's circuit is open, and then one call that tries", async () => {
    const world = new World({ a: [[5, failure(400)], [5, failure(503)], answers()] }, { rules: { circuit }, retry: { maxRetries: 0 } });
    for (const _ of [1, 2]) await world.answer();
    expect(world.circuits).toEqual(["a: closed to open at 10"]);
    const refused = await world.answer();
    expect(refused.error).toBeInstanceOf(CircuitOpenError);
    expect([refused.error, refused.endedAt]).toMatchObject([{ deployment: "a", retryAfterMs: 1_000 }, 10]);
    await world.time.pass(1_000);
    const [trying, other] = [world.ask(), world.ask()];
    await world.time.passAll();
    expect([trying.outcome, other.error]).toEqual(["a", expect.any(CircuitOpenError)]);
    expect(world.circuits.slice(1)).toEqual(["a: open to half-open at 1010", "a: half-open to closed at 1030"]);
  });

  it("has others where limits would make the request wait: they are asked instead", async () => {
    const refused = Object.assign(new DeadlineError("no permit"), {});
    const world = new World({ a: [{ refused, steps: [] }], b: [answers()] }, { isLimited: true });
    const caller = await world.answer();
    expect([caller.outcome, caller.attempts, world.leftOver]).toEqual(["b", ["b"], NOTHING]);
  });

  it("is nobody where the limits of all refuse a call that would have waited: the limit's own error", async () => {
    const refused = new DeadlineError("no permit");
    const world = new World({ a: [{ refused, steps: [] }], b: [{ refused, steps: [] }] }, { isLimited: true });
    const caller = await world.answer();
    expect([caller.error, caller.attempts, world.leftOver]).toEqual([refused, [], NOTHING]);
  });

  it("is nobody where a request is refused before it is made though there are no limits", async () => {
    const refused = new DeadlineError("refused");
    const world = new World({ a: [{ refused, steps: [] }, { refused, steps: [] }, answers()] });
    expect((await world.answer()).error).toBe(refused);
  });
});
