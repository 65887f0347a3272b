import { createPerf, OptionError, withPerf, type Demand, type Limiter, type Permit, type RequestOutcome } from "langchain-perf";
import { afterEach, describe, expect, it, vi } from "vitest";
import { guarded } from "../../src/limits/guarded.ts";
import { errorOf } from "../langchain/fixtures/ways.ts";
import { ScriptedChat } from "../layers/support/scripted-chat.ts";

afterEach(() => void vi.restoreAllMocks());

/** A limiter as somebody may write it without a compiler. */
function handmade(permit: unknown, status: () => unknown = () => ({ name: "handmade", queued: 1, active: 2 })): Limiter {
  return { name: "handmade", acquire: () => permit, status } as unknown as Limiter;
}

/** A permit as a class has it, and what it hears. */
class Ticket implements Permit {
  readonly waitMs = 3;
  readonly heard: unknown[] = [];

  release(outcome?: RequestOutcome): void {
    this.heard.push(outcome);
  }
}

describe("a limiter of the user's own", () => {
  it("may give its permit at once or by a promise, and hears of the demand and of the end", async () => {
    const [atOnce, later] = [new Ticket(), new Ticket()];
    for (const [given, ticket] of [[atOnce, atOnce], [Promise.resolve(later), later]] as const) {
      const permit = await guarded(handmade(given)).acquire();
      permit.release({ tokens: 7 });
      expect([permit.waitMs, ticket.heard]).toEqual([3, [{ tokens: 7 }]]);
    }
    const acquire = vi.fn<Limiter["acquire"]>(async () => new Ticket());
    const demand: Demand = { tokens: 5 };
    await guarded({ ...handmade(undefined), acquire }).acquire(demand);
    expect(acquire.mock.calls).toEqual([[demand]]);
  });

  it.each([undefined, null, true, {}, { release: true }])("fails the call with an OptionError where its permit is none: %j", async (permit) => {
    const model = new ScriptedChat();
    const error = await errorOf(withPerf(model, { rateLimit: handmade(permit) }).invoke("x"));
    expect(OptionError.isInstance(error)).toBe(true);
    expect((error as Error).message).toContain('Option "rateLimit.acquire": wanted a function that gives a permit: an object with release(), got ');
    expect(model.seen.length).toBe(0);
  });

  it("fails the call with its own error where it throws one at once", async () => {
    const refusal = new Error("not today");
    const limiter: Limiter = { ...handmade(undefined), acquire: () => { throw refusal; } };
    expect(await errorOf(withPerf(new ScriptedChat(), { rateLimit: limiter }).invoke("x"))).toBe(refusal);
  });

  it("whose release throws or rejects costs no call its answer, and one warning", async () => {
    const warned = vi.spyOn(process, "emitWarning").mockImplementation(() => {});
    const releases = [() => { throw new Error("broken"); }, () => Promise.reject(new Error("broken"))];
    for (const release of releases) {
      const fast = withPerf(new ScriptedChat(), { rateLimit: handmade({ waitMs: 0, release }) });
      expect([(await fast.invoke("a")).text, (await fast.invoke("b")).text]).toEqual(["answer 1", "answer 2"]);
    }
    await vi.waitUntil(() => warned.mock.calls.length >= releases.length, { interval: 1 });
    expect(warned.mock.calls).toEqual(releases.map(() => ["langchain-perf: the limiter's release() failed, and the call goes on without it: Error: broken"]));
  });

  it.each<[string, () => unknown, string]>([
    ["throws", () => { throw new Error("no idea"); }, "no idea"],
    ["gives nothing", () => undefined, "it gives no object"],
    ["gives a promise", () => Promise.reject(new Error("late")), "it gives no object"],
  ])("whose status() %s is shown with that", async (_name, status, reason) => {
    await using perf = createPerf({ rateLimit: handmade(new Ticket(), status) });
    expect(perf.stats().limits?.[0]).toEqual({ name: "handmade", queued: 0, active: 0, source: `status() failed: ${reason}` });
  });

  it("is shown as it shows itself", async () => {
    await using perf = createPerf({ rateLimit: handmade(new Ticket()) });
    expect(perf.stats().limits?.[0]).toEqual({ name: "handmade", queued: 1, active: 2 });
  });
});
