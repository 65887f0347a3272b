import { RunnableLambda } from "@langchain/core/runnables";
import { describe, expect, it } from "vitest";
import { CacheMissError, type CallFacts, type CallWishes, createPerf, type PerfOptions, withPerf } from "langchain-perf";
import type { FakeChatModel } from "../support/fakes/chat-model.ts";
import { createFakeKit } from "../support/fakes/kit.ts";
import { allOf, errorOf } from "./fixtures/ways.ts";

const wishes = (perf: CallWishes) => ({ configurable: { perf } });

/** A model whose answer tells how often it was asked. */
function setUp(options: PerfOptions = { cache: true, coalesce: true }) {
  const kit = createFakeKit();
  const perf = createPerf(options);
  const calls: CallFacts[] = [];
  perf.on("call", (facts) => void (facts.kind === "chat" && calls.push(facts)));
  const model: FakeChatModel = kit.chat({ reply: ({ attempt }) => `answer ${attempt}`, delayMs: 1 });
  const fast = withPerf(model, perf);
  const ask = async (cache?: CallWishes["cache"]): Promise<string> => (await fast.invoke("Hello", cache ? wishes({ cache }) : {})).text;
  return { kit, perf, calls, fast, model, ask };
}

describe("cache control of one call", () => {
  it("use: answers from the cache where it can", async () => {
    const { ask } = setUp();
    expect([await ask("use"), await ask("use"), await ask()]).toEqual(["answer 1", "answer 1", "answer 1"]);
  });

  it("refresh: asks the model and replaces the entry", async () => {
    const { ask, calls } = setUp();
    expect([await ask(), await ask("refresh"), await ask(), await ask("refresh"), await ask()]).toEqual(["answer 1", "answer 2", "answer 2", "answer 3", "answer 3"]);
    expect(calls.map(({ cache }) => cache?.status)).toEqual(["miss", "miss", "hit", "miss", "hit"]);
  });

  it("bypass: neither reads nor writes, and shares no call in flight", async () => {
    const { ask, calls, perf } = setUp();
    expect(new Set(await Promise.all([ask("bypass"), ask("bypass"), ask("bypass")]))).toEqual(new Set(["answer 1", "answer 2", "answer 3"]));
    expect(perf.cache.stats().entries).toBe(0);
    await ask();
    expect(await ask("bypass")).toBe("answer 5");
    expect(await ask()).toBe("answer 4");
    expect(calls.filter(({ cache }) => cache?.status === "bypass").every(({ coalesced }) => coalesced === undefined)).toBe(true);
  });

  it("only: answers from the cache or throws CacheMissError, without asking the model", async () => {
    const { ask, kit, fast } = setUp();
    const error = await errorOf(ask("only"));
    expect(error).toBeInstanceOf(CacheMissError);
    expect(CacheMissError.isInstance(error)).toBe(true);
    expect(error).toMatchObject({ code: "PERF_CACHE_MISS" });
    expect(await errorOf(allOf(fast.stream("Hello", wishes({ cache: "only" }))))).toBeInstanceOf(CacheMissError);
    expect(kit.counts.chat).toBe(0);
    await ask();
    expect(await ask("only")).toBe("answer 1");
    expect((await allOf(fast.stream("Hello", wishes({ cache: "only" })))).map(({ text }) => text).join("")).toBe("answer 1");
  });

  it("only: throws where there is no cache at all", async () => {
    const { ask, kit } = setUp({ coalesce: true });
    expect(await errorOf(ask("only"))).toBeInstanceOf(CacheMissError);
    expect(kit.counts.chat).toBe(0);
  });

  it("holds for every call below, until a call below says otherwise", async () => {
    const { model, perf, kit } = setUp();
    const chain = withPerf(RunnableLambda.from(async (text: string) => [(await model.invoke(text)).text, (await model.invoke(text, wishes({ cache: "use" }))).text]), perf);
    expect(await chain.invoke("Hello", wishes({ cache: "bypass" }))).toEqual(["answer 1", "answer 2"]);
    expect(await chain.invoke("Hello", wishes({ cache: "bypass" }))).toEqual(["answer 3", "answer 2"]);
    expect(kit.counts.chat).toBe(3);
  });

  it("is the stream's too: refresh and bypass", async () => {
    const { fast } = setUp();
    const text = async (cache: CallWishes["cache"] & string): Promise<string> => (await allOf(fast.stream("Hello", wishes({ cache })))).map((chunk) => chunk.text).join("");
    expect([await text("use"), await text("refresh"), await text("use"), await text("bypass"), await text("use")]).toEqual(["answer 1", "answer 2", "answer 2", "answer 3", "answer 2"]);
  });

  it("takes a time to live and tags for what it writes", async () => {
    const { fast, perf, kit } = setUp();
    await fast.invoke("short", wishes({ ttlMs: 0 }));
    expect(perf.cache.stats().entries).toBe(0);
    await fast.invoke("tagged", wishes({ tags: ["docs-v3", "other"] }));
    await fast.invoke("plain");
    expect(await perf.cache.invalidate({ tags: ["docs-v3"] })).toBe(1);
    await fast.invoke("plain");
    await fast.invoke("tagged");
    expect(kit.counts.chat).toBe(4);
  });
});
