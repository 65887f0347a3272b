import { createPerf, withPerf, type LimiterStatus, type Perf } from "langchain-perf";
import { describe, expect, it } from "vitest";
import { countingChat } from "../../layers/support/counting-model.ts";
import { eventually, startRedis } from "../../support/services.ts";

const ownOf = (perf: Perf): LimiterStatus => perf.stats().limits![0]!;

describe("programs that share their limits", () => {
  it("go on while Redis is killed, restarted empty, frozen and thawed, and keep to the limits together", async () => {
    await using redis = await startRedis();
    const { model, load } = countingChat({ delayMs: 5 });
    await using one = createPerf({ name: "shop", rateLimit: { maxConcurrent: 4, shared: redis.url } });
    await using other = createPerf({ name: "shop", rateLimit: { maxConcurrent: 4, shared: redis.url } });
    const programs = [one, other].map((perf) => withPerf(model, perf));
    const ask = (): Promise<unknown> => Promise.all(programs.flatMap((program) => Array.from({ length: 8 }, (_, at) => program.invoke(`question ${at}`))));
    /** All who ask are answered, all the time. */
    const askUntil = async (holds: () => boolean): Promise<void> => void (await eventually(async () => (await ask(), holds()), { timeoutMs: 20_000 }));
    const askFor = (ms: number): Promise<void> => {
      const end = performance.now() + ms;
      return askUntil(() => performance.now() > end);
    };
    const areAway = (): boolean => [one, other].every((perf) => ownOf(perf).source !== undefined);
    const areTogether = (): boolean => [one, other].every((perf) => ownOf(perf).source === undefined);

    await ask();
    await askUntil(areTogether);
    load.peak = 0;
    // They hear of each other about once a second.
    await askFor(2_500);
    expect(load.peak).toBeLessThanOrEqual(4);

    await redis.kill();
    await askUntil(areAway);
    load.peak = 0;
    await askFor(500);
    // Two of four places for each of the two processes last seen.
    expect(load.peak).toBeLessThanOrEqual(4);
    await redis.start();
    await askUntil(areTogether);

    redis.freeze();
    await askUntil(areAway);
    redis.thaw();
    await askUntil(areTogether);
    expect([one, other].map((perf) => ownOf(perf).queued)).toEqual([0, 0]);
  });
});
