import { describe, expect, it } from "vitest";
import { AnnouncedLimiter } from "../../src/limits/announced.ts";
import type { LimitOptions } from "../../src/testing/rate-limits.ts";
import { seededRandom } from "../../src/testing/random.ts";
import { askThrough, SimulatedProvider, World, type ProviderOptions } from "./announced-world.ts";

interface Setting extends Omit<ProviderOptions, "latencyMs"> {
  readonly limits: LimitOptions;
  readonly meanMs: number;
  readonly lastsMs: number;
  readonly callers: number;
  /** @default 1 */
  readonly processes?: number;
  /** What each answer is thought to take; it takes 110 tokens on average. @default 200 */
  readonly estimate?: number;
}

interface Result {
  readonly refused: number;
  /** Of those that came after the first ten seconds. */
  readonly refusedLater: number;
  /** Of what the provider could have answered, of the scarcest of its limits. */
  readonly goodput: number;
}

/** Callers that always want an answer, each process with a limiter of its own, against one provider. */
async function saturate({ limits, meanMs, lastsMs, callers, processes = 1, estimate = 200, ...provider }: Setting): Promise<Result> {
  const world = new World();
  const random = seededRandom(7);
  const asked = new SimulatedProvider(world, { ...provider, limits, latencyMs: () => meanMs * (0.5 + random()) });
  const caller = async (limiter: AnnouncedLimiter): Promise<void> => {
    while (world.elapsed() < lastsMs) {
      const prompt = 50 + Math.floor(random() * 100);
      const request = { prompt, answer: 20 + Math.floor(random() * 180), wayMs: 1 + random() * 20, demand: { tokens: prompt + estimate } };
      if ((await askThrough(limiter, asked, request)) === 429) await world.sleep(500);
    }
  };
  for (let process = 0; process < processes; process++) {
    const limiter = new AnnouncedLimiter({ clock: world, maxQueue: 10_000, maxWaitMs: Infinity, weights: new Map() });
    for (let number = 0; number < callers; number++) void caller(limiter);
  }
  await world.pass(10_000);
  const refusedAtFirst = asked.refused;
  await world.pass(lastsMs - 10_000);
  const couldBe = (perMinute = Infinity): number => perMinute * (1 + (lastsMs - meanMs) / 60_000);
  const goodput = Math.max(asked.answered / couldBe(limits.requestsPerMinute), asked.answeredTokens / couldBe(limits.tokensPerMinute));
  return { refused: asked.refused, refusedLater: asked.refused - refusedAtFirst, goodput };
}

const REQUESTS = { requestsPerMinute: 600 };
const TOKENS = { tokensPerMinute: 120_000 };

describe("a saturated provider that tells its limits", () => {
  it.each<[string, Setting]>([
    ["requests are scarce", { limits: REQUESTS, meanMs: 3_000, lastsMs: 120_000, callers: 300 }],
    ["tokens are scarce", { limits: TOKENS, meanMs: 3_000, lastsMs: 120_000, callers: 300 }],
    ["both are limited, and Anthropic's headers tell it", { limits: { requestsPerMinute: 900, ...TOKENS }, meanMs: 3_000, lastsMs: 120_000, callers: 300, headers: "anthropic" }],
    ["it tells what is left at the end of the answer", { limits: REQUESTS, meanMs: 3_000, lastsMs: 120_000, callers: 300, late: true }],
    ["answers take a third of a minute", { limits: REQUESTS, meanMs: 20_000, lastsMs: 300_000, callers: 600 }],
    ["the limit is small", { limits: { requestsPerMinute: 60 }, meanMs: 3_000, lastsMs: 240_000, callers: 50 }],
    ["answers are thought to be twice as long as they are", { limits: TOKENS, meanMs: 3_000, lastsMs: 120_000, callers: 300, estimate: 300 }],
    ["answers are thought to be half as long as they are", { limits: TOKENS, meanMs: 3_000, lastsMs: 120_000, callers: 300, estimate: 55 }],
  ])("refuses hardly anything and has little left where %s", async (_what, setting) => {
    const { refused, goodput } = await saturate(setting);
    expect(refused).toBeLessThanOrEqual(5);
    expect(goodput).toBeGreaterThan(0.93);
    expect(goodput).toBeLessThan(1.01);
  });

  it("refuses few requests of several processes once each knows how much is left", async () => {
    const { refusedLater, goodput } = await saturate({ limits: { requestsPerMinute: 900, ...TOKENS }, meanMs: 3_000, lastsMs: 120_000, callers: 100, processes: 4 });
    expect(refusedLater).toBeLessThanOrEqual(10);
    expect(goodput).toBeGreaterThan(0.93);
  });
});

describe("a saturated provider that tells nothing", () => {
  it.each([["requests", REQUESTS], ["tokens", TOKENS]])("teaches its limit of %s by refusing", async (_what, limits) => {
    const { refused, goodput } = await saturate({ limits, meanMs: 3_000, lastsMs: 300_000, callers: 300, headers: "none" });
    expect(refused).toBeLessThan(100);
    expect(goodput).toBeGreaterThan(0.9);
  });
});
