import { withPerf, type CallFacts, type PerfOptions } from "langchain-perf";
import type { Simulator } from "langchain-perf/testing";
import { describe, expect, it } from "vitest";
import { until } from "../../testing/support.ts";
import { APIS, askedOf, listeningPerf, read, simulator, WAYS_TO_READ, type ChatLike, type Way } from "./providers.ts";

const [ASKED, OTHER] = ["chunks-8", "chunks-5"];
const textOf = (words: number): string => Array.from({ length: words }, (_, at) => `word${at}`).join(" ");

/** Two deployments, the first of which may fail; the second is another model, or the same one elsewhere. */
async function cached(second: string, options: PerfOptions = {}) {
  const [first, other] = [await simulator(), await simulator()];
  const model = APIS.OpenAI(first, ASKED);
  const deployments = [
    { id: "asked", model, price: { input: 1, output: 10 } },
    { id: "second", model: APIS.OpenAI(other, second), priority: 1, price: { input: 2, output: 40, cachedInput: 1 } },
  ];
  const { perf, calls } = listeningPerf({ cache: true, coalesce: true, routing: { deployments }, retry: { baseDelayMs: 0 }, ...options });
  const ask = (way: Way) => read(way, withPerf(model, perf) as ChatLike);
  return { perf, calls, model, first, other, ask };
}

const requests = (...providers: Simulator[]): number[] => providers.map((provider) => provider.count());
const answererOf = ({ deployment, model, requestedModel }: CallFacts): unknown[] => [deployment, model, requestedModel];

describe.each(WAYS_TO_READ)("the cache of answers by %s", (way) => {
  it("does not keep another model's answer under the name of the one that was asked", async () => {
    const { calls, first, other, ask } = await cached(OTHER);
    const repair = first.fault("status=503");
    for (const _ of [1, 2]) expect((await ask(way)).text).toBe(textOf(5));
    expect(requests(first, other)).toEqual([2, 2]);
    repair();
    for (const _ of [1, 2]) expect((await ask(way)).text).toBe(textOf(8));
    expect(requests(first, other)).toEqual([3, 2]);
    expect(calls.map(({ cache }) => cache?.status)).toEqual(["miss", "miss", "miss", "hit"]);
    expect(calls.slice(0, 3).map(answererOf)).toEqual([["second", OTHER, ASKED], ["second", OTHER, ASKED], ["asked", ASKED, undefined]]);
  });

  it("keeps the answer of the same model elsewhere", async () => {
    const { calls, first, other, ask } = await cached(ASKED);
    const repair = first.fault("status=503");
    expect((await ask(way)).text).toBe(textOf(8));
    repair();
    expect((await ask(way)).text).toBe(textOf(8));
    expect(requests(first, other)).toEqual([1, 1]);
    expect(calls.map(({ cache }) => cache?.status)).toEqual(["miss", "hit"]);
    expect(calls.map(askedOf)).toEqual([["asked overloaded", "second"], []]);
    expect(answererOf(calls[0]!)).toEqual(["second", ASKED, undefined]);
  });

  it("never keeps an answer that broke off", async () => {
    const { calls, first, other, ask } = await cached(OTHER, { timeouts: { stallMs: 20_000 } });
    first.fault("end=3,times=1");
    const broken = await ask(way);
    expect(broken.text).toBe(way === "invoke" ? textOf(5) : textOf(3));
    expect(broken.error === undefined).toBe(way === "invoke");
    for (const _ of [1, 2]) expect((await ask(way)).text).toBe(textOf(8));
    expect(calls.map(({ cache }) => cache?.status)).toEqual(["miss", "miss", "hit"]);
    expect(requests(first, other)).toEqual([2, way === "invoke" ? 1 : 0]);
  });

  it("lets those who asked at the same time share another model's answer, and says whose it is", async () => {
    const { calls, first, other, ask } = await cached(OTHER);
    first.fault("status=503");
    const slow = other.fault("slow=100");
    const asking = [ask(way), ask(way), ask(way)];
    await until(() => other.count() === 1);
    expect((await Promise.all(asking)).map(({ text }) => text)).toEqual([textOf(5), textOf(5), textOf(5)]);
    slow();
    expect(requests(first, other)).toEqual([1, 1]);
    expect(calls.map(({ coalesced }) => coalesced).toSorted()).toEqual(["follower", "follower", "leader"]);
    for (const facts of calls) expect(answererOf(facts)).toEqual(["second", OTHER, ASKED]);
    const leader = calls.find(({ coalesced }) => coalesced === "leader");
    expect(leader?.costUsd).toBeGreaterThan(0);
    for (const follower of calls.filter(({ coalesced }) => coalesced === "follower")) {
      expect(follower.attempts).toEqual([]);
      expect(follower.costUsd ?? 0).toBe(0);
      expect(follower.savedUsd).toBeCloseTo(leader?.costUsd as number, 12);
    }
    // It is nobody's who comes later.
    expect((await ask(way)).text).toBe(textOf(5));
    expect(requests(first, other)).toEqual([2, 2]);
  });
});

describe("the price of a deployment", () => {
  it("is what its answer costs, not the model's in the list, nor that of the deployment that failed", async () => {
    const pricing = { [ASKED]: { input: 500, output: 500 }, [OTHER]: { input: 700, output: 700 } };
    const { perf, calls, first, ask } = await cached(OTHER, { pricing });
    first.fault("status=503");
    await ask("invoke");
    const [{ usage, costUsd } = {} as CallFacts] = calls;
    expect(usage).toMatchObject({ outputTokens: 5 });
    expect(costUsd).toBeCloseTo((usage!.inputTokens * 2 + 5 * 40) / 1e6, 12);
    expect(perf.stats().kinds.chat?.costUsd).toBeCloseTo(costUsd!, 12);
  });

  it("is the model's in the list where it has none of its own", async () => {
    const [first, other] = [await simulator({ faults: ["status=503"] }), await simulator()];
    const model = APIS.OpenAI(first, ASKED);
    const { perf, calls } = listeningPerf({
      routing: { deployments: [{ id: "asked", model }, { id: "second", model: APIS.OpenAI(other, OTHER), priority: 1 }] },
      pricing: { [ASKED]: { input: 500, output: 500 }, [OTHER]: { input: 3, output: 7 } },
    });
    await read("invoke", withPerf(model, perf) as ChatLike);
    const [{ usage, costUsd } = {} as CallFacts] = calls;
    expect(costUsd).toBeCloseTo((usage!.inputTokens * 3 + 5 * 7) / 1e6, 12);
  });
});
