import { OptionError, createPerf, withPerf } from "langchain-perf";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { FakeEmbeddings } from "../../support/fakes/embeddings.ts";
import { eventually, sharedRedis, type SharedServer } from "../../support/services.ts";
import { Gate } from "../support/gate.ts";
import { last, Reading, words } from "../support/readers.ts";
import { wishing } from "../support/replies.ts";
import { chunk } from "../support/scripted-chat.ts";
import { Member, members } from "./member.ts";

let redis: SharedServer;
beforeAll(async () => {
  redis = await sharedRedis();
});
afterAll(() => redis.stop());

describe("a stream that two processes ask for", () => {
  it("is one upstream call, and the other process has each chunk before the next one is let out", async () => {
    await using pair = await members(redis.url, 2);
    const [one, other] = [...pair] as [Member, Member];
    const leader = new Reading(one.fast.stream("q"));
    await eventually(() => one.taps.length === 1);
    const followers = [new Reading(other.fast.stream("q")), new Reading(other.fast.stream("q"))];
    const said: string[] = [];
    for (const word of ["a", "b", "c", "d"]) {
      said.push(word);
      one.taps[0]!.push(...words(word));
      await eventually(() => followers.every(({ texts }) => texts.join() === said.join()));
    }
    one.taps[0]!.push(last);
    one.taps[0]!.end();
    await Promise.all([leader, ...followers].map(({ done }) => done));
    for (const reading of [leader, ...followers]) expect(reading).toMatchObject({ ended: true, texts: ["a", "b", "c", "d", "!"] });
    expect([one.asked, other.asked]).toEqual([1, 0]);
    const [lead] = one.facts;
    const [first] = other.facts;
    expect(lead).toMatchObject({ coalesced: "leader" });
    expect(first).toMatchObject({ coalesced: "follower", leaderId: lead!.id });
    expect(other.facts).toHaveLength(2);
  });

  it("is whole for one who comes in the middle, and for one who comes after the end", async () => {
    await using trio = await members(redis.url, 3);
    const [one, middle, late] = [...trio] as [Member, Member, Member];
    const leader = new Reading(one.fast.stream("q"));
    await eventually(() => one.taps.length === 1);
    one.taps[0]!.push(...words("a", "b"));
    await eventually(() => leader.texts.length === 2);
    const inMiddle = new Reading(middle.fast.stream("q"));
    await eventually(() => inMiddle.texts.length === 2);
    one.taps[0]!.push(last);
    one.taps[0]!.end();
    await Promise.all([leader.done, inMiddle.done]);
    await one.perf.flush();
    const resumed = new Reading(late.fast.stream("q"));
    await resumed.done;
    expect(inMiddle.texts).toEqual(["a", "b", "!"]);
    expect(resumed.texts).toEqual(["a", "b", "!"]);
    expect(middle.asked + late.asked).toBe(0);
  });

  it("carries tool calls in their pieces", async () => {
    await using pair = await members(redis.url, 2);
    const [one, other] = [...pair] as [Member, Member];
    const leader = one.fast.stream("q").then((parts) => Array.fromAsync(parts));
    await eventually(() => one.taps.length === 1);
    const follower = other.fast.stream("q").then((parts) => Array.fromAsync(parts));
    await pair.followed();
    const piece = (fields: object) => chunk({ content: "", tool_call_chunks: [{ type: "tool_call_chunk", index: 0, ...fields }] });
    one.taps[0]!.push(piece({ id: "call_1", name: "find", args: "" }), piece({ args: '{"a":' }), piece({ args: "1}" }), chunk({ content: "" }, { finish_reason: "tool_calls" }));
    one.taps[0]!.end();
    const [own, shared] = await Promise.all([leader, follower].map(async (parts) => (await parts).reduce((whole, part) => whole.concat(part))));
    expect(own!.tool_calls).toMatchObject([{ name: "find", args: { a: 1 }, id: "call_1" }]);
    expect(shared!.tool_calls).toMatchObject([{ name: "find", args: { a: 1 } }]);
    expect(shared!.tool_calls![0]!.id).not.toBe("call_1");
    expect(other.asked).toBe(0);
  });

  it("answers an `invoke` of another process, and the other way round", async () => {
    await using pair = await members(redis.url, 2);
    const [one, other] = [...pair] as [Member, Member];
    const streamed = new Reading(one.fast.stream("q"));
    await eventually(() => one.taps.length === 1);
    const invoked = other.fast.invoke("q");
    await pair.followed();
    one.taps[0]!.push(...words("a", "b"), last);
    one.taps[0]!.end();
    await streamed.done;
    expect((await invoked).text).toBe("ab!");
    const whole = one.fast.invoke("another");
    await eventually(() => one.gates.length === 1);
    const chunks = new Reading(other.fast.stream("another"));
    await pair.followed();
    one.gates[0]!.open("all of it");
    expect((await whole).text).toBe("all of it");
    await chunks.done;
    expect(chunks.texts.join("")).toBe("all of it");
    expect(other.asked).toBe(0);
  });

  it("is not shared between tenants, nor when it bypasses; a refresh shares with refreshes alone", async () => {
    await using pair = await members(redis.url, 2);
    const [one, other] = [...pair] as [Member, Member];
    const asking = [
      one.fast.invoke("q", wishing({ tenant: "a" })), one.fast.invoke("q", wishing({ cache: "bypass" })), one.fast.invoke("q", wishing({ cache: "refresh" })),
    ];
    await eventually(() => one.asked === 3);
    asking.push(other.fast.invoke("q", wishing({ tenant: "b" })), other.fast.invoke("q", wishing({ cache: "bypass" })), other.fast.invoke("q"));
    await eventually(() => other.asked === 3);
    const shared = other.fast.invoke("q", wishing({ cache: "refresh" }));
    await pair.followed();
    for (const gate of one.gates) gate.open("one");
    expect((await shared).text).toBe("one");
    for (const gate of other.gates) gate.open("other");
    expect((await Promise.all(asking)).map(({ text }) => text)).toEqual(["one", "one", "one", "other", "other", "other"]);
    // A refresh wants an answer from upstream, not one that a refresh before it has got.
    const again = other.fast.invoke("q", wishing({ cache: "refresh" }));
    await eventually(() => other.asked === 4);
    other.gates[3]!.open("newer");
    expect((await again).text).toBe("newer");
  });

  it("leaves Redis without plain text when the cache is encrypted", async () => {
    await using pair = await members(redis.url, 2, { encryptionKey: "a secret that is long enough to be one" });
    const [one, other] = [...pair] as [Member, Member];
    const leader = new Reading(one.fast.stream("q"));
    await eventually(() => one.taps.length === 1);
    const follower = new Reading(other.fast.stream("q"));
    one.taps[0]!.push(...words("very secret"));
    await eventually(() => follower.texts.length === 1);
    const { Redis } = await import("ioredis");
    const client = new Redis(redis.url);
    const lives = await client.keys("*{*}:live:*");
    const held = await Promise.all(lives.map(async (key) => (await client.xrangeBuffer(key, "-", "+")).toString()));
    client.disconnect();
    expect(lives.length).toBeGreaterThan(0);
    expect(held.join()).not.toContain("very secret");
    one.taps[0]!.push(last);
    one.taps[0]!.end();
    await Promise.all([leader.done, follower.done]);
    expect(follower.texts).toEqual(["very secret", "!"]);
  });
});

describe("an answer that was invalidated", () => {
  it("is resumed by nobody who asks afterwards", async () => {
    await using pair = await members(redis.url, 2);
    const [one, other] = [...pair] as [Member, Member];
    const whole = one.fast.invoke("q", wishing({ tags: ["t"] }));
    await eventually(() => one.gates.length === 1);
    one.gates[0]!.open("old");
    await whole;
    await one.perf.flush();
    await other.perf.cache.invalidate({ tags: ["t"] });
    const anew = other.fast.invoke("q");
    await eventually(() => other.gates.length === 1);
    other.gates[0]!.open("new");
    expect((await anew).text).toBe("new");
  });

  it("goes on for those who asked before, and is followed by nobody who asks afterwards", async () => {
    await using pair = await members(redis.url, 2);
    const [one, other] = [...pair] as [Member, Member];
    const leader = new Reading(one.fast.stream("q", wishing({ tags: ["any"] })));
    await eventually(() => one.taps.length === 1);
    const before = new Reading(other.fast.stream("q"));
    one.taps[0]!.push(...words("old"));
    await eventually(() => before.texts.length === 1);
    await other.perf.cache.invalidate({ tags: ["any"] });
    const after = new Reading(other.fast.stream("q"));
    await eventually(() => other.taps.length === 1);
    other.taps[0]!.push(...words("new"), last);
    other.taps[0]!.end();
    one.taps[0]!.push(last);
    one.taps[0]!.end();
    await Promise.all([leader.done, before.done, after.done]);
    expect(before.texts).toEqual(["old", "!"]);
    expect(after.texts).toEqual(["new", "!"]);
  });

  it("by a condition that cannot concern it is followed all the same", async () => {
    await using pair = await members(redis.url, 2);
    const [one, other] = [...pair] as [Member, Member];
    const leader = one.fast.invoke("q", wishing({ tags: ["t"] }));
    await eventually(() => one.gates.length === 1);
    for (const { perf } of pair) await perf.cache.invalidate({ key: "another" });
    await one.perf.cache.invalidate({ tenant: "another" });
    await other.perf.cache.invalidate({ namespace: "another", tags: ["t"] });
    const follower = other.fast.invoke("q");
    await pair.followed();
    one.gates[0]!.open("shared");
    expect([(await leader).text, (await follower).text]).toEqual(["shared", "shared"]);
    expect(other.asked).toBe(0);
  });

  it("is followed by no process that was started after the invalidation, and heard nothing of it", async () => {
    await using pair = await members(redis.url, 2);
    const [one, other] = [...pair] as [Member, Member];
    const whole = one.fast.invoke("whole");
    const open = one.fast.invoke("open");
    await eventually(() => one.gates.length === 2);
    one.gates[0]!.open("old");
    await whole;
    await one.perf.flush();
    await other.perf.cache.invalidate({ namespace: "default" });
    // And the question by which they connected.
    await pair.withdrawn(3);
    await using late = await new Member({ url: redis.url, keyPrefix: pair.keyPrefix }).connected();
    const anew = [late.fast.invoke("whole"), late.fast.invoke("open")];
    await eventually(() => late.gates.length === 2);
    for (const gate of late.gates) gate.open("new");
    expect((await Promise.all(anew)).map(({ text }) => text)).toEqual(["new", "new"]);
    one.gates[1]!.open("old");
    expect((await open).text).toBe("old");
  });
});

describe("embeddings of crossing batches", () => {
  it("ask for what nobody else asks for, without waiting for what somebody else does", async () => {
    const asked: string[] = [];
    const gate = new Gate();
    class Gated extends FakeEmbeddings {
      override async embedDocuments(texts: string[]): Promise<number[][]> {
        asked.push(...texts);
        await gate.promise;
        return super.embedDocuments(texts);
      }
    }
    await using pair = await members(redis.url, 2, { kinds: { embeddings: { id: "gated" } } });
    const [one, other] = Array.from(pair, ({ perf }) => withPerf(new Gated(), perf));
    const first = other!.embedDocuments(["y"]);
    await eventually(() => asked.length === 1);
    const forth = one!.embedDocuments(["x", "y"]);
    await eventually(() => asked.length === 2);
    const back = other!.embedDocuments(["y", "x", "z"]);
    await eventually(() => asked.length === 3);
    gate.open();
    const [[y], xy, yxz] = await Promise.all([first, forth, back]);
    expect(asked).toEqual(["y", "x", "z"]);
    expect(xy[1]).toEqual(y);
    expect(yxz.slice(0, 2)).toEqual(xy.toReversed());
  });

  it("end when they cross at the same time, with each text embedded once", async () => {
    const asked: string[] = [];
    class Counting extends FakeEmbeddings {
      override async embedDocuments(texts: string[]): Promise<number[][]> {
        asked.push(...texts);
        return super.embedDocuments(texts);
      }
    }
    await using pair = await members(redis.url, 2, { kinds: { embeddings: { id: "counting" } } });
    const [one, other] = Array.from(pair, ({ perf }) => withPerf(new Counting(), perf));
    const [forth, back] = await Promise.all([one!.embedDocuments(["x", "y"]), other!.embedDocuments(["y", "x"])]);
    expect(forth).toEqual(back.toReversed());
    expect(asked.sort()).toEqual(["x", "y"]);
  });
});

describe("the option", () => {
  it("needs a Redis for the processes to meet in, and says so", () => {
    expect(() => createPerf({ cache: true, coalesce: { scope: "cluster" } })).toThrow(OptionError);
    expect(() => createPerf({ cache: true, coalesce: { scope: "cluster" } })).toThrow(/cache\.redis/);
    expect(() => createPerf({ coalesce: { scope: "planet" as "cluster" } })).toThrow(OptionError);
  });
});
