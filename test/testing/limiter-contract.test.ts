import { describe, expect, it } from "vitest";
import type { Limiter } from "langchain-perf";
import { limiterContract, type ContractLimits } from "langchain-perf/testing";
import { CorrectLimiter } from "./correct-limiter.ts";
import { limited, type Mistake, MISTAKES, Unhandling } from "./limiter-mistakes.ts";

async function failing(Mistaken: Mistake): Promise<string[]> {
  // That case listens to the whole process.
  const cases = limiterContract((limits) => new Mistaken(limits)).filter(({ name }) => name !== UNHANDLED);
  const results = await Promise.allSettled(cases.map(({ run }) => run()));
  return cases.filter((_, at) => results[at]?.status === "rejected").map(({ name }) => name);
}

/** The same load, and nothing wrong. */
const NONE = "none";
const TOGETHER = 17;
const UNHANDLED = "leaves no rejection unhandled";

describe("limiterContract", () => {
  for (const { name, run } of limiterContract((limits) => new CorrectLimiter(limits))) it(`passes a correct limiter: ${name}`, run);

  it("finds each mistake, and each of its cases finds one", { timeout: 120_000 }, async () => {
    const found = new Map<string, string[]>();
    const mistakes = Object.entries(MISTAKES);
    // A few at a time: all together are more load than the patience of the cases allows for.
    for (let at = 0; at < mistakes.length; at += TOGETHER) {
      const load: [string, Mistake][] = [...mistakes.slice(at, at + TOGETHER), [NONE, CorrectLimiter]];
      for (const [name, failed] of await Promise.all(load.map(async ([of, Mistaken]) => [of, await failing(Mistaken)] as const))) found.set(name, failed);
      expect(found.get(NONE)).toEqual([]);
    }
    found.delete(NONE);
    expect([...found].filter(([, failed]) => failed.length === 0)).toEqual([]);
    const useful = new Set([UNHANDLED, ...[...found.values()].flat()]);
    expect(limiterContract((limits) => new CorrectLimiter(limits)).map(({ name }) => name).filter((name) => !useful.has(name))).toEqual([]);
  });

  it("finds a rejection that nobody hears of", async () => {
    const own = process.listeners("unhandledRejection");
    process.removeAllListeners("unhandledRejection");
    try {
      const found = limiterContract((limits) => new Unhandling(limits)).find(({ name }) => name === UNHANDLED);
      await expect(found?.run()).rejects.toThrow("Expected values to be strictly deep-equal");
    } finally {
      for (const listener of own) process.on("unhandledRejection", listener);
    }
  });

  it("says at once what it cannot work with", async () => {
    const create = (limits: ContractLimits): Limiter => new CorrectLimiter(limits);
    expect(() => limiterContract(5 as never)).toThrow('Option "limiterContract.create": wanted a function that gives a limiter, got 5.');
    expect(() => limiterContract(create, { excused: ["typo" as never] })).toThrow('Option "limiterContract.excused": wanted some of "requests", "tokens", "cost", "corrections", "oversize", got "typo".');
    expect(() => limiterContract(create, { excused: "cost" as never })).toThrow('Option "limiterContract.excused": wanted an array of strings');
    expect(() => limiterContract(create, { excuse: [] } as never)).toThrow('Option "limiterContract.excuse": wanted one of the known options (excused)');
    for (const given of [undefined, { acquire: () => undefined }]) {
      const [first] = limiterContract(() => given as never);
      await expect(first?.run()).rejects.toThrow('Option "limiterContract.create": wanted a function that gives a limiter, an object with acquire() and status(), got ');
    }
  });

  it("excuses a limiter from what its options say", async () => {
    const Humble = limited((limits) => ({ ...limits, requestsPerMinute: undefined, tokensPerMinute: undefined, budgetUsdPerHour: undefined }));
    const excused = ["requests", "tokens", "cost", "corrections", "oversize"] as const;
    await Promise.all(limiterContract((limits) => new Humble(limits), { excused }).map(({ run }) => run()));
  });
});
