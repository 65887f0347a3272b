import Bottleneck from "bottleneck";
import { describe, expect, it } from "vitest";
import { bottleneckLimiter, DeadlineError, OptionError, QueueFullError, RateLimitError, type BottleneckLike, type Limiter, type Permit } from "langchain-perf/limits";
import { eventually } from "../support/services.ts";

const acquireAll = (limiter: Limiter, count: number): Promise<Permit[]> => Promise.all(Array.from({ length: count }, () => limiter.acquire()));

/** Jobs that Bottleneck has, in any state before their end. */
const jobsOf = (bottleneck: Bottleneck): number => Object.values(bottleneck.counts()).reduce((sum, count) => sum + count, 0);

const refusalOf = async (acquiring: Promise<Permit>): Promise<RateLimitError> => {
  const error: unknown = await acquiring.then(() => "a permit", (reason: unknown) => reason);
  expect(error).toBeInstanceOf(RateLimitError);
  return error as RateLimitError;
};

describe("bottleneckLimiter", () => {
  it("keeps to Bottleneck's maxConcurrent, beside jobs that others give it", async () => {
    const bottleneck = new Bottleneck({ maxConcurrent: 3 });
    const limiter = bottleneckLimiter(bottleneck);
    let end = (): void => {};
    const foreign = bottleneck.schedule(() => new Promise<void>((resolve) => (end = resolve)));
    await eventually(() => bottleneck.counts().EXECUTING === 1);
    const held = await acquireAll(limiter, 2);
    await expect(limiter.acquire({ deadlineMs: 50 })).rejects.toBeInstanceOf(DeadlineError);
    end();
    await foreign;
    const third = await limiter.acquire();
    expect(await bottleneck.running()).toBe(3);
    for (const permit of [...held, third]) permit.release();
    await eventually(async () => (await bottleneck.running()) === 0);
  });

  it("keeps to minTime between requests", async () => {
    const limiter = bottleneckLimiter(new Bottleneck({ minTime: 60 }));
    const starts = await Promise.all(Array.from({ length: 5 }, () => limiter.acquire().then((permit) => (permit.release(), performance.now()))));
    const gaps = starts.slice(1).map((start, at) => start - (starts[at] as number));
    // Timers end up to a millisecond early, and a late start shortens the gap after it; all of them together cannot be shorter.
    expect(gaps.reduce((sum, gap) => sum + gap, 0)).toBeGreaterThan(4 * 60 - 20);
  });

  it("keeps to the reservoir, and goes on when it is filled", async () => {
    const bottleneck = new Bottleneck({ reservoir: 3 });
    const limiter = bottleneckLimiter(bottleneck);
    for (const permit of await acquireAll(limiter, 3)) permit.release();
    await expect(limiter.acquire({ deadlineMs: 50 })).rejects.toBeInstanceOf(DeadlineError);
    const waiting = limiter.acquire();
    await bottleneck.incrementReservoir(10);
    (await waiting).release();
  });

  it("gives Bottleneck two jobs for all who wait, and none for nobody", async () => {
    const bottleneck = new Bottleneck({ maxConcurrent: 1 });
    const limiter = bottleneckLimiter(bottleneck);
    const held = await limiter.acquire();
    const leave = new AbortController();
    const waiting = Array.from({ length: 50 }, () => limiter.acquire({ signal: leave.signal }));
    await eventually(() => limiter.status().queued === 50 && bottleneck.counts().QUEUED === 2);
    expect(limiter.status()).toEqual({ name: "bottleneck", queued: 50, active: 1, source: "Bottleneck (local), with all its jobs: 1 at work, 2 waiting" });
    leave.abort();
    expect((await Promise.allSettled(waiting)).every(({ status }) => status === "rejected")).toBe(true);
    held.release();
    await eventually(() => jobsOf(bottleneck) === 0);
    (await limiter.acquire()).release();
    await eventually(() => jobsOf(bottleneck) === 0);
  });

  it("serves whose turn it is when a job starts, not who was first when it was given to Bottleneck", async () => {
    const limiter = bottleneckLimiter(new Bottleneck({ maxConcurrent: 1 }));
    const held = await limiter.acquire();
    const served: string[] = [];
    const take = (name: string, priority: number): Promise<void> => limiter.acquire({ priority }).then((permit) => (served.push(name), permit.release()));
    const low = take("low", 9);
    await eventually(() => limiter.status().queued === 1);
    const high = take("high", 0);
    held.release();
    await Promise.all([low, high]);
    expect(served).toEqual(["high", "low"]);
  });

  it("refuses who waits when Bottleneck is stopped, and whoever comes later, while permits stay valid", async () => {
    const bottleneck = new Bottleneck({ maxConcurrent: 1 });
    const limiter = bottleneckLimiter(bottleneck);
    const held = await limiter.acquire();
    const waiting = Array.from({ length: 20 }, () => limiter.acquire());
    const refusals = Promise.all(waiting.map(refusalOf));
    await eventually(() => bottleneck.counts().QUEUED === 2);
    const stopped = bottleneck.stop();
    for (const { limiter: name, retryable, cause } of await refusals) {
      expect({ name, retryable }).toEqual({ name: "bottleneck", retryable: true });
      expect(cause).toBeInstanceOf(Bottleneck.BottleneckError);
    }
    expect((await refusalOf(limiter.acquire())).message).toContain("stopped");
    expect(limiter.status()).toMatchObject({ queued: 0, active: 1 });
    held.release();
    await stopped;
  });

  it("refuses what Bottleneck drops, also when it drops without a word", async () => {
    for (const rejectOnDrop of [true, false]) {
      const bottleneck = new Bottleneck({ maxConcurrent: 1, highWater: 0, strategy: Bottleneck.strategy.OVERFLOW, rejectOnDrop });
      const limiter = bottleneckLimiter(bottleneck);
      const held = await limiter.acquire();
      const refusals = await Promise.all([limiter.acquire(), limiter.acquire(), limiter.acquire()].map(refusalOf));
      expect(refusals.map(({ cause }) => cause instanceof Bottleneck.BottleneckError)).toEqual(Array(3).fill(rejectOnDrop));
      held.release();
      await eventually(async () => (await bottleneck.running()) === 0);
      (await limiter.acquire()).release();
    }
  });

  it("refuses nobody for a job that is dropped while another one waits", async () => {
    const bottleneck = new Bottleneck({ maxConcurrent: 1, highWater: 1 });
    let dropped = 0;
    bottleneck.on("dropped", () => void (dropped += 1));
    const limiter = bottleneckLimiter(bottleneck);
    const held = await limiter.acquire();
    const permits = Array.from({ length: 20 }, () => limiter.acquire().then((permit) => permit.release()));
    await eventually(() => dropped === 1);
    held.release();
    await Promise.all(permits);
  });

  it("gives jobs the weight of their demand", async () => {
    const bottleneck = new Bottleneck({ maxConcurrent: 10 });
    const limiter = bottleneckLimiter(bottleneck, { weight: ({ tokens = 0 }) => Math.ceil(tokens / 100) });
    const held = await Promise.all([limiter.acquire({ tokens: 400 }), limiter.acquire({ tokens: 600 })]);
    expect(await bottleneck.running()).toBe(10);
    await expect(limiter.acquire({ tokens: 1, deadlineMs: 50 })).rejects.toBeInstanceOf(DeadlineError);
    for (const permit of held) permit.release();
    (await limiter.acquire({ tokens: 1_000 })).release();
  });

  it("never lets a heavy call go on the weight of a lighter one", async () => {
    const bottleneck = new Bottleneck({ maxConcurrent: 4 });
    const limiter = bottleneckLimiter(bottleneck, { weight: ({ requests = 1 }) => requests });
    const held = await limiter.acquire({ requests: 4 });
    const light = limiter.acquire({ requests: 1, priority: 9 });
    await eventually(() => bottleneck.counts().QUEUED === 1);
    const heavy = limiter.acquire({ requests: 4, priority: 0 });
    held.release();
    const permit = await heavy;
    expect(await bottleneck.running()).toBe(4);
    await expect(limiter.acquire({ deadlineMs: 50 })).rejects.toBeInstanceOf(DeadlineError);
    permit.release();
    (await light).release();
    await eventually(async () => (await bottleneck.running()) === 0);
  });

  it("refuses a demand that is too heavy for Bottleneck, and nobody else", async () => {
    const limiter = bottleneckLimiter(new Bottleneck({ maxConcurrent: 2 }), { weight: ({ requests = 1 }) => requests });
    const [heavy, ...light] = [limiter.acquire({ requests: 3 }), limiter.acquire({ priority: 0 }), limiter.acquire({ priority: 9 })] as const;
    expect((await refusalOf(heavy)).message).toContain("maxConcurrent setting of 2");
    for (const acquiring of light) (await acquiring).release();
  });

  it("takes no weight that Bottleneck would not", async () => {
    for (const weight of [-1, 1.5, Number.NaN, Infinity, "2"]) {
      const limiter = bottleneckLimiter(new Bottleneck(), { weight: () => weight as number });
      await expect(limiter.acquire()).rejects.toBeInstanceOf(OptionError);
      expect(limiter.status().queued).toBe(0);
    }
  });

  it("bounds the queue in front of Bottleneck", async () => {
    const limiter = bottleneckLimiter(new Bottleneck({ maxConcurrent: 1 }), { maxQueue: 3 });
    const outcomes = Array.from({ length: 5 }, () => limiter.acquire().then((permit) => permit.release(), (error: unknown) => error));
    const errors = (await Promise.all(outcomes)).filter((error) => error !== undefined);
    expect(errors.map((error) => error instanceof QueueFullError)).toEqual([true, true]);
  });

  it("refuses what is no Bottleneck, and options that it does not have", () => {
    for (const wrong of [undefined, null, "bottleneck", {}, Bottleneck, { schedule() {}, counts() {} }]) {
      expect(() => bottleneckLimiter(wrong as unknown as BottleneckLike)).toThrow("wanted a Bottleneck: an object with schedule(), counts(), on()");
    }
    const bottleneck = new Bottleneck();
    expect(() => bottleneckLimiter(bottleneck, { maxQueue: 0 })).toThrow(OptionError);
    expect(() => bottleneckLimiter(bottleneck, { maxWaitMs: -1 })).toThrow(OptionError);
    expect(() => bottleneckLimiter(bottleneck, { weight: 2 } as object)).toThrow(OptionError);
    expect(() => bottleneckLimiter(bottleneck, { maxConcurrent: 2 } as object)).toThrow(OptionError);
  });
});
