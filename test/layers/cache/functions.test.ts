import { createPerf, CacheMissError, type CallFacts } from "langchain-perf";
import { afterEach, describe, expect, it, vi } from "vitest";
import { FakeChatModel } from "../../support/fakes/chat-model.ts";
import { Gate, settle } from "../support/gate.ts";
import { listening } from "../support/listening.ts";

/** A function that numbers its results. */
function numbered<A extends unknown[]>() {
  const calls: A[] = [];
  const work = async (...args: A): Promise<{ nth: number }> => ({ nth: calls.push(args) });
  return { calls, work };
}

// First in this file: nothing has been wrapped before it.
it("LangChain calls inside a cached function go through the perf, though nothing else was ever wrapped", async () => {
  const { perf, facts } = listening();
  const model = new FakeChatModel();
  const chain = perf.cached("chain", async (question: string, style: string) => `${style}: ${(await model.invoke(question)).text}`);
  const plain = await chain("q", "plain");
  expect(await chain("q", "loud")).toBe(plain.replace("plain", "loud"));
  expect(await chain("q", "plain")).toBe(plain);
  expect(model.counts.chat).toBe(1);
  expect(facts.map(({ kind, cache }) => [kind, cache?.status])).toEqual([["chat", "miss"], ["function", "miss"], ["chat", "hit"], ["function", "miss"], ["function", "hit"]]);
});

describe("a cached function", () => {
  it("runs once for equal arguments, and its calls show under its name", async () => {
    const { perf, facts } = listening();
    const { calls, work } = numbered<[string, object?]>();
    const lookup = perf.cached("lookup", work);
    expect([await lookup("a", { x: 1, y: [2] }), await lookup("a", { y: [2], x: 1 }), await lookup("b"), await lookup("a")]).toEqual([{ nth: 1 }, { nth: 1 }, { nth: 2 }, { nth: 3 }]);
    expect(calls).toHaveLength(3);
    expect(facts.map(({ kind, mode, name, cache }) => [kind, mode, name, cache?.status])).toEqual(
      ["miss", "hit", "miss", "miss"].map((status) => ["function", "invoke", "lookup", status]),
    );
    expect(perf.cache.stats()).toMatchObject({ kinds: { function: 3 }, calls: { function: { hits: { memory: 1 }, misses: 3 } } });
    expect(perf.stats().kinds.function).toMatchObject({ calls: 4, hits: 1 });
  });

  it("tells values apart that look alike, and takes equal ones for equal", async () => {
    const { calls, work } = numbered<[unknown]>();
    const lookup = createPerf().cached("lookup", work);
    const different: unknown[] = [1, "1", 1n, true, null, undefined, "", [], {}, [1], ["1"], new Date(1), new Map([[1, 2]]), new Set([1]), Buffer.from("a"), new Uint8Array([97]), new URL("http://a/"), { a: undefined, b: 1 }, { a: 1 }];
    for (const value of different) await lookup(value);
    expect(calls).toHaveLength(different.length);
    for (const value of [new Date(1), new Map([[1, 2]]), new Set([1]), Buffer.from("a"), new Uint8Array([97]), new URL("http://a/"), { b: 1 }]) await lookup(value);
    expect(calls).toHaveLength(different.length);
  });

  it("is known by its name: two of one name share, two of one function and two names do not", async () => {
    const perf = createPerf();
    const { work } = numbered<[number]>();
    const [one, same, other] = [perf.cached("one", work), perf.cached("one", work), perf.cached("other", work)];
    expect([await one(1), await same(1), await other(1)]).toEqual([{ nth: 1 }, { nth: 1 }, { nth: 2 }]);
  });

  it("depends on what its key says", async () => {
    const { calls, work } = numbered<[string, AbortSignal?]>();
    const lookup = createPerf().cached("lookup", work, { key: (text) => text.toLowerCase() });
    for (const text of ["A", "a", "b"]) await lookup(text, new AbortController().signal);
    expect(calls).toHaveLength(2);
  });

  it("whose key fails goes past the cache", async () => {
    const warned = vi.spyOn(process, "emitWarning").mockImplementation(() => {});
    const { calls, work } = numbered<[string]>();
    const lookup = createPerf().cached("lookup", work, { key: () => { throw new Error("no key"); } });
    expect([await lookup("a"), await lookup("a")]).toEqual([{ nth: 1 }, { nth: 2 }]);
    expect(calls).toHaveLength(2);
    expect(warned.mock.lastCall?.[0]).toContain("no key");
    warned.mockRestore();
  });

  it("keeps no error, and gives it as it is, also to all who share the call", async () => {
    const { perf, facts } = listening();
    const errors = [new Error("first"), new Error("second")];
    let runs = 0;
    const lookup = perf.cached("lookup", async () => {
      await settle();
      if (errors[runs]) throw errors[runs++];
      return "fine";
    });
    const outcomes = await Promise.allSettled([lookup(), lookup()]);
    expect(outcomes).toEqual([{ status: "rejected", reason: errors[0] }, { status: "rejected", reason: errors[0] }]);
    await expect(lookup()).rejects.toBe(errors[1]);
    expect([await lookup(), await lookup()]).toEqual(["fine", "fine"]);
    expect(facts.map(({ error, cache }) => [error?.message, cache?.status])).toEqual([["first", "miss"], ["first", "miss"], ["second", "miss"], [undefined, "miss"], [undefined, "hit"]]);
  });

  it("that throws instead of giving a promise rejects", async () => {
    const lookup = createPerf().cached("lookup", ((): never => {
      throw new Error("at once");
    }) as () => Promise<never>);
    await expect(lookup()).rejects.toThrow("at once");
  });

  it("shares one run among those who ask at the same time, each with a result of its own", async () => {
    const { perf, facts } = listening();
    const gate = new Gate();
    const { calls, work } = numbered<[string]>();
    const lookup = perf.cached("lookup", async (text: string) => (await gate.promise, work(text)));
    const asked = Promise.all(Array.from({ length: 20 }, () => lookup("a")));
    await settle();
    gate.open();
    const results = await asked;
    expect(new Set(results).size).toBe(20);
    expect(results.every(({ nth }) => nth === 1)).toBe(true);
    expect(calls).toHaveLength(1);
    expect(facts.filter(({ coalesced }) => coalesced === "follower")).toHaveLength(19);
  });

  it.each<[string, unknown]>([["undefined", undefined], ["null", null], ["false", false], ["zero", 0], ["an empty text", ""]])("keeps %s", async (_name, result) => {
    const work = vi.fn(async () => result);
    const lookup = createPerf().cached("lookup", work);
    expect([await lookup(), await lookup()]).toEqual([result, result]);
    expect(work).toHaveBeenCalledTimes(1);
  });

  it("gives copies: what one caller changes no other sees, not even who paid", async () => {
    const make = () => ({ list: [1], bytes: Buffer.from("abc"), at: new Date(1_000), map: new Map([["k", { v: 1 }]]), set: new Set([1]), floats: new Float32Array([1, 2]) });
    const lookup = createPerf().cached("lookup", async () => make());
    for (const _ of [1, 2, 3]) {
      const result = await lookup();
      expect(result).toEqual(make());
      result.list.push(2);
      result.bytes[0] = 0;
      result.at.setTime(5);
      result.map.get("k")!.v = 2;
      result.map.set("more", { v: 3 });
      result.set.add(2);
      result.floats[0] = 9;
    }
    expect(Buffer.isBuffer((await lookup()).bytes)).toBe(true);
  });

  it("may call itself and others", async () => {
    const { perf, facts } = listening();
    const factorial: (n: number) => Promise<number> = perf.cached("factorial", async (n: number): Promise<number> => (n <= 1 ? 1 : n * (await factorial(n - 1))));
    const choose = perf.cached("choose", async (n: number, k: number) => (await factorial(n)) / ((await factorial(k)) * (await factorial(n - k))));
    expect(await choose(6, 2)).toBe(15);
    expect(await choose(6, 2)).toBe(15);
    expect(facts.filter(({ name, cache }) => name === "factorial" && cache?.status === "miss")).toHaveLength(6);
  });

  it("that calls itself with the same arguments does not wait for itself", async () => {
    let depth = 0;
    const odd: (n: number) => Promise<number> = createPerf().cached("odd", async (n: number): Promise<number> => ((depth += 1) < 3 ? odd(n) : depth));
    expect(await odd(1)).toBe(3);
  });

  it("works the same as an argument or a method, and keeps what has a class to this process", async () => {
    class Session {
      readonly #secret = 1;
      get secret(): number {
        return this.#secret;
      }
    }
    const { calls, work } = numbered<[Session]>();
    const lookup = createPerf().cached("lookup", work);
    const [one, other] = [new Session(), new Session()];
    expect([await lookup(one), await lookup(other), await lookup(one)]).toEqual([{ nth: 1 }, { nth: 2 }, { nth: 1 }]);
    expect(await Promise.all([one, one].map((session) => lookup(session)))).toEqual([{ nth: 1 }, { nth: 1 }]);
    expect(calls).toHaveLength(2);
  });
});

describe("tags", () => {
  it("are a list, or what a function says of result and arguments, beside those of the call", async () => {
    const perf = createPerf();
    const { calls, work } = numbered<[string]>();
    const listed = perf.cached("listed", work, { tags: ["a", "b"] });
    const told = perf.cached("told", work, { tags: ({ nth }, text) => [`nth ${nth}`, `text ${text}`] });
    await perf.run(() => listed("x"), { tags: ["c"] });
    await perf.run(() => told("y"), { tags: ["c"] });
    expect(await perf.cache.invalidate({ tags: ["nth 2"] })).toBe(1);
    await told("y");
    expect(await perf.cache.invalidate({ tags: ["text y", "nobody"] })).toBe(1);
    expect(await perf.cache.invalidate({ tags: ["c"] })).toBe(1);
    await listed("x");
    expect(await perf.cache.invalidate({ tags: ["b"] })).toBe(1);
    expect(calls).toHaveLength(4);
  });

  it("do not become those of the calls inside", async () => {
    const perf = createPerf();
    const inner = perf.cached("inner", async () => 1);
    const outer = perf.cached("outer", async () => inner(), { tags: ["outer"], ttlMs: 0 });
    await outer();
    expect(await perf.cache.invalidate({ tags: ["outer"] })).toBe(0);
    expect(perf.cache.stats().entries).toBe(1);
  });
});

describe("a ttl", () => {
  afterEach(() => void vi.useRealTimers());

  it("is the function's own, unless the call has one", async () => {
    vi.useFakeTimers({ toFake: ["Date", "performance"] });
    const perf = createPerf({ cache: { ttlMs: 60_000 } });
    const { calls, work } = numbered<[string]>();
    const lookup = perf.cached("lookup", work, { ttlMs: 1_000 });
    await lookup("own");
    await perf.run(() => lookup("call's"), { ttlMs: 5_000 });
    vi.advanceTimersByTime(1_000);
    await lookup("own");
    await lookup("call's");
    expect(calls).toEqual([["own"], ["call's"], ["own"]]);
  });
});

describe("wishes", () => {
  it("of perf.run hold: tenants apart, only, refresh, bypass", async () => {
    const { perf, facts } = listening();
    const { calls, work } = numbered<[]>();
    const lookup = perf.cached("lookup", work);
    const as = (tenant: string) => perf.run(() => lookup(), { tenant });
    expect([await as("ann"), await as("bob"), await as("ann")]).toEqual([{ nth: 1 }, { nth: 2 }, { nth: 1 }]);
    expect(facts.map(({ tenant }: CallFacts) => tenant)).toEqual(["ann", "bob", "ann"]);
    const failure: unknown = await perf.run(() => lookup(), { cache: "only" }).catch((error: unknown) => error);
    expect(CacheMissError.isInstance(failure)).toBe(true);
    expect([await lookup(), await perf.run(() => lookup(), { cache: "refresh" }), await perf.run(() => lookup(), { cache: "bypass" }), await lookup()]).toEqual([{ nth: 3 }, { nth: 4 }, { nth: 5 }, { nth: 4 }]);
    expect(await perf.cache.invalidate({ tenant: "ann" })).toBe(1);
    expect(calls).toHaveLength(5);
  });
});

describe("a cached function of no use", () => {
  it("of a closed perf runs as it is", async () => {
    const perf = createPerf();
    const { calls, work } = numbered<[]>();
    const lookup = perf.cached("lookup", work);
    await lookup();
    await perf.close();
    expect([await lookup(), await lookup()]).toEqual([{ nth: 2 }, { nth: 3 }]);
    expect(calls).toHaveLength(3);
  });

  it("runs as it is with LANGCHAIN_PERF=off", async () => {
    const { work } = numbered<[]>();
    vi.stubEnv("LANGCHAIN_PERF", "off");
    try {
      const lookup = createPerf().cached("lookup", work);
      expect([await lookup(), await lookup()]).toEqual([{ nth: 1 }, { nth: 2 }]);
    } finally {
      vi.unstubAllEnvs();
      createPerf().run(() => {});
    }
  });

  it("runs as it is, and once for many, without a cache", async () => {
    const { calls, work } = numbered<[]>();
    const lookup = createPerf({ coalesce: true }).cached("lookup", work);
    expect(await Promise.all([lookup(), lookup()])).toEqual([{ nth: 1 }, { nth: 1 }]);
    await lookup();
    expect(calls).toHaveLength(2);
  });

  it.each<[string, unknown[], string]>([
    ["no name", ["", async () => 1], "cached.name"],
    ["a name that is no text", [1, async () => 1], "cached.name"],
    ["no function", ["f", "g"], "cached"],
    ["an unknown option", ["f", async () => 1, { ttl: 1 }], "cached.ttl"],
    ["a negative ttl", ["f", async () => 1, { ttlMs: -1 }], "cached.ttlMs"],
    ["tags that are no list", ["f", async () => 1, { tags: "a" }], "cached.tags"],
    ["a key that is no function", ["f", async () => 1, { key: "a" }], "cached.key"],
  ])("is refused: %s", (_name, args, option) => {
    const perf = createPerf();
    const make = () => (perf.cached as (...args: unknown[]) => unknown).apply(perf, args);
    expect(make).toThrow(expect.objectContaining({ name: "OptionError", option }) as Error);
  });
});
