import { describe, expect, it } from "vitest";
import { StreamInterruptedError } from "../../../src/core/errors.ts";
import { answers, failure, NOTHING, World } from "./support/route-world.ts";
import type { Step } from "./support/scripted-kind.ts";

describe.each([{ mode: "invoke" }, { mode: "stream" }] as const)("the patience of a route: $mode", ({ mode }) => {
  it.each([
    { what: "the first content", patience: { firstTokenMs: 100 }, inTime: [99, "part", 500, "stop"], late: [101, "part", "stop"] },
    { what: "the first content, whatever comes before it", patience: { firstTokenMs: 100 }, inTime: [50, "empty", 49, "part", "stop"], late: [50, "empty", 51, "part", "stop"] },
    { what: "the whole answer", patience: { attemptMs: 100 }, inTime: [99, "stop"], late: [101, "stop"] },
  ] satisfies { what: string; patience: object; inTime: readonly Step[]; late: readonly Step[] }[])("ends exactly: $what", async ({ patience, inTime, late }) => {
    const slow = new World({ a: [late], b: [answers()] }, { patience });
    const caller = await slow.answer({ mode });
    expect([caller.attempts, slow.requests[1]]).toEqual([["a timeout", "b"], { id: "b", at: 100 }]);
    expect(caller.facts.attempts[0]).toMatchObject({ durationMs: 100, error: "timeout" });
    const fast = new World({ a: [inTime], b: [answers()] }, { patience });
    expect((await fast.answer({ mode })).attempts).toEqual(["a"]);
    expect([slow.leftOver, fast.leftOver]).toEqual([NOTHING, NOTHING]);
  });

  it("does not wait for a model that is deaf to its signal, and closes what it may still give", async () => {
    const world = new World({ a: [{ isDeaf: true, steps: [400, "part", "stop"] }], b: [answers()] }, { patience: { firstTokenMs: 100 } });
    const caller = world.ask({ mode });
    await world.time.pass(120);
    expect([caller.outcome, caller.attempts, world.leftOver]).toEqual(["b", ["a timeout", "b"], NOTHING]);
    await world.time.passAll();
    expect(world.targets[0]!.closed).toBe(1);
  });

  it("begins when the request is made, not when its permits are waited for", async () => {
    const world = new World({ a: [{ queueMs: 1_000, steps: [90, "part", "stop"] }], b: [answers()] }, { patience: { firstTokenMs: 100, attemptMs: 100 }, isLimited: true });
    expect((await world.answer({ mode })).attempts).toEqual(["a"]);
    const late = new World({ a: [{ queueMs: 1_000, steps: [110, "part", "stop"] }], b: [answers()] }, { patience: { firstTokenMs: 100 }, isLimited: true });
    await late.answer({ mode });
    expect(late.requests[1]).toEqual({ id: "b", at: 1_100 });
  });

  it("ends with the call's deadline while its permits are waited for, and that is no attempt", async () => {
    const world = new World({ a: [{ queueMs: 1_000, steps: [] }], b: [answers()] }, { rules: { totalMs: 500 }, isLimited: true });
    const caller = await world.answer({ mode });
    expect([caller.endedAt, caller.attempts, world.leftOver]).toEqual([500, [], NOTHING]);
  });

  it("is not over for what arrived in time while the process was busy", async () => {
    const world = new World({ a: [[90, "part", "stop"]], b: [answers()] }, { patience: { firstTokenMs: 100 } });
    const caller = world.ask({ mode });
    await world.time.pass(50);
    world.time.jump(100);
    await world.time.passAll();
    expect(caller.attempts).toEqual(["a"]);
  });
});

describe("a stall", () => {
  it("in an answer that is wanted whole is noticed exactly, and another gives the whole of it", async () => {
    const world = new World({ a: [[10, "part", 99, "part", 101, "part", "stop"]], b: [answers()] }, { patience: { stallMs: 100 } });
    const caller = await world.answer();
    expect([caller.outcome, caller.attempts, world.requests[1], world.leftOver]).toEqual(["b", ["a timeout", "b"], { id: "b", at: 209 }, NOTHING]);
  });

  it("in a stream ends it exactly then", async () => {
    const world = new World({ a: [[10, "part", 99, "part", 101, "part", "stop"]], b: [answers()] }, { patience: { stallMs: 100 } });
    const caller = await world.answer({ mode: "stream" });
    expect(caller.error).toBeInstanceOf(StreamInterruptedError);
    expect([caller.endedAt, caller.error, world.leftOver]).toMatchObject([209, { partsDelivered: 2 }, NOTHING]);
  });

  it.each([{ stallMs: 100 }, { attemptMs: 100 }])("is not what a slow reader makes: %o", async (patience) => {
    const world = new World({ a: [[20, "part", 20, "part", 20, "stop"]] }, { patience });
    const caller = await world.answer({ mode: "stream", pauseMs: 5_000 });
    expect([caller.outcome, caller.partsAt, caller.attempts]).toEqual(["a", [20, 5_040, 10_060], ["a"]]);
    expect(world.leftOver).toEqual(NOTHING);
  });

  it("is what the model makes while its reader waits, however slow that one was before", async () => {
    const world = new World({ a: [[40, "part", 30, "part", 40, "stop"]] }, { patience: { attemptMs: 100 } });
    const caller = await world.answer({ mode: "stream", pauseMs: 5_000 });
    expect([caller.endedAt, caller.error]).toMatchObject([10_100, { partsDelivered: 2 }]);
  });
});

describe("an answer that cannot be read in parts", () => {
  it.each([undefined, new AbortController().signal])("is not timed by its parts, but as a whole (%#)", async (signal) => {
    const asking = { question: { isWhole: true }, ...(signal ? { signal } : {}) };
    const world = new World({ a: [[60, "part", 60, "stop"]], b: [answers()] }, { patience: { firstTokenMs: 100, stallMs: 100 } });
    expect((await world.answer(asking)).attempts).toEqual(["a"]);
    const bounded = new World({ a: [[60, "part", 60, "stop"]], b: [answers()] }, { patience: { attemptMs: 100 } });
    expect((await bounded.answer(asking)).attempts).toEqual(["a timeout", "b"]);
  });
});

describe("a call whose caller gives up", () => {
  const reason = new Error("the caller has gone");
  const scenes = {
    "during a backoff": { world: () => new World({ a: [[5, failure(503)]] }), mode: "invoke", requests: 1 },
    "during the pause after a 500": { world: () => new World({ a: [[5, failure(500)]], b: [answers()] }), mode: "stream", requests: 1 },
    "while it waits for a provider's patience": { world: () => new World({ a: [[5, failure(429, "slow down", { retryAfterMs: 900 })]] }), mode: "invoke", requests: 1 },
    "during an attempt": { world: () => new World({ a: [["silence"]], b: [answers()] }), mode: "invoke", requests: 1 },
    "during an attempt of a deaf model": { world: () => new World({ a: [{ isDeaf: true, steps: ["silence"] }], b: [answers()] }), mode: "invoke", requests: 1 },
    "during a stall": { world: () => new World({ a: [[5, "part", "silence"]], b: [answers()] }, { patience: { stallMs: 1_000 } }), mode: "stream", requests: 1 },
    "during a stall of a deaf model": { world: () => new World({ a: [{ isDeaf: true, steps: [5, "part", "silence"] }], b: [answers()] }, { patience: { stallMs: 1_000 } }), mode: "stream", requests: 1 },
    "while permits are waited for": { world: () => new World({ a: [{ queueMs: 1_000, steps: [] }], b: [answers()] }), mode: "invoke", requests: 0 },
    "while two are asked": { world: () => new World({ a: [["silence"]], b: [["silence"]], c: [answers()] }, { rules: { hedge: { afterMs: 10, budget: 1 } } }), mode: "stream", requests: 2 },
    "while an answer is judged": {
      world: () => new World({ a: [[5, "stop"]], b: [answers()] }, { rules: { cascade: { first: "a", accept: () => new Promise<boolean>(() => {}) } } }), mode: "invoke", requests: 1,
    },
    "while a refusal is on its way": {
      world: () => {
        const world: World = new World({ a: [[5, "stop"]], b: [{ isDeaf: true, steps: ["silence"] }] }, {
          rules: { cascade: { first: "a", accept: () => new Promise<boolean>((resolve) => void world.time.after(500, () => resolve(false))) } },
        });
        return world;
      },
      mode: "invoke", requests: 1,
    },
  } as const;

  it.each(Object.keys(scenes) as (keyof typeof scenes)[])("hears of it in the same instant, and nobody is asked any more: %s", async (when) => {
    const { world: open, mode, requests } = scenes[when];
    const world = open();
    const abort = new AbortController();
    const caller = world.ask({ mode, signal: abort.signal });
    await world.time.pass(50);
    expect(caller.outcome).toBe("waits");
    abort.abort(reason);
    await world.time.pass(0);
    expect([caller.error, caller.endedAt]).toEqual([reason, 50]);
    await world.time.passAll();
    expect([world.requests.length, world.leftOver]).toEqual([requests, NOTHING]);
    expect(caller.attempts.every((attempt) => /abandoned|overloaded|server|rate-limited|not-accepted|^a$/.test(attempt))).toBe(true);
  });
});
