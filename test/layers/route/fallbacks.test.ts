import { describe, expect, it } from "vitest";
import { NoDeploymentError } from "../../../src/core/errors.ts";
import { answers, failure, NOTHING, unreachable, World } from "./support/route-world.ts";
import type { Step } from "./support/scripted-kind.ts";

const tooLong = failure(400, "This model's maximum context length is 4096 tokens", { code: "context_length_exceeded" });
const filtered = failure(400, "The response was filtered", { code: "content_filter" });
const MODES = ["invoke", "stream"] as const;

describe.each(MODES)("a prompt that is too long for a deployment: %s", (mode) => {
  it("goes at once to those with larger windows, and to them alone, without counting as a retry", async () => {
    const world = new World(
      { small: { attempts: [[5, tooLong]], contextWindow: 4_096 }, smaller: { attempts: [answers()], contextWindow: 2_048 }, unknown: [answers()], large: { attempts: [answers()], contextWindow: 128_000 } },
      { retry: { maxRetries: 0, budget: 0 } },
    );
    const caller = await world.answer({ mode });
    expect([caller.attempts, world.requests[1]]).toEqual([["small context-length", "large"], { id: "large", at: 5 }]);
  });

  it("goes to those that the user names, in this order", async () => {
    const rules = { contextWindow: ["c", "b"] };
    const world = new World({ a: [[5, tooLong]], b: [answers()], c: [[5, unreachable()], answers()] }, { rules });
    expect((await world.answer({ mode })).attempts).toEqual(["a context-length", "c network", "b"]);
  });

  it("stays the error that it was where nobody has a larger window", async () => {
    const world = new World({ a: { attempts: [[5, tooLong]], contextWindow: 4_096 }, b: { attempts: [answers()], contextWindow: 4_096 } });
    const caller = await world.answer({ mode });
    expect([caller.error, caller.attempts, world.leftOver]).toEqual([tooLong, ["a context-length"], NOTHING]);
  });

  it("goes there even where `retry.on` wants no other attempt at it", async () => {
    const world = new World({ a: [[5, tooLong]], b: { attempts: [answers()], contextWindow: 9_000 } }, { retry: { on: (error) => (error as { status?: number }).status === 503 } });
    expect((await world.answer({ mode })).attempts).toEqual(["a context-length", "b"]);
  });

  it("moves on from one that is too small as well", async () => {
    const world = new World({ a: { attempts: [[5, tooLong]], contextWindow: 1 }, b: { attempts: [[5, tooLong]], contextWindow: 2 }, c: { attempts: [answers()], contextWindow: 3 } });
    expect((await world.answer({ mode })).attempts).toEqual(["a context-length", "b context-length", "c"]);
  });
});

describe.each(MODES)("a question that is filtered: %s", (mode) => {
  // What a stream has given cannot be taken back: an answer's end is known before its beginning only where it is held.
  const onInterrupt = mode === "stream" ? "hold" : "error";

  it.each([{ what: "a refusal", steps: [5, filtered] }, { what: "an answer", steps: [5, "filtered"] }] satisfies { what: string; steps: readonly Step[] }[])(
    "goes to those that the user names: $what",
    async ({ steps }) => {
      const world = new World({ a: [steps], b: [answers()], c: [answers()] }, { rules: { onInterrupt, contentFilter: ["c"] }, retry: { maxRetries: 0 } });
      const caller = await world.answer({ mode });
      expect([caller.outcome, caller.attempts, world.leftOver]).toEqual(["c", ["a content-filter", "c"], NOTHING]);
    },
  );

  it("stays as it is where the user names nobody", async () => {
    const refused = new World({ a: [[5, filtered]], b: [answers()] });
    expect((await refused.answer({ mode })).error).toBe(filtered);
    const given = new World({ a: [[5, "filtered"]], b: [answers()] });
    expect((await given.answer({ mode })).attempts).toEqual(["a"]);
  });

  it("has the filtered answer where the others fail: that is better than an error", async () => {
    const world = new World({ a: [[5, "filtered"]], b: [[5, failure(400)]] }, { rules: { onInterrupt, contentFilter: ["b"] } });
    const caller = await world.answer({ mode });
    expect([caller.parts, caller.attempts, world.leftOver]).toEqual([[{ from: "a", request: 1, numbers: [0], reason: "filtered" }], ["a content-filter", "b refused"], NOTHING]);
    expect(caller.facts.deployment).toBe("a");
  });
});

describe("a failure that the object swallows", () => {
  it("is a failure, and what it gave for an answer is better than none", async () => {
    const told = { told: failure(500), maxRetries: 6 };
    const world = new World({ a: [[5, told, "stop"]], b: [[5, failure(503)]] }, { retry: { maxRetries: 2 } });
    const caller = await world.answer();
    expect([caller.outcome, caller.attempts]).toEqual(["a", ["a server", "a server", "b overloaded"]]);
  });
});

describe("an answer that was cut", () => {
  it("is never better than none, whatever the object told of itself before", async () => {
    const told = { told: failure(500), maxRetries: 6 };
    const world = new World({ a: [[5, told, "part"]], b: [[5, failure(503)]] }, { retry: { maxRetries: 1 }, patience: { stallMs: 100 } });
    const caller = await world.answer();
    expect([caller.error, caller.attempts]).toEqual([expect.any(NoDeploymentError), ["a interrupted", "b overloaded"]]);
  });
});

describe.each(MODES)("a cascade: %s", (mode) => {
  const judged: unknown[] = [];
  const cascade = (isGood: boolean) => ({ cascade: { first: "small", accept: (answer: unknown) => (judged.push(answer), Promise.resolve(isGood)) } });

  it("asks the small one first, though it is not the strategy's choice, and gives its whole answer where that is accepted", async () => {
    const world = new World({ large: [answers()], small: [answers()] }, { rules: cascade(true) });
    const caller = await world.answer({ mode });
    expect([caller.attempts, caller.endedAt, world.leftOver]).toEqual([["small"], 20, NOTHING]);
    expect(judged.splice(0)).toEqual([{ from: "small", request: 1, numbers: [0, 1], reason: "stop" }]);
  });

  it.each([{ maxRetries: 9, budget: 1 }, { maxRetries: 0, budget: 0 }, { maxRetries: 9, on: () => false }])("asks a large one where it is not, which is no retry: %o", async (retry) => {
    const world = new World({ small: [answers()], large: [answers()] }, { rules: cascade(false), retry });
    for (let call = 0; call < 50; call += 1) expect((await world.answer({ mode })).attempts).toEqual(["small not-accepted", "large"]);
    expect([world.find("small").errorRate, world.leftOver]).toEqual([0, NOTHING]);
  });

  it("has the large one's tries left where the small one was refused", async () => {
    const world = new World({ small: [answers()], large: [[5, failure(503)], answers()] }, { rules: cascade(false), retry: { maxRetries: 1 } });
    expect((await world.answer({ mode })).attempts).toEqual(["small not-accepted", "large overloaded", "large"]);
  });

  it("asks a large one where the small one fails, or is not to be asked", async () => {
    const world = new World({ small: [[5, failure(401)], answers()], large: [answers()] }, { rules: cascade(true) });
    expect((await world.answer({ mode })).attempts).toEqual(["small auth", "large"]);
    world.find("small").waitUntil(world.time.elapsed() + 60_000, "the test wants it");
    expect((await world.answer({ mode })).attempts).toEqual(["large"]);
    expect((await world.answer({ mode, control: { deployment: "large" } })).attempts).toEqual(["large"]);
  });

  it("does not take the time of a judgement for the deployment's", async () => {
    const world: World = new World({ small: [answers()], large: [answers()] }, {
      rules: { cascade: { first: "small", accept: () => new Promise<boolean>((resolve) => void world.time.after(5_000, () => resolve(true))) } },
    });
    const caller = await world.answer({ mode });
    expect([caller.endedAt, caller.facts.attempts[0]?.durationMs, world.find("small").latency.totalMs]).toEqual([5_020, 20, 20]);
  });
});
