import { describe, expect, it } from "vitest";
import { DeadlineError, QueueFullError } from "../../src/core/errors.ts";
import { AnnouncedLimiter, AnnouncedQuotas, type AnnouncedPermit } from "../../src/limits/announced.ts";
import type { Demand, QuotaNotice } from "../../src/limits/limiter.ts";
import { settle, World } from "./announced-world.ts";

interface Setting {
  readonly world: World;
  readonly limiter: AnnouncedLimiter;
  /** Permits in the order in which they were given. */
  readonly permits: AnnouncedPermit[];
  ask(count: number, demand?: Demand): Promise<void>;
}

function setting(options: { maxQueue?: number; maxWaitMs?: number } = {}): Setting {
  const world = new World();
  const limiter = new AnnouncedLimiter({ clock: world, maxQueue: 10_000, maxWaitMs: 600_000, weights: new Map(), ...options });
  const permits: AnnouncedPermit[] = [];
  const ask = async (count: number, demand: Demand = {}): Promise<void> => {
    for (let made = 0; made < count; made++) void limiter.acquire(demand).then((permit) => (permit.sent(), permits.push(permit)), () => {});
    await settle();
  };
  return { world, limiter, permits, ask };
}

function told(requests: QuotaNotice["requests"], more: Partial<QuotaNotice> = {}): QuotaNotice {
  return { isRefusal: false, ...(requests && { requests }), ...more };
}

/** A limiter that has heard what remains, with nothing under way. */
async function informed(notice: QuotaNotice): Promise<Setting> {
  const made = setting();
  await made.ask(1);
  made.permits[0]!.heard(notice);
  made.permits.shift()!.release();
  return made;
}

describe("a limiter that has heard nothing yet", () => {
  it("lets few requests out, and all others when an answer tells no limits", async () => {
    const { permits, ask, limiter } = setting();
    await ask(40);
    expect([permits.length, limiter.status().queued, limiter.status().concurrency?.limit]).toEqual([16, 24, 16]);
    permits[3]!.heard(undefined);
    await settle();
    expect([permits.length, limiter.status().queued, limiter.status().concurrency]).toEqual([40, 0, undefined]);
  });

  it("lets all out when a request ends without any response, unless its caller left", async () => {
    const { permits, ask } = setting();
    await ask(40);
    permits[0]!.release({ end: "left" });
    await settle();
    expect(permits.length).toBe(17);
    permits[1]!.release();
    await settle();
    expect(permits.length).toBe(40);
  });

  it("does not hold up a request that is made inside another", async () => {
    const { permits, ask } = setting();
    await ask(16);
    await ask(1, { isNested: true });
    expect(permits.length).toBe(17);
  });
});

describe("a limiter that hears what remains", () => {
  it("lets out as much, and then as fast as it is refilled", async () => {
    const { world, permits, ask } = await informed(told({ limit: 600, remaining: 20, resetMs: 58_000 }));
    await ask(100);
    // 2% of the limit stay unused.
    expect(permits.length).toBe(8);
    await world.pass(1_000);
    expect(permits.length).toBe(18);
    await world.pass(5_000);
    expect(permits.length).toBe(68);
  });

  it("counts a limit by the day by its reset time", async () => {
    const { world, permits, ask } = await informed(told({ limit: 14_400, remaining: 300, resetMs: 84_600_000 }));
    await ask(100);
    expect(permits.length).toBe(12);
    await world.pass(60_000);
    expect(permits.length).toBe(22);
  });

  it("subtracts what may not be in the report", async () => {
    const { permits, ask } = setting();
    await ask(100);
    permits[5]!.heard(told({ limit: 60, remaining: 50 }));
    await settle();
    // 15 of the first 16 may be on their way still, and 1.2 requests stay unused.
    expect(permits.length).toBe(16 + 33);
    permits[6]!.heard(told({ limit: 60, remaining: 55 }));
    await settle();
    expect(permits.length).toBe(16 + 33 + 1);
    permits[7]!.heard(told({ limit: 60, remaining: 44 }));
    await settle();
    expect(permits.length).toBe(16 + 33 + 1);
  });

  it("is not told by late answers of earlier requests what newer ones have told already", async () => {
    const { world, permits, ask } = await informed(told({ limit: 60, remaining: 40 }));
    await ask(2);
    await world.pass(1_000);
    await ask(1);
    permits[2]!.heard(told({ limit: 60, remaining: 30 }));
    permits[0]!.heard(told({ limit: 60, remaining: 59 }));
    await ask(100);
    expect(permits.length).toBe(3 + 28);
  });

  it("believes a report that shows less than it thought, and one that shows more", async () => {
    const { world, permits, ask } = await informed(told({ limit: 60, remaining: 40 }));
    await ask(1);
    permits[0]!.heard(told({ limit: 60, remaining: 3 }));
    await ask(3);
    expect(permits.length).toBe(2);
    await world.pass(2_000);
    expect(permits.length).toBe(4);
    permits[3]!.heard(told({ limit: 60, remaining: 30 }));
    await ask(100);
    expect(permits.length).toBe(4 + 28);
  });

  it("counts tokens", async () => {
    const { world, permits, ask } = await informed(told(undefined, { tokens: { limit: 6_000, remaining: 1_120, resetMs: 48_800 } }));
    await ask(10, { tokens: 500 });
    expect(permits.length).toBe(2);
    await world.pass(5_000);
    expect(permits.length).toBe(3);
  });

  it("lets out alone what is larger than the limit, when all of it is there", async () => {
    const { world, permits, ask } = await informed(told(undefined, { tokens: { limit: 6_000, remaining: 3_000, resetMs: 30_000 } }));
    await ask(1, { tokens: 9_000 });
    await world.pass(29_000);
    expect(permits.length).toBe(0);
    await world.pass(1_100);
    expect(permits.length).toBe(1);
    await ask(1, { tokens: 1 });
    expect(permits.length).toBe(1);
  });

  it("learns a limit that is not told from the most that remained", async () => {
    const { world, permits, ask, limiter } = await informed(told({ remaining: 60 }));
    await ask(100);
    expect(permits.length).toBe(58);
    await world.pass(10_000);
    expect(permits.length).toBe(68);
    expect(limiter.status()).toMatchObject({ source: "headers of the provider", used: { requests: expect.closeTo(0.98, 1) as number } });
  });

  it("forgets what it heard when nothing is told any more", async () => {
    const { world, permits, ask } = await informed(told({ limit: 60, remaining: 1 }));
    await world.pass(600_000);
    await ask(1_000);
    expect(permits.length).toBe(1_000);
  });

  it("hears nothing after a permit was released", async () => {
    const { permits, ask } = setting();
    await ask(1);
    permits[0]!.release();
    permits[0]!.heard(told({ limit: 60, remaining: 0 }));
    await ask(10);
    expect(permits.length).toBe(11);
  });
});

describe("a limiter whose requests are refused", () => {
  it("lets nothing out before the provider wants it to", async () => {
    const { world, permits, ask, limiter } = await informed(told({ limit: 600, remaining: 600 }));
    await ask(1);
    permits[0]!.heard({ isRefusal: true, retryAfterMs: 20_000 });
    expect(limiter.pausedMs).toBe(20_000);
    await ask(5);
    await world.pass(19_999);
    expect([permits.length, limiter.status().source]).toEqual([1, "refused: nothing for 1 ms"]);
    await world.pass(2);
    expect([permits.length, limiter.pausedMs]).toEqual([6, 0]);
  });

  it("refuses at once who cannot wait so long", async () => {
    const { limiter, permits, ask } = await informed(told({ limit: 600, remaining: 600 }));
    await ask(1);
    permits[0]!.heard({ isRefusal: true, retryAfterMs: 20_000 });
    await expect(limiter.acquire({ deadlineMs: 19_000 })).rejects.toThrow(DeadlineError);
    expect(limiter.status().queued).toBe(0);
  });

  it("waits a second without a hint, and twice as long each time, up to half a minute", async () => {
    const { world, permits, ask, limiter } = setting();
    await ask(1);
    const waits: number[] = [];
    for (let round = 0; round < 7; round++) {
      permits.at(-1)!.heard({ isRefusal: true });
      permits.at(-1)!.release({ end: "overloaded" });
      waits.push(limiter.pausedMs);
      await ask(1);
      await world.pass(60_000);
    }
    expect(waits).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
    permits.at(-1)!.heard(undefined);
    await ask(1);
    await world.pass(60_000);
    permits.at(-1)!.heard({ isRefusal: true });
    expect(limiter.pausedMs).toBe(1_000);
  });

  it("counts refusals of requests that were under way together once", async () => {
    const { permits, ask, limiter } = setting();
    await ask(10);
    for (const permit of permits) permit.heard({ isRefusal: true });
    expect(limiter.pausedMs).toBe(1_000);
  });

  it("learns how many a minute takes, tries more with time, and forgets it", async () => {
    const { world, permits, ask, limiter } = setting();
    await ask(1);
    permits[0]!.heard(undefined);
    await ask(119);
    for (const permit of permits.slice(60)) {
      permit.heard({ isRefusal: true });
      permit.release({ end: "overloaded", tokens: 0 });
    }
    expect(limiter.status().source).toBe("refused: nothing for 1000 ms");
    await ask(10_000);
    const before = permits.length;
    await world.pass(60_000);
    const first = permits.length - before;
    expect(first).toBeGreaterThanOrEqual(54);
    expect(first).toBeLessThan(54 * 1.1);
    expect(limiter.status().source).toBe("refusals of the provider");
    await world.pass(60_000);
    expect((permits.length - before - first) / first).toBeCloseTo(1.1, 1);
    await world.pass(480_000);
    expect(limiter.status()).toMatchObject({ queued: 0, source: "nothing told" });
  });

  it("learns how many tokens a minute takes, by what they really were", async () => {
    const { world, permits, ask } = setting();
    await ask(1);
    permits[0]!.heard(undefined);
    await ask(100, { tokens: 1_000 });
    for (const permit of permits.slice(1)) permit.release({ tokens: 600 });
    await ask(1, { tokens: 1_000 });
    permits.at(-1)!.heard({ isRefusal: true });
    permits.at(-1)!.release({ end: "overloaded", tokens: 0 });
    await ask(100, { tokens: 5_400 });
    await world.pass(60_000);
    expect(permits.length - 102).toBe(10);
  });

  it("learns nothing of a quota from the refusal of one who asks little", async () => {
    const { world, permits, ask, limiter } = setting();
    await ask(5);
    permits[4]!.heard({ isRefusal: true });
    await world.pass(1_000);
    await ask(1_000);
    expect([permits.length, limiter.status().source]).toEqual([1_005, "nothing told"]);
  });

  it("is steered by what a refusal tells, rather than by waiting blindly", async () => {
    const { permits, ask, limiter } = await informed(told({ limit: 600, remaining: 600 }));
    await ask(1);
    permits[0]!.heard(told({ limit: 600, remaining: 0, resetMs: 60_000 }, { isRefusal: true }));
    expect(limiter.pausedMs).toBe(0);
    await ask(1);
    expect(permits.length).toBe(1);
  });

  it("does not hold up others because one request is larger than the limit", async () => {
    const { permits, ask, limiter } = await informed(told(undefined, { tokens: { limit: 6_000, remaining: 6_000 } }));
    await ask(1, { tokens: 9_000 });
    permits[0]!.heard(told(undefined, { isRefusal: true, tokens: { limit: 6_000, remaining: 6_000 } }));
    expect(limiter.pausedMs).toBe(0);
    await ask(1, { tokens: 100 });
    expect(permits.length).toBe(2);
  });
});

describe("requests that were admitted and wait elsewhere", () => {
  it("are counted until they go out, whatever reports say meanwhile, and given back if they never do", async () => {
    const { world, limiter, permits, ask } = await informed(told({ limit: 600, remaining: 112, resetMs: 50_000 }));
    const waiting = await Promise.all(Array.from({ length: 90 }, () => limiter.acquire()));
    await ask(1);
    await world.pass(1_000);
    permits[0]!.heard(told({ limit: 600, remaining: 111, resetMs: 50_000 }));
    // 111 - 90 - 2% of 600 = 9.
    await ask(100);
    expect(permits.length).toBe(10);
    for (const permit of waiting) permit.release({ end: "left" });
    await settle();
    expect(permits.length).toBe(100);
  });
});

describe("the queue", () => {
  it("is bounded, hears aborts, and leaves neither places nor timers behind", async () => {
    const { world, limiter, permits, ask } = setting({ maxQueue: 2 });
    await ask(1);
    permits[0]!.heard(told({ limit: 60, remaining: 0 }));
    const abort = new AbortController();
    const waiting = [limiter.acquire({ signal: abort.signal }), limiter.acquire({ signal: abort.signal })];
    await expect(limiter.acquire()).rejects.toThrow(QueueFullError);
    abort.abort(new Error("no longer wanted"));
    for (const each of waiting) await expect(each).rejects.toBe(abort.signal.reason);
    expect([limiter.status().queued, world.alarms]).toEqual([0, 0]);
    await expect(limiter.acquire({ signal: abort.signal })).rejects.toBe(abort.signal.reason);
  });

  it("serves priorities first", async () => {
    const { world, limiter, ask, permits } = await informed(told({ limit: 60, remaining: 0 }));
    const served: number[] = [];
    for (const priority of [9, 5, 0]) void limiter.acquire({ priority }).then(() => served.push(priority));
    await ask(0);
    await world.pass(10_000);
    expect([served, permits.length]).toEqual([[0, 5, 9], 0]);
  });

  it("refuses at once who would be served too late, behind all who wait already", async () => {
    const { limiter, ask } = await informed(told({ limit: 6, remaining: 0 }));
    await ask(10);
    await expect(limiter.acquire({ deadlineMs: 100_000 })).rejects.toThrow(DeadlineError);
    await expect(Promise.race([limiter.acquire({ deadlineMs: 120_000 }), settle()])).resolves.toBeUndefined();
  });
});

describe("quotas", () => {
  it("are each target's own, and those not asked for longest are forgotten", () => {
    const quotas = new AnnouncedQuotas({ clock: new World(), maxQueue: 10, maxWaitMs: 1_000, weights: new Map() });
    const first = quotas.of("first");
    const second = quotas.of("second");
    expect(first).not.toBe(second);
    for (let number = 0; number < 998; number++) quotas.of(`other ${number}`);
    expect(quotas.of("first")).toBe(first);
    quotas.of("one more");
    expect(quotas.of("first")).toBe(first);
    expect(quotas.of("second")).not.toBe(second);
  });
});
