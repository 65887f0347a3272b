import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { DeadlineError, QueueFullError } from "../../src/core/errors.ts";
import { resolveDemand } from "../../src/limits/demand.ts";
import type { Demand, Permit } from "../../src/limits/limiter.ts";
import { WaitingLine, type LineOptions } from "../../src/limits/line.ts";
import { seededRandom } from "../../src/testing/random.ts";
import { VirtualTime } from "../support/virtual-time.ts";

const PERMIT: Permit = { waitMs: 0, release() {} };

function setUp(options: Partial<LineOptions> = {}) {
  const time = new VirtualTime(1_000);
  const line = new WaitingLine({ limiter: "test", maxQueue: Infinity, weights: new Map(), clock: time, ...options });
  const join = (demand: Demand = {}): Promise<Permit> => line.join(resolveDemand(demand, Infinity, time.elapsed()));
  /** @returns what `of` makes of those who are served next */
  const serve = <T>(count: number, of: (demand: Demand) => T): T[] =>
    Array.from({ length: count }, () => {
      const head = line.head!;
      line.serve(head, PERMIT);
      return of(head.demand);
    });
  return { time, line, join, serve };
}

describe("the order of a line", () => {
  it("is by priority", () => {
    const { join, serve } = setUp();
    for (const priority of [9, 3, 0, 5, 3]) void join({ priority });
    expect(serve(5, ({ priority }) => priority)).toEqual([0, 3, 3, 5, 9]);
  });

  it("is by deadline within a priority, and by arrival among equals", () => {
    const { join, serve } = setUp();
    const deadlines = [900, 100, 500, 100, undefined, 30_000];
    deadlines.forEach((deadlineMs, costUsd) => void join({ costUsd, ...(deadlineMs !== undefined && { deadlineMs }) }));
    expect(serve(6, ({ costUsd }) => costUsd)).toEqual([1, 3, 2, 0, 5, 4]);
  });

  it("lets nobody with a near deadline pass one who has waited for a minute without one", async () => {
    const { time, join, serve } = setUp();
    void join({ costUsd: 1 });
    await time.pass(59_000);
    void join({ costUsd: 2, deadlineMs: 500 });
    expect(serve(1, ({ costUsd }) => costUsd)).toEqual([2]);
    await time.pass(1_000);
    void join({ costUsd: 3, deadlineMs: 1 });
    expect(serve(2, ({ costUsd }) => costUsd)).toEqual([1, 3]);
  });

  it("serves one of a lower priority after nine of the highest, those who wait longest first", async () => {
    const { time, join, serve } = setUp();
    void join({ priority: 9 });
    await time.pass(1);
    for (let count = 0; count < 3; count++) void join({ priority: 5 });
    for (let count = 0; count < 40; count++) void join({ priority: 0 });
    const nine = Array.from({ length: 9 }, () => 0);
    expect(serve(40, ({ priority }) => priority)).toEqual([...nine, 9, ...nine, 5, ...nine, 5, ...nine, 5]);
    expect(serve(4, ({ priority }) => priority)).toEqual([0, 0, 0, 0]);
  });

  it("puts nested calls before all others, since others wait for them", () => {
    const { join, serve } = setUp();
    void join({ priority: 0 });
    void join({ priority: 9, isNested: true });
    expect(serve(2, ({ priority }) => priority)).toEqual([9, 0]);
  });
});

describe("tenants in a line", () => {
  it("take turns, however many calls one of them has", () => {
    const { join, serve } = setUp();
    for (let count = 0; count < 10; count++) void join({ tenant: "large" });
    for (let count = 0; count < 3; count++) void join({ tenant: "small" });
    expect(serve(6, ({ tenant }) => tenant).filter((tenant) => tenant === "small")).toHaveLength(3);
  });

  it("get tokens by their weights", () => {
    const { join, serve } = setUp({ weights: new Map([["gold", 3]]) });
    const random = seededRandom(1);
    for (let count = 0; count < 2_000; count++) for (const tenant of ["gold", "plain"]) void join({ tenant, tokens: 100 + Math.floor(random() * 3_000) });
    const tokens = { gold: 0, plain: 0 };
    serve(2_000, (demand) => (tokens[demand.tenant as "gold"] += demand.tokens!));
    expect(tokens.gold / tokens.plain).toBeCloseTo(3, 1);
  });

  it("get no more by estimating less than they take", () => {
    const { line, join, serve } = setUp();
    for (let count = 0; count < 1_000; count++) for (const tenant of ["honest", "sly"]) void join({ tenant, tokens: tenant === "sly" ? 100 : 1_000 });
    const taken = { honest: 0, sly: 0 };
    for (let count = 0; count < 1_000; count++) {
      const [tenant] = serve(1, (demand) => demand.tenant as "sly");
      if (tenant === "sly") line.correct({ priority: 5, tenant }, 900);
      taken[tenant!] += 1_000;
    }
    expect(taken.sly / taken.honest).toBeCloseTo(1, 1);
  });

  it("save nothing up while they wait for nothing", () => {
    const { join, serve } = setUp();
    for (let count = 0; count < 100; count++) void join({ tenant: "busy" });
    serve(50, () => undefined);
    for (let count = 0; count < 50; count++) void join({ tenant: "late" });
    expect(serve(20, ({ tenant }) => tenant).filter((tenant) => tenant === "late").length).toBeLessThanOrEqual(11);
  });

  it("go before one who has had much when they come for the first time, but not for ever", () => {
    const { join, serve } = setUp();
    for (let count = 0; count < 2; count++) void join({ tenant: "heavy", tokens: 1_000_000 });
    for (let count = 0; count < 1_000; count++) void join({ tenant: "steady", tokens: 10_000 });
    serve(1, () => undefined);
    const served: string[] = [];
    while (served.at(-1) !== "heavy") {
      void join({ tenant: `new ${served.length}`, tokens: 10_000 });
      served.push(...serve(1, ({ tenant }) => tenant as string));
    }
    expect(served.filter((tenant) => tenant === "steady").length).toBeGreaterThan(90);
    expect(served.length).toBeGreaterThan(150);
    expect(served.length).toBeLessThan(10_000);
  });

  it("are not behind newcomers for what they had, when nobody waits who is still owed anything", () => {
    const { join, serve } = setUp();
    for (let count = 0; count < 2; count++) void join({ tenant: "heavy", tokens: 1_000_000 });
    void join({ tenant: "small", tokens: 10 });
    serve(2, () => undefined);
    void join({ tenant: "new", tokens: 10 });
    expect(serve(2, ({ tenant }) => tenant)).toEqual(["heavy", "new"]);
  });

  it("are served in turn if there are a hundred thousand, and none is remembered", () => {
    const { line, join, serve } = setUp();
    for (let count = 0; count < 10_000; count++) void join({ tenant: `tenant ${count}`, tokens: 1 + (count % 7) });
    expect(serve(10_000, ({ tenant }) => tenant)).toEqual(Array.from({ length: 10_000 }, (_, count) => `tenant ${count}`));
    void join({ tenant: "first", tokens: 5 });
    for (let count = 0; count < 100_000; count++) {
      void join({ tenant: `tenant ${count}`, tokens: 5 });
      serve(1, () => undefined);
    }
    expect(line.size).toBe(1);
    expect(line.ahead(resolveDemand({ tenant: "tenant 5", tokens: 5 }, Infinity, 0)).calls).toBe(1);
  }, 30_000);
});

describe("who leaves a line", () => {
  it("is refused with the reason of the signal", async () => {
    const { time, line, join, serve } = setUp();
    const controller = new AbortController();
    const late = resolveDemand({ signal: controller.signal }, Infinity, time.elapsed());
    const permits = [join({ signal: controller.signal, costUsd: 1 }), join({ costUsd: 2 }), join({ signal: controller.signal, costUsd: 3 })];
    controller.abort(new Error("enough"));
    await expect(permits[0]).rejects.toThrow("enough");
    await expect(permits[2]).rejects.toThrow("enough");
    expect(line.size).toBe(1);
    await expect(line.join(late)).rejects.toThrow("enough");
    expect(serve(1, ({ costUsd }) => costUsd)).toEqual([2]);
  });

  it("is refused when the deadline passes, and nobody else is", async () => {
    const { time, line, join } = setUp();
    const late = join({ deadlineMs: 100 });
    const later = join({ deadlineMs: 101 });
    const outcome = Promise.allSettled([late]);
    await time.pass(100);
    expect((await outcome)[0]).toMatchObject({ status: "rejected", reason: { message: 'No permit of the limiter "test" came within 100 ms.' } });
    expect(line.size).toBe(1);
    line.serve(line.head!, PERMIT);
    expect(await later).toBe(PERMIT);
    expect(time.alarms).toBe(0);
  });

  it("is told of once for all who leave together", async () => {
    let told = 0;
    const { time, join } = setUp({ left: () => void (told += 1) });
    const controller = new AbortController();
    const permits = Array.from({ length: 100 }, () => join({ signal: controller.signal }));
    controller.abort();
    await Promise.allSettled(permits);
    expect(told).toBe(1);
    const late = Array.from({ length: 100 }, () => join({ deadlineMs: 5 }).catch((error: unknown) => error));
    await time.pass(5);
    expect((await Promise.all(late)).every((error) => error instanceof DeadlineError)).toBe(true);
    expect(told).toBe(2);
  });

  it.each(["one signal", "signals of their own"])("leaves nothing behind, fifty thousand at once with %s", async (kind) => {
    const { time, line, join } = setUp();
    const shared = new AbortController();
    const controllers = Array.from({ length: 50_000 }, () => (kind === "one signal" ? shared : new AbortController()));
    const permits = controllers.map(({ signal }, number) => join({ signal, tenant: `${number % 10}`, priority: number % 10, deadlineMs: 1_000 + number }));
    expect(line.size).toBe(50_000);
    const reasons = Promise.all(permits.map((permit) => permit.catch((reason: unknown) => reason)));
    controllers.forEach((controller, number) => controller.abort(kind === "one signal" ? "all" : number));
    expect(await reasons).toEqual(controllers.map((_, number) => (kind === "one signal" ? "all" : number)));
    expect([line.size, line.head, time.alarms]).toEqual([0, undefined, 0]);
  });

  it("finds a line of bounded length", async () => {
    const { join, serve } = setUp({ maxQueue: 2 });
    void join();
    void join();
    await expect(join()).rejects.toThrow(QueueFullError);
    serve(1, () => undefined);
    const joined = join();
    serve(2, () => undefined);
    expect(await joined).toBe(PERMIT);
  });
});

describe("what is ahead of a call", () => {
  it("is what is served before it, where calls are alike", () => {
    const call = fc.record({ priority: fc.constantFrom(0, 0, 0, 0, 0, 0, 3, 9), tenant: fc.constantFrom("a", "b", "c"), deadlineMs: fc.option(fc.integer({ min: 1, max: 5_000 }), { nil: Infinity }) });
    fc.assert(
      fc.property(fc.array(call, { maxLength: 60 }), fc.nat(60), call, (calls, servedBefore, own) => {
        const { line, time, join, serve } = setUp({ weights: new Map([["b", 2]]) });
        for (const demand of calls) void join({ ...demand, tokens: 10 });
        serve(Math.min(servedBefore, line.size), () => undefined);
        const ahead = line.ahead(resolveDemand({ ...own, tokens: 10 }, Infinity, time.elapsed()));
        void join({ ...own, tokens: 10, costUsd: 1 });
        const order = serve(line.size, ({ costUsd }) => costUsd);
        expect(ahead.calls).toBeLessThanOrEqual(order.indexOf(1) + 1e-9);
        expect(ahead.tokens).toBeCloseTo(ahead.calls * 10);
      }),
      { seed: 7, numRuns: 1_000 },
    );
  });

  it("is all that waits, where all are of one tenant and priority", () => {
    const { line, join } = setUp();
    for (let count = 0; count < 10; count++) void join({ tokens: 7, costUsd: 0.5 });
    expect(line.ahead(resolveDemand({}, Infinity, 1_000))).toMatchObject({ calls: 10, requests: 10, tokens: 70, costUsd: 5 });
  });
});
