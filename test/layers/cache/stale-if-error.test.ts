import { createPerf, withPerf, type CacheOptions, type Perf } from "langchain-perf";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { FakeLLM } from "../../support/fakes/llm.ts";
import { Faucet, Gate, settle } from "../support/gate.ts";
import { listening } from "../support/listening.ts";
import { words } from "../support/readers.ts";
import { Numbered, wishing } from "../support/replies.ts";
import { ScriptedChat, textChunks, textResult } from "../support/scripted-chat.ts";

beforeEach(() => void vi.useFakeTimers({ toFake: ["Date", "performance"] }));
afterEach(() => void vi.useRealTimers());

const TIMES: CacheOptions = { ttlMs: 1_000, staleMs: 1_000, staleIfErrorMs: 10_000 };
const down = new Error("down");

/** An answer that is older than stale, for each way to wait for the other. */
async function expired(coalesce: boolean, model: ScriptedChat = new Numbered(), cache: CacheOptions = TIMES) {
  const { perf, facts } = listening({ cache, ...(coalesce ? { coalesce } : {}) });
  const fast = withPerf(model, perf);
  const ask = async (): Promise<string> => (await fast.invoke("q")).text;
  const stream = async (): Promise<string[]> => (await Array.fromAsync(await fast.stream("q"))).map(({ text }) => text);
  await ask();
  vi.advanceTimersByTime(2_000);
  return { perf, facts, fast, model: model as Numbered, ask, stream };
}

describe.each([true, false])("an answer past its time (coalesced: %s)", (coalesce) => {
  it("is not given while the model answers", async () => {
    const { ask, facts } = await expired(coalesce);
    expect(await ask()).toBe("answer 2");
    expect(facts.map(({ cache }) => cache?.status)).toEqual(["miss", "miss"]);
  });

  it("is given when the model fails, to invoke and stream, with usage zero and no error", async () => {
    const { ask, stream, model, facts } = await expired(coalesce);
    model.failure = down;
    expect(await ask()).toBe("answer 1");
    expect(await stream()).toEqual(["answer 1"]);
    expect(model.seen).toHaveLength(3);
    for (const fact of facts.slice(1)) expect(fact).toMatchObject({ cache: { status: "stale", tier: "memory", ageMs: 2_000 } });
    expect(facts.every(({ error }) => error === undefined)).toBe(true);
  });

  it("is a copy with an id of its own", async () => {
    const { fast, model } = await expired(coalesce);
    model.failure = down;
    const [one, other] = [await fast.invoke("q"), await fast.invoke("q")];
    expect(one.id).not.toBe(other.id);
    one.content = "changed";
    expect((await fast.invoke("q")).text).toBe("answer 1");
  });

  it("does not become fresh by being given", async () => {
    const { ask, model } = await expired(coalesce);
    model.failure = down;
    await ask();
    model.failure = undefined;
    expect(await ask()).toBe("answer 3");
  });

  it("is gone when all its time is up", async () => {
    const { ask, stream, model } = await expired(coalesce);
    model.failure = down;
    vi.advanceTimersByTime(9_999);
    expect(await ask()).toBe("answer 1");
    vi.advanceTimersByTime(1);
    await expect(ask()).rejects.toBe(down);
    await expect(stream()).rejects.toBe(down);
  });

  it("is not given to whoever asked for a newer one", async () => {
    const { fast, model } = await expired(coalesce);
    model.failure = down;
    await expect(fast.invoke("q", wishing({ cache: "refresh" }))).rejects.toBe(down);
    await expect(fast.invoke("q", wishing({ cache: "bypass" }))).rejects.toBe(down);
  });

  it("is not given to whoever left", async () => {
    const gate = new Gate<never>();
    const model = new ScriptedChat({ whole: (_call, nth) => (nth === 1 ? textResult("answer 1") : gate.promise) });
    const { fast } = await expired(coalesce, model);
    const caller = new AbortController();
    const asked = fast.invoke("q", { signal: caller.signal });
    const failure = asked.then(() => undefined, (error: unknown) => error);
    await settle();
    caller.abort(new Error("left"));
    gate.fail(caller.signal.reason);
    expect(await failure).toBe(caller.signal.reason);
  });

  it("is not mixed with what a stream has given before it broke", async () => {
    const faucet = new Faucet<ReturnType<typeof words>[number]>();
    const model = new ScriptedChat({ stream: (_call, nth) => (nth === 1 ? textChunks(["answer", " 1"]) : faucet) });
    const { fast } = await expired(coalesce, model);
    faucet.push(...words("new "));
    faucet.fail(down);
    const texts: string[] = [];
    const read = async (): Promise<void> => {
      for await (const { text } of await fast.stream("q")) texts.push(text);
    };
    await expect(read()).rejects.toBe(down);
    expect(texts).toEqual(["new "]);
  });

  it("replays the chunks that it was streamed in", async () => {
    const perf = createPerf({ cache: TIMES, ...(coalesce ? { coalesce } : {}) });
    const model = new Numbered();
    const fast = withPerf(model, perf);
    await Array.fromAsync(await fast.stream("q"));
    vi.advanceTimersByTime(2_000);
    model.failure = down;
    expect((await Array.fromAsync(await fast.stream("q"))).map(({ text }) => text)).toEqual(["answer", " 1"]);
    expect((await fast.invoke("q")).text).toBe("answer 1");
  });

  it("is asked for in one upstream call where calls are shared", async () => {
    const gate = new Gate<never>();
    const model = new ScriptedChat({ whole: (_call, nth) => (nth === 1 ? textResult("answer 1") : gate.promise) });
    const { ask, facts } = await expired(coalesce, model);
    const asked = Promise.all([ask(), ask(), ask()]);
    await settle();
    gate.fail(down);
    expect(await asked).toEqual(["answer 1", "answer 1", "answer 1"]);
    expect(model.seen).toHaveLength(coalesce ? 2 : 4);
    expect(facts.slice(1).map(({ cache, error }) => [cache?.status, error])).toEqual([["stale", undefined], ["stale", undefined], ["stale", undefined]]);
  });
});

describe("an old answer that is no longer good when the model has failed", () => {
  it.each<[string, (perf: Perf) => unknown]>([
    ["because it was invalidated meanwhile", (perf) => perf.cache.invalidate({ tags: ["alice"] })],
    ["because its time was up meanwhile", () => vi.advanceTimersByTime(10_000)],
  ])("is not given: %s", async (_name, spoil) => {
    const { perf, facts } = listening({ cache: TIMES, coalesce: true });
    const gate = new Gate();
    let broken = false;
    const work = perf.cached("work", async () => {
      if (!broken) return "old";
      await gate.promise;
      throw down;
    }, { tags: ["alice"] });
    await work();
    vi.advanceTimersByTime(2_000);
    broken = true;
    const asked = work().catch((error: unknown) => error);
    await settle();
    await spoil(perf);
    gate.open();
    expect(await asked).toBe(down);
    expect(facts.at(-1)?.error?.message).toBe("down");
  });
});

describe("an error", () => {
  it("is never kept", async () => {
    const model = new Numbered();
    const fast = withPerf(model, createPerf({ cache: TIMES, coalesce: true }));
    model.failure = down;
    await expect(fast.invoke("q")).rejects.toBe(down);
    model.failure = undefined;
    expect((await fast.invoke("q")).text).toBe("answer 2");
  });

  it("is answered from the cache for LLMs and functions too", async () => {
    const perf = createPerf({ cache: TIMES, coalesce: true });
    let broken = false;
    const work = perf.cached("work", async (n: number) => {
      if (broken) throw down;
      return { n };
    });
    class Breaking extends FakeLLM {
      override async _call(...args: Parameters<FakeLLM["_call"]>): Promise<string> {
        if (broken) throw down;
        return super._call(...args);
      }
    }
    const llm = withPerf(new Breaking({ maxRetries: 0 }), perf);
    const [answer, result] = [await llm.invoke("q"), await work(1)];
    vi.advanceTimersByTime(2_000);
    broken = true;
    expect([await llm.invoke("q"), await work(1)]).toEqual([answer, result]);
    await expect(work(2)).rejects.toBe(down);
    vi.advanceTimersByTime(10_000);
    await expect(work(1)).rejects.toBe(down);
  });
});
