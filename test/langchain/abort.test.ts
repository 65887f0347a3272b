import { HumanMessage } from "@langchain/core/messages";
import { RunnableLambda } from "@langchain/core/runnables";
import { describe, expect, it, vi } from "vitest";
import { createPerf, withPerf } from "langchain-perf";
import { FakeChatModel } from "../support/fakes/chat-model.ts";
import { QueuedChatModel } from "./fixtures/queued-model.ts";
import { StallingChatModel } from "./fixtures/stalling-model.ts";
import { allOf, errorOf, WAYS } from "./fixtures/ways.ts";

describe.each(WAYS)("aborting a call of a %s program", (_way, wrap) => {
  it("ends a call that runs, with the signal's reason, and the model hears of it", async () => {
    const model = new StallingChatModel();
    const abort = new AbortController();
    const call = errorOf(wrap(model).invoke("Hello", { signal: abort.signal }));
    await vi.waitUntil(() => model.opened === 1, { interval: 1 });
    abort.abort(new Error("no longer wanted"));
    expect(await call).toBe(abort.signal.reason);
    expect(model.reasons).toEqual([abort.signal.reason]);
    expect(model.ended).toBe(1);
  });

  it("ends a stream that runs", async () => {
    const model = new StallingChatModel();
    const abort = new AbortController();
    const seen: string[] = [];
    const read = async (): Promise<void> => {
      for await (const chunk of await wrap(model).stream("Hello", { signal: abort.signal })) {
        seen.push(chunk.text);
        if (seen.length === 2) abort.abort(new Error("no longer wanted"));
      }
    };
    expect(await errorOf(read())).toBe(abort.signal.reason);
    expect(seen).toEqual(["0 ", "1 "]);
    await vi.waitUntil(() => model.ended === 1, { interval: 1 });
  });

  it("ends a chain", async () => {
    const model = new StallingChatModel();
    const abort = new AbortController();
    const chain = wrap(RunnableLambda.from((text: string) => text).pipe(model));
    const call = errorOf(chain.invoke("Hello", { signal: abort.signal }));
    await vi.waitUntil(() => model.opened === 1, { interval: 1 });
    abort.abort(new Error("no longer wanted"));
    expect(await call).toBe(abort.signal.reason);
    expect(model.ended).toBe(1);
  });

  it("does not begin a call whose signal has aborted", async () => {
    const model = wrap(new FakeChatModel());
    const signal = AbortSignal.abort(new Error("too late"));
    expect(await errorOf(model.invoke("Hello", { signal }))).toBe(signal.reason);
    expect(await errorOf(allOf(model.stream("Hello", { signal })))).toBe(signal.reason);
    await model.invoke("Hello");
    expect(await errorOf(model.invoke("Hello", { signal }))).toBe(signal.reason);
    expect(await errorOf(allOf(model.stream("Hello", { signal })))).toBe(signal.reason);
  });

  it("ends a call that waits in the model's queue, and leaves the others alone", async () => {
    const model = new QueuedChatModel({ maxConcurrency: 1, delayMs: 20 });
    const abort = new AbortController();
    const shown = wrap(model);
    const calls = ["first", "second", "third"].map((text) => shown.invoke(text, text === "second" ? { signal: abort.signal } : {}));
    const second = errorOf(calls[1] as Promise<unknown>);
    await vi.waitUntil(() => model.active === 1, { interval: 1 });
    abort.abort();
    expect(((await second) as Error).name).toBe("AbortError");
    expect(model.active).toBe(1);
    expect((await calls[0])?.text).toContain("first");
    expect((await calls[2])?.text).toContain("third");
  });

  it("gives up after `timeout`", async () => {
    const model = new StallingChatModel();
    const error = (await errorOf(wrap(model).invoke("Hello", { timeout: 20 }))) as Error;
    expect(error.name).toBe("TimeoutError");
    expect(model.ended).toBe(1);
    const chain = wrap(RunnableLambda.from((text: string) => text).pipe(model));
    expect(((await errorOf(allOf(chain.stream("Hello", { timeout: 20 })))) as Error).name).toBe("TimeoutError");
    await vi.waitUntil(() => model.ended === 2, { interval: 1 });
  });
});

describe("aborting one of those who share a call", () => {
  const sharing = (model: StallingChatModel | FakeChatModel): FakeChatModel => withPerf(model, { coalesce: true });

  it("ends a waiting follower alone", async () => {
    const model = new FakeChatModel({ delayMs: 30 });
    const abort = new AbortController();
    const shared = sharing(model);
    const leader = shared.invoke("Hello");
    const follower = errorOf(shared.invoke("Hello", { signal: abort.signal }));
    await vi.waitUntil(() => model.counts.chat === 1, { interval: 1 });
    abort.abort(new Error("no longer wanted"));
    expect(await follower).toBe(abort.signal.reason);
    expect((await leader).text).toContain("Hello");
    expect(model.counts.chat).toBe(1);
  });

  it("hands the call over when the leader goes", async () => {
    const model = new FakeChatModel({ delayMs: 30 });
    const abort = new AbortController();
    const shared = sharing(model);
    const leader = errorOf(shared.invoke("Hello", { signal: abort.signal }));
    const follower = shared.invoke("Hello");
    await vi.waitUntil(() => model.counts.chat === 1, { interval: 1 });
    abort.abort(new Error("no longer wanted"));
    expect(await leader).toBe(abort.signal.reason);
    expect((await follower).text).toContain("Hello");
    expect(model.counts.chat).toBe(1);
  });

  it("ends the upstream call when all have gone", async () => {
    const model = new StallingChatModel();
    const aborts = [new AbortController(), new AbortController()];
    const shared = sharing(model);
    const calls = aborts.map(({ signal }) => errorOf(shared.invoke([new HumanMessage("Hello")], { signal })));
    await vi.waitUntil(() => model.opened === 1, { interval: 1 });
    aborts[0]?.abort(new Error("first"));
    await calls[0];
    expect(model.reasons).toEqual([]);
    aborts[1]?.abort(new Error("second"));
    expect(await calls[1]).toBe(aborts[1]?.signal.reason);
    await vi.waitUntil(() => model.ended === 1, { interval: 1 });
    expect(model.opened).toBe(1);
  });

  it("keeps no aborted answer", async () => {
    const model = new FakeChatModel({ chunkDelayMs: 5 });
    await using perf = createPerf({ cache: true, coalesce: true });
    const fast = withPerf(model, perf);
    const abort = new AbortController();
    const read = async (): Promise<void> => {
      for await (const _ of await fast.stream("Hello", { signal: abort.signal })) abort.abort(new Error("no longer wanted"));
    };
    expect(await errorOf(read())).toBe(abort.signal.reason);
    expect(perf.cache.stats().entries).toBe(0);
  });
});
