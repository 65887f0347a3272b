import { Embeddings } from "@langchain/core/embeddings";
import { createPerf, withPerf, CacheMissError, type CacheOptions, type PerfOptions } from "langchain-perf";
import { afterEach, describe, expect, it, vi } from "vitest";
import { FakeEmbeddings } from "../../support/fakes/embeddings.ts";
import { Gate, settle } from "../support/gate.ts";
import { listening } from "../support/listening.ts";

type Answers = (texts: string[], nth: number) => number[][] | Promise<number[][]>;

/** Remembers what it is asked, and answers each text with its length and the number of the request. All of a kind are equal: what they remember is private. */
class Asked extends Embeddings {
  readonly model: string = "asked-1";
  readonly #queries: string[] = [];
  readonly #batches: string[][] = [];
  #answer: Answers = (texts, nth) => texts.map((text) => [text.length, nth]);

  constructor() {
    super({ maxRetries: 0 });
  }

  get queries(): readonly string[] {
    return this.#queries;
  }

  get batches(): readonly string[][] {
    return this.#batches;
  }

  set answer(answer: Answers) {
    this.#answer = answer;
  }

  override async embedQuery(text: string): Promise<number[]> {
    this.#queries.push(text);
    return [text.length, -this.#queries.length];
  }

  override async embedDocuments(texts: string[]): Promise<number[][]> {
    this.#batches.push([...texts]);
    return this.#answer(texts, this.#batches.length);
  }
}

function setting(options: PerfOptions = { cache: true, coalesce: true }) {
  const { perf, facts } = listening(options);
  const bare = new Asked();
  return { perf, facts, bare, fast: withPerf(bare, perf) };
}

const texts = (from: number, to: number): string[] => Array.from({ length: to - from }, (_, at) => `text ${from + at}`);

describe("a batch of texts", () => {
  it("asks only for those that are not known, in their order, and answers in the order of the call", async () => {
    const { bare, fast, facts } = setting();
    const known = texts(0, 90);
    await fast.embedDocuments(known);
    const unknown = texts(1_000, 1_010);
    const mixed = known.flatMap((text, at) => (at % 9 === 0 ? [unknown[at / 9]!, text] : [text]));
    const vectors = await fast.embedDocuments(mixed);
    expect(bare.batches).toEqual([known, unknown]);
    expect(vectors).toEqual(mixed.map((text) => [text.length, unknown.includes(text) ? 2 : 1]));
    expect(facts.map(({ kind, cache }) => [kind, cache])).toEqual([
      ["embeddings", { status: "miss", items: { total: 90, hits: 0 } }],
      ["embeddings", { status: "miss", items: { total: 100, hits: 90 } }],
    ]);
  });

  it("that is known altogether asks nobody, and gives vectors of its own", async () => {
    const { bare, fast, facts, perf } = setting();
    const first = await fast.embedDocuments(["a", "b"]);
    first[0]![0] = 99;
    const again = await fast.embedDocuments(["b", "a"]);
    again[1]!.push(7);
    expect(await fast.embedDocuments(["a", "b"])).toEqual([[1, 1], [1, 1]]);
    expect(bare.batches).toHaveLength(1);
    expect(facts.at(-1)).toMatchObject({ kind: "embeddings", model: "asked-1", cache: { status: "hit", items: { total: 2, hits: 2 } } });
    expect(perf.cache.stats()).toMatchObject({ kinds: { embeddings: 2 }, calls: { embeddings: { hits: { memory: 4 }, misses: 2 } } });
  });

  it("asks once for a text that it has twice", async () => {
    const { bare, fast } = setting();
    expect(await fast.embedDocuments(["aa", "b", "aa", "aa"])).toEqual([[2, 1], [1, 1], [2, 1], [2, 1]]);
    expect(bare.batches).toEqual([["aa", "b"]]);
  });

  it("of nothing is nothing", async () => {
    const { fast, facts } = setting();
    expect(await fast.embedDocuments([])).toEqual([]);
    expect(facts).toHaveLength(1);
  });

  it("is one call to those who listen, in its own vector for each text also without coalescing", async () => {
    const { bare, fast, facts } = setting({ cache: true });
    await fast.embedDocuments(["a"]);
    expect(await fast.embedDocuments(["a", "bb"])).toEqual([[1, 1], [2, 2]]);
    expect(bare.batches).toEqual([["a"], ["bb"]]);
    expect(facts).toHaveLength(2);
  });

  it("shares what is in flight with other batches, both ways round, without waiting for itself", async () => {
    const { bare, fast, facts } = setting();
    const gate = new Gate();
    bare.answer = async (asked, nth) => (await gate.promise, asked.map((text) => [text.length, nth]));
    const asked = Promise.all([fast.embedDocuments(["a", "b", "c"]), fast.embedDocuments(["d", "c", "b"]), fast.embedDocuments(["c", "a"])]);
    await settle();
    expect(bare.batches).toEqual([["a", "b", "c"], ["d"]]);
    gate.open();
    expect(await asked).toEqual([[[1, 1], [1, 1], [1, 1]], [[1, 2], [1, 1], [1, 1]], [[1, 1], [1, 1]]]);
    expect(facts.find(({ coalesced }) => coalesced === "follower")).toBeDefined();
    expect(facts).toHaveLength(3);
  });

  it("that waits for another batch, which fails, asks by itself where it is another object", async () => {
    const { perf, bare, fast } = setting();
    const gate = new Gate<never>();
    const other = new Asked();
    bare.answer = () => gate.promise;
    const failing = fast.embedDocuments(["a", "b"]).catch((error: unknown) => error);
    await settle();
    const asked = withPerf(other, perf).embedDocuments(["b", "x", "a"]);
    await settle();
    gate.fail(new Error("down"));
    expect(await failing).toMatchObject({ message: "down" });
    expect((await asked).map(([length]) => length)).toEqual([1, 1, 1]);
    expect(other.batches.flat().sort()).toEqual(["a", "b", "x"]);
    expect(other.batches).toHaveLength(2);
  });

  it("fails for all who share it, and nothing of it is kept", async () => {
    const { bare, fast, facts, perf } = setting();
    bare.answer = async () => {
      await settle();
      throw new Error("down");
    };
    const outcomes = await Promise.allSettled([fast.embedDocuments(["a", "b"]), fast.embedDocuments(["b", "a"])]);
    expect(outcomes.map((outcome) => outcome.status === "rejected" && (outcome.reason as Error).message)).toEqual(["down", "down"]);
    expect(facts).toMatchObject([{ error: { message: "down" } }, { error: { message: "down" } }]);
    expect(perf.cache.stats().entries).toBe(0);
    bare.answer = (asked) => asked.map(() => [1]);
    expect(await fast.embedDocuments(["a"])).toEqual([[1]]);
  });

  it("is an error when it gets fewer or more vectors than texts, and nothing of it is kept", async () => {
    for (const wrong of [(asked: string[]) => asked.slice(1).map(() => [1]), (asked: string[]) => [...asked, "x"].map(() => [1])]) {
      const { bare, fast, perf } = setting();
      bare.answer = wrong;
      await expect(fast.embedDocuments(["a", "b"])).rejects.toThrow(/2 .*(1|3)/);
      expect(perf.cache.stats().entries).toBe(0);
    }
  });
});

describe("queries and documents", () => {
  it("are apart, and so are models", async () => {
    const { perf, bare, fast } = setting();
    expect([await fast.embedQuery("a"), (await fast.embedDocuments(["a"]))[0], await fast.embedQuery("a")]).toEqual([[1, -1], [1, 1], [1, -1]]);
    expect([bare.queries, bare.batches]).toEqual([["a"], [["a"]]]);
    const [one, other] = [new FakeEmbeddings({ model: "m1" }), new FakeEmbeddings({ model: "m2" })];
    await withPerf(one, perf).embedDocuments(["a"]);
    await withPerf(other, perf).embedDocuments(["a"]);
    expect([one.counts.embeddings, other.counts.embeddings]).toEqual([1, 1]);
  });

  it("in flight are shared: one request for a query that many ask", async () => {
    const { bare, fast } = setting();
    const vectors = await Promise.all([fast.embedQuery("a"), fast.embedQuery("a"), fast.embedQuery("a")]);
    vectors[0]![0] = 99;
    expect(vectors.slice(1)).toEqual([[1, -1], [1, -1]]);
    expect(bare.queries).toEqual(["a"]);
  });
});

describe("a wish", () => {
  it("only answers what is known altogether, refresh asks for all anew, bypass leaves the cache alone", async () => {
    const { perf, bare, fast, facts } = setting();
    const ask = (wish: "only" | "refresh" | "bypass" | "use", asked: string[]) => perf.run(() => fast.embedDocuments(asked), { cache: wish });
    await ask("use", ["a", "b"]);
    expect(await ask("only", ["a", "b"])).toEqual([[1, 1], [1, 1]]);
    await expect(ask("only", ["a", "c"])).rejects.toThrow(CacheMissError);
    expect(bare.batches).toHaveLength(1);
    expect(await ask("refresh", ["a", "b"])).toEqual([[1, 2], [1, 2]]);
    expect(await ask("use", ["a", "b"])).toEqual([[1, 2], [1, 2]]);
    expect(await ask("bypass", ["b", "a"])).toEqual([[1, 3], [1, 3]]);
    expect(bare.batches.at(-1)).toEqual(["b", "a"]);
    expect(await ask("use", ["a"])).toEqual([[1, 2]]);
    expect(facts.map(({ cache }) => cache?.status)).toEqual(["miss", "hit", "miss", "miss", "hit", "bypass", "hit"]);
  });

  it("of a tenant and of tags holds for each text", async () => {
    const { perf, bare, fast } = setting();
    const ask = (tenant: string) => perf.run(() => fast.embedDocuments(["a", "b"]), { tenant, tags: [`of ${tenant}`] });
    await ask("ann");
    await ask("bob");
    await ask("ann");
    expect(bare.batches).toHaveLength(2);
    expect(await perf.cache.invalidate({ tags: ["of ann"] })).toBe(2);
    await ask("bob");
    await ask("ann");
    expect(bare.batches).toHaveLength(3);
  });
});

describe("in time", () => {
  afterEach(() => void vi.useRealTimers());

  function travelling(cache: CacheOptions) {
    vi.useFakeTimers({ toFake: ["Date", "performance"] });
    return setting({ cache, coalesce: true });
  }

  it("stale texts are given at once and asked for anew together", async () => {
    const { bare, fast, facts } = travelling({ ttlMs: 1_000, staleMs: 5_000 });
    await fast.embedDocuments(texts(0, 40));
    vi.advanceTimersByTime(1_000);
    expect((await fast.embedDocuments(texts(0, 40)))[7]).toEqual([6, 1]);
    expect(facts.at(-1)?.cache).toMatchObject({ status: "hit", items: { total: 40, hits: 40 } });
    await settle();
    expect(bare.batches).toHaveLength(2);
    expect(bare.batches[1]).toHaveLength(40);
    expect((await fast.embedDocuments(texts(0, 40)))[7]).toEqual([6, 2]);
  });

  it("old vectors answer when the provider fails", async () => {
    const { bare, fast } = travelling({ ttlMs: 1_000, staleIfErrorMs: 5_000 });
    await fast.embedDocuments(["a", "b"]);
    vi.advanceTimersByTime(1_000);
    bare.answer = () => {
      throw new Error("down");
    };
    expect(await fast.embedDocuments(["a", "b"])).toEqual([[1, 1], [1, 1]]);
    await expect(fast.embedDocuments(["a", "c"])).rejects.toThrow("down");
  });
});

it("embeddings that name no model count by themselves", async () => {
  class Nameless extends FakeEmbeddings {
    declare readonly model: never;
    constructor() {
      super({});
      delete (this as { model?: unknown }).model;
    }
  }
  const perf = createPerf();
  const [one, other] = [new Nameless(), new Nameless()];
  for (const embeddings of [one, other, one]) await withPerf(embeddings, perf).embedDocuments(["a"]);
  expect([one.counts.embeddings, other.counts.embeddings]).toEqual([1, 1]);
});
