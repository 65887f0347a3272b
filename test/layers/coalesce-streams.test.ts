import type { AIMessageChunk } from "@langchain/core/messages";
import { withPerf } from "langchain-perf";
import { describe, expect, it } from "vitest";
import { Gate, settle } from "./support/gate.ts";
import { listening } from "./support/listening.ts";
import { faucets, last, Reading, words } from "./support/readers.ts";
import { ScriptedChat, textResult } from "./support/scripted-chat.ts";

describe("equal streams in flight", () => {
  it("give a late joiner the prefix at once, and each reader its own pace", async () => {
    const { model, taps } = faucets();
    const fast = withPerf(model, listening().perf);
    const first = new Reading(fast.stream("q"));
    await settle();
    taps[0]!.push(...words("a", "b"));
    await settle();
    expect(first.texts).toEqual(["a", "b"]);
    const late = new Reading(fast.stream("q"));
    const slow = (await fast.stream("q"))[Symbol.asyncIterator]();
    await settle();
    expect(late.texts).toEqual(["a", "b"]);
    taps[0]!.push(...words("c"), last);
    taps[0]!.end();
    await Promise.all([first.done, late.done]);
    expect(first.texts).toEqual(["a", "b", "c", "!"]);
    expect(late.texts).toEqual(first.texts);
    const unhurried: string[] = [];
    for (let next = await slow.next(); !next.done; next = await slow.next()) unhurried.push((next.value as AIMessageChunk).text);
    expect(unhurried).toEqual(first.texts);
    expect(taps).toHaveLength(1);
  });

  it("share with invoke: whoever comes first leads", async () => {
    const { model, taps } = faucets();
    const fast = withPerf(model, listening().perf);
    const stream = new Reading(fast.stream("q"));
    await settle();
    const whole = fast.invoke("q");
    await settle();
    taps[0]!.push(...words("a", "b"), last);
    taps[0]!.end();
    expect((await whole).text).toBe("ab!");
    await stream.done;
    expect(stream.texts).toEqual(["a", "b", "!"]);

    const gate = new Gate();
    const slow = new ScriptedChat({ whole: async () => (await gate.promise, textResult("whole")) });
    const other = withPerf(slow, listening().perf);
    const invoked = other.invoke("q");
    await settle();
    const streamed = new Reading(other.stream("q"));
    await settle();
    gate.open();
    expect((await invoked).text).toBe("whole");
    await streamed.done;
    expect(streamed.texts).toEqual(["whole"]);
    expect(slow.seen).toHaveLength(1);
  });

  it("go on for the leader when a follower aborts", async () => {
    const { model, taps } = faucets();
    const fast = withPerf(model, listening().perf);
    const leader = new Reading(fast.stream("q"));
    await settle();
    const abort = new AbortController();
    const follower = new Reading(fast.stream("q", { signal: abort.signal }));
    const invoked = fast.invoke("q", { signal: abort.signal });
    taps[0]!.push(...words("a"));
    await settle();
    const reason = new Error("gone");
    abort.abort(reason);
    await expect(invoked).rejects.toThrow("gone");
    await follower.done;
    expect(follower.error).toBe(reason);
    expect(model.seen[0]!.signal?.aborted).toBe(false);
    taps[0]!.push(last);
    taps[0]!.end();
    await leader.done;
    expect(leader.texts).toEqual(["a", "!"]);
  });

  it("go on for the followers when the leader aborts, and the answer is kept", async () => {
    const { model, taps } = faucets();
    const { perf, facts } = listening();
    const fast = withPerf(model, perf);
    const abort = new AbortController();
    const leader = new Reading(fast.stream("q", { signal: abort.signal }));
    await settle();
    taps[0]!.push(...words("a"));
    const followers = [new Reading(fast.stream("q")), new Reading(fast.stream("q"))];
    await settle();
    abort.abort(new Error("gone"));
    await leader.done;
    expect(leader.error).toMatchObject({ message: "gone" });
    expect(model.seen[0]!.signal?.aborted).toBe(false);
    taps[0]!.push(...words("b"), last);
    taps[0]!.end();
    for (const follower of followers) {
      await follower.done;
      expect(follower.texts).toEqual(["a", "b", "!"]);
    }
    expect((await fast.invoke("q")).text).toBe("ab!");
    expect(taps).toHaveLength(1);
    expect(facts.at(-1)?.cache?.status).toBe("hit");
    expect(perf.cache.stats().entries).toBe(1);
  });

  it("go on for invoke when the leading stream is left early, and the answer is kept", async () => {
    const { model, taps } = faucets();
    const fast = withPerf(model, listening().perf);
    const starting = fast.stream("q");
    await settle();
    taps[0]!.push(...words("a"));
    const leader = (await starting)[Symbol.asyncIterator]();
    await leader.next();
    const whole = fast.invoke("q");
    await settle();
    await leader.return?.();
    taps[0]!.push(...words("b"), last);
    taps[0]!.end();
    expect((await whole).text).toBe("ab!");
    expect((await Array.fromAsync(await fast.stream("q"))).map(({ text }) => text).join("")).toBe("ab!");
    expect(taps).toHaveLength(1);
  });

  it("end upstream when all readers have gone, and the next call starts anew", async () => {
    const { model, taps } = faucets();
    const fast = withPerf(model, listening().perf);
    const aborts = [new AbortController(), new AbortController()];
    const readings = aborts.map(({ signal }) => new Reading(fast.stream("q", { signal })));
    await settle();
    taps[0]!.push(...words("a"));
    await settle();
    aborts[0]!.abort();
    await settle();
    expect(model.seen[0]!.signal?.aborted).toBe(false);
    aborts[1]!.abort();
    await Promise.all(readings.map(({ done }) => done));
    await settle();
    expect(model.seen[0]!.signal?.aborted).toBe(true);
    const next = new Reading(fast.stream("q"));
    await settle();
    expect(taps).toHaveLength(2);
    taps[1]!.push(last);
    taps[1]!.end();
    await next.done;
    expect(next.texts).toEqual(["!"]);
  });

  it("end upstream when all readers break out of their loops", async () => {
    const { model, taps } = faucets();
    const fast = withPerf(model, listening().perf);
    const starting = Promise.all([fast.stream("q"), fast.stream("q")]);
    await settle();
    taps[0]!.push(...words("a", "b"));
    await Promise.all((await starting).map(async (reader) => {
      for await (const _ of reader) break;
    }));
    await settle();
    expect(model.seen[0]!.signal?.aborted).toBe(true);
    expect(taps).toHaveLength(1);
  });

  it("let go of a reader at once though the model is deaf to its signal", async () => {
    const { model } = faucets();
    const fast = withPerf(model, listening().perf);
    const abort = new AbortController();
    const reading = new Reading(fast.stream("q", { signal: abort.signal }));
    const invoked = fast.invoke("q", { signal: abort.signal });
    await settle();
    abort.abort(new Error("gone"));
    await reading.done;
    await expect(invoked).rejects.toThrow("gone");
    expect(model.seen).toHaveLength(1);
  });

  it("fail for all readers after what had come", async () => {
    const { model, taps } = faucets();
    const { perf } = listening();
    const fast = withPerf(model, perf);
    const readings = [new Reading(fast.stream("q")), new Reading(fast.stream("q"))];
    const invoked = fast.invoke("q");
    await settle();
    const failure = new TypeError("terminated");
    taps[0]!.push(...words("a"));
    taps[0]!.fail(failure);
    await expect(invoked).rejects.toBe(failure);
    for (const reading of readings) {
      await reading.done;
      expect(reading.texts).toEqual(["a"]);
      expect(reading.error).toBe(failure);
    }
    expect(perf.cache.stats().entries).toBe(0);
  });
});
