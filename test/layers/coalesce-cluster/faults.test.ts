import { StreamInterruptedError } from "langchain-perf";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { eventually, sharedRedis, startRedis, type SharedServer } from "../../support/services.ts";
import { last, Reading, words } from "../support/readers.ts";
import { type Member, members } from "./member.ts";

let redis: SharedServer;
beforeAll(async () => {
  redis = await sharedRedis();
});
afterAll(() => redis.stop());

describe("a leader whose model fails", () => {
  it("keeps its error to itself: the other process asks its own model, each once", async () => {
    await using pair = await members(redis.url, 2);
    const [one, other] = [...pair] as [Member, Member];
    const leader = one.fast.invoke("q");
    await eventually(() => one.gates.length === 1);
    const follower = other.fast.invoke("q");
    await pair.followed();
    one.gates[0]!.fail(new Error("the leader's own"));
    await expect(leader).rejects.toThrow("the leader's own");
    await eventually(() => other.gates.length === 1);
    other.gates[0]!.open("fine");
    expect((await follower).text).toBe("fine");
    expect(other.facts).toMatchObject([{ coalesced: "leader" }]);
    expect(other.facts[0]!.leaderId).toBeUndefined();
  });

  it("after some parts interrupts the streams that have these", async () => {
    await using pair = await members(redis.url, 2);
    const [one, other] = [...pair] as [Member, Member];
    const leader = new Reading(one.fast.stream("q"));
    await eventually(() => one.taps.length === 1);
    const follower = new Reading(other.fast.stream("q"));
    one.taps[0]!.push(...words("a"));
    await eventually(() => follower.texts.length === 1);
    one.taps[0]!.fail(new Error("the leader's own"));
    await Promise.all([leader.done, follower.done]);
    expect(leader.error).toMatchObject({ message: "the leader's own" });
    expect(follower.error).toBeInstanceOf(StreamInterruptedError);
  });
});

describe("an abort", () => {
  it("ends the following at once and leaves the leader alone", async () => {
    await using pair = await members(redis.url, 2);
    const [one, other] = [...pair] as [Member, Member];
    const leader = new Reading(one.fast.stream("q"));
    await eventually(() => one.taps.length === 1);
    const abort = new AbortController();
    const follower = other.fast.invoke("q", { signal: abort.signal });
    await pair.followed(1);
    abort.abort(new Error("gone"));
    await expect(follower).rejects.toThrow("gone");
    await pair.followed(0);
    one.taps[0]!.push(...words("a"), last);
    one.taps[0]!.end();
    await leader.done;
    expect(leader.texts).toEqual(["a", "!"]);
    expect(other.asked).toBe(0);
  });

  it("of the leader's last caller lets another process lead at once, though the model is deaf", async () => {
    await using pair = await members(redis.url, 2);
    const [one, other] = [...pair] as [Member, Member];
    const abort = new AbortController();
    const leader = one.fast.invoke("q", { signal: abort.signal });
    await eventually(() => one.gates.length === 1);
    const follower = other.fast.invoke("q");
    await pair.followed();
    abort.abort(new Error("gone"));
    await expect(leader).rejects.toThrow("gone");
    // Far less than a lease lasts.
    await eventually(() => other.gates.length === 1, { timeoutMs: 3_000 });
    other.gates[0]!.open("fine");
    expect((await follower).text).toBe("fine");
  });
});

describe("an answer that is too large to share", () => {
  it("is asked for by each process itself", async () => {
    await using pair = await members(redis.url, 2);
    const [one, other] = [...pair] as [Member, Member];
    const leader = one.fast.invoke("q");
    await eventually(() => one.gates.length === 1);
    const follower = other.fast.invoke("q");
    await pair.followed();
    one.gates[0]!.open("x".repeat(9 * 2 ** 20));
    expect((await leader).text).toHaveLength(9 * 2 ** 20);
    await eventually(() => other.gates.length === 1);
    other.gates[0]!.open("small");
    expect((await follower).text).toBe("small");
  });
});

describe("a perf that is closed", () => {
  it("gives up what it leads, so that nobody waits for it", async () => {
    await using pair = await members(redis.url, 2);
    const [one, other] = [...pair] as [Member, Member];
    void one.fast.invoke("q").catch(() => {});
    await eventually(() => one.gates.length === 1);
    const follower = other.fast.invoke("q");
    await pair.followed();
    await one.perf.close();
    await eventually(() => other.gates.length === 1, { timeoutMs: 3_000 });
    other.gates[0]!.open("fine");
    expect((await follower).text).toBe("fine");
    one.gates[0]!.open("too late");
  });
});

describe.concurrent("a Redis that goes away in the middle", () => {
  for (const fault of ["kill", "freeze"] as const) {
    it(`(${fault}) fails no call: who has no parts yet asks his own model, who has some hears of it, and the leader goes on`, async () => {
      await using server = await startRedis();
      await using trio = await members(server.url, 3);
      const [one, empty, begun] = [...trio] as [Member, Member, Member];
      const leader = new Reading(one.fast.stream("q"));
      await eventually(() => one.taps.length === 1);
      const interrupted = new Reading(begun.fast.stream("q"));
      one.taps[0]!.push(...words("a"));
      await eventually(() => interrupted.texts.length === 1);
      const invoked = empty.fast.invoke("q");
      await trio.followed();
      await server[fault]();
      one.taps[0]!.push(...words("b"), last);
      one.taps[0]!.end();
      await leader.done;
      expect(leader.texts).toEqual(["a", "b", "!"]);
      const alone = one.fast.invoke("another");
      await eventually(() => one.gates.length === 1);
      one.gates[0]!.open("without Redis");
      expect((await alone).text).toBe("without Redis");
      await eventually(() => empty.gates.length === 1, { timeoutMs: 10_000 });
      empty.gates[0]!.open("own");
      expect((await invoked).text).toBe("own");
      await interrupted.done;
      expect(interrupted.error).toMatchObject({ code: "PERF_STREAM_INTERRUPTED", partsDelivered: 1 });
    });
  }

  it("and comes back in time costs nobody anything", async () => {
    await using server = await startRedis();
    await using pair = await members(server.url, 2);
    const [one, other] = [...pair] as [Member, Member];
    const leader = new Reading(one.fast.stream("q"));
    await eventually(() => one.taps.length === 1);
    const follower = new Reading(other.fast.stream("q"));
    one.taps[0]!.push(...words("a"));
    await eventually(() => follower.texts.length === 1);
    let failures = 0;
    one.perf.on("store-error", () => void (failures += 1));
    server.freeze();
    one.taps[0]!.push(...words("b"));
    await eventually(() => failures > 0);
    server.thaw();
    one.taps[0]!.push(last);
    one.taps[0]!.end();
    await Promise.all([leader.done, follower.done]);
    expect(follower).toMatchObject({ ended: true, texts: ["a", "b", "!"] });
  });
});
