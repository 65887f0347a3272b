import { randomUUID } from "node:crypto";
import { StreamInterruptedError } from "langchain-perf";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { eventually, sharedRedis, type SharedServer } from "../../support/services.ts";
import { last, Reading, words } from "../support/readers.ts";
import { followed, type Member, members } from "./member.ts";
import { RemoteMember } from "./remote-member.ts";

let redis: SharedServer;
beforeAll(async () => {
  redis = await sharedRedis();
});
afterAll(() => redis.stop());

describe("two hundred equal calls of four processes", () => {
  it("are one upstream call, though half of them are streams", async () => {
    const keyPrefix = `${randomUUID()}:`;
    await using processes = new AsyncDisposableStack();
    const four = await Promise.all([1, 2, 3, 4].map(() => RemoteMember.start(redis.url, keyPrefix)));
    for (const member of four) processes.use(member);
    for (const member of four) member.tell({ do: "storm", calls: 50 });
    await eventually(() => four.some(({ asked }) => asked > 0));
    await followed(redis.url, keyPrefix);
    for (const order of [{ do: "push", text: "one " }, { do: "push", text: "answer" }, { do: "end" }] as const) for (const member of four) member.tell(order);
    await eventually(() => four.every(({ ended }) => ended === "whole"));
    expect(four.flatMap(({ texts }) => texts)).toEqual(Array.from({ length: 200 }, () => "one answer"));
    expect(four.reduce((sum, { asked }) => sum + asked, 0)).toBe(1);
  });
});

// Each waits until a lease has expired.
describe.concurrent("a leader that is killed", () => {
  it("before any part is replaced by one of the others, and asked are two models in all", async () => {
    await using trio = await members(redis.url, 2);
    const [one, other] = [...trio] as [Member, Member];
    await using leader = await RemoteMember.start(redis.url, trio.keyPrefix);
    leader.tell({ do: "stream" });
    await eventually(() => leader.asked === 1);
    const readings = [new Reading(one.fast.stream("q")), new Reading(other.fast.stream("q"))];
    await trio.followed();
    leader.process.kill("SIGKILL");
    await eventually(() => one.asked + other.asked === 1, { timeoutMs: 15_000 });
    const tap = [...one.taps, ...other.taps][0]!;
    tap.push(...words("a", "b"), last);
    tap.end();
    await Promise.all(readings.map(({ done }) => done));
    expect(readings.map(({ texts }) => texts)).toEqual([["a", "b", "!"], ["a", "b", "!"]]);
    expect(one.asked + other.asked).toBe(1);
  });

  it("after some parts interrupts the streams that have these, and is replaced for an `invoke`", async () => {
    await using trio = await members(redis.url, 2);
    const [one, other] = [...trio] as [Member, Member];
    await using leader = await RemoteMember.start(redis.url, trio.keyPrefix);
    leader.tell({ do: "stream" });
    await eventually(() => leader.asked === 1);
    leader.tell({ do: "push", text: "a" });
    const reading = new Reading(one.fast.stream("q"));
    await eventually(() => reading.texts.length === 1);
    const invoked = other.fast.invoke("q");
    leader.process.kill("SIGKILL");
    await reading.done;
    expect(reading.error).toBeInstanceOf(StreamInterruptedError);
    expect(reading.error).toMatchObject({ code: "PERF_STREAM_INTERRUPTED", partsDelivered: 1, retryable: true });
    await eventually(() => other.gates.length === 1, { timeoutMs: 15_000 });
    other.gates[0]!.open("another answer");
    expect((await invoked).text).toBe("another answer");
    expect(one.asked).toBe(0);
  });
});

describe.concurrent("a leader that is frozen for longer than its lease", () => {
  it("goes on for its own caller when it thaws, and its late parts reach nobody else", async () => {
    await using pair = await members(redis.url, 1);
    const [one] = [...pair] as [Member];
    await using leader = await RemoteMember.start(redis.url, pair.keyPrefix);
    leader.tell({ do: "stream" });
    await eventually(() => leader.asked === 1);
    const reading = new Reading(one.fast.stream("q"));
    await pair.followed();
    leader.process.kill("SIGSTOP");
    await eventually(() => one.taps.length === 1, { timeoutMs: 15_000 });
    const follower = await RemoteMember.start(redis.url, pair.keyPrefix);
    await using _follower = follower;
    follower.tell({ do: "stream" });
    one.taps[0]!.push(...words("new"));
    await eventually(() => follower.texts.length === 1);
    leader.process.kill("SIGCONT");
    leader.tell({ do: "push", text: "late" });
    leader.tell({ do: "end" });
    await eventually(() => leader.ended !== undefined);
    one.taps[0]!.push(last);
    one.taps[0]!.end();
    await reading.done;
    await eventually(() => follower.ended !== undefined);
    expect(leader).toMatchObject({ texts: ["late"], ended: "whole" });
    expect(reading.texts).toEqual(["new", "!"]);
    expect(follower).toMatchObject({ texts: ["new", "!"], ended: "whole", asked: 0 });
  });
});
