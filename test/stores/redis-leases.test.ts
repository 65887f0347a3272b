import { randomUUID } from "node:crypto";
import { Cluster } from "ioredis";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Bus } from "../../src/stores/bus.ts";
import type { Addition, Joined, Lease, Leases, LiveAnswer } from "../../src/stores/leases.ts";
import { RedisConnection, redisBus, redisLeases } from "../../src/stores/redis.ts";
import { eventually, startRedisCluster, sharedRedis, type SharedServer } from "../support/services.ts";

const SHORT_MS = 400;

let redis: SharedServer;
let connection: RedisConnection;
let bus: Bus;
let leases: Leases;
let key: string;
beforeAll(async () => {
  redis = await sharedRedis();
  connection = new RedisConnection({ url: redis.url, keyPrefix: `${randomUUID()}:` });
  bus = redisBus(connection);
  leases = redisLeases(connection, bus);
});
beforeEach(() => {
  key = randomUUID();
});
afterAll(async () => {
  await bus.close();
  connection.close();
  await redis.stop();
});

const join = (from: Leases = leases, id = "me", maxAgeMs = Infinity): Promise<Joined> => from.join(key, { id, mode: "stream", maxAgeMs });
const text = (number: number, state: Addition["state"] = "open", resumableMs = 10_000): Addition => ({ number, frame: Buffer.from(`frame ${number}`), state, resumableMs });

async function led(from: Leases = leases, id?: string): Promise<Lease> {
  const joined = await join(from, id);
  if (joined.role !== "leader") throw new Error(`It is ${joined.role}.`);
  return joined.lease;
}

async function followed(from: Leases = leases): Promise<LiveAnswer> {
  const joined = await join(from);
  if (joined.role !== "follower") throw new Error(`It is ${joined.role}.`);
  return joined.live;
}

const readings = async (live: LiveAnswer, have = 0): Promise<[string, ...string[]]> => {
  const { frames, state } = await live.read(have);
  return [state, ...frames.map((frame) => Buffer.from(frame).toString())];
};

describe("a lease", () => {
  it("is one's alone of all who ask at once, and the others follow that one", async () => {
    const joined = await Promise.all(Array.from({ length: 50 }, (_, at) => join(leases, `call ${at}`)));
    const leaders = joined.filter(({ role }) => role === "leader");
    expect(leaders).toHaveLength(1);
    const leaderId = `call ${joined.indexOf(leaders[0]!)}`;
    expect(joined.filter((one) => one.role === "follower" && one.live.leaderId === leaderId && one.live.mode === "stream")).toHaveLength(49);
  });

  it("is free when it was not renewed, and stays when it was", async () => {
    const short = redisLeases(connection, bus, { durationMs: SHORT_MS });
    const first = await led(short);
    for (let renewed = 0; renewed < 5; renewed += 1) {
      expect(await first.renew()).toBe(true);
      await new Promise((resolve) => setTimeout(resolve, SHORT_MS / 3));
    }
    expect((await join(short)).role).toBe("follower");
    await eventually(async () => (await join(short)).role === "leader");
    expect(await first.renew()).toBe(false);
  });

  it("that was lost adds nothing, neither to its own answer nor to the next one's", async () => {
    const short = redisLeases(connection, bus, { durationMs: SHORT_MS });
    const lost = await led(short, "lost");
    await lost.add(text(1));
    const stale = await followed(short);
    await eventually(async () => (await readings(stale, 1))[0] === "gone");
    const next = await led();
    await next.add(text(1));
    const live = await followed();
    expect(await lost.add(text(2, "done"))).toBe(false);
    await lost.release();
    expect(await readings(stale, 1)).toEqual(["gone"]);
    expect(await readings(live)).toEqual(["open", "frame 1"]);
    expect(await next.add(text(2, "done"))).toBe(true);
    expect(await readings(live)).toEqual(["done", "frame 1", "frame 2"]);
  });

  it("that is given up is free at once, and those who follow hear of it", async () => {
    const lease = await led();
    const live = await followed();
    let heard = 0;
    const end = live.listen(() => void (heard += 1));
    await eventually(async () => (await lease.add({ number: 0, frame: undefined, state: "open", resumableMs: 0 }), heard > 0));
    await lease.release();
    expect(await readings(live)).toEqual(["gone"]);
    expect((await join()).role).toBe("leader");
    end();
  });
});

describe("an answer", () => {
  it("takes each addition once, however often it is sent, and none out of order", async () => {
    const lease = await led();
    const live = await followed();
    for (const number of [1, 1, 2, 1, 2]) expect(await lease.add(text(number))).toBe(true);
    expect(await lease.add(text(4))).toBe(false);
    expect(await readings(live)).toEqual(["open", "frame 1", "frame 2"]);
    expect(await readings(live, 1)).toEqual(["open", "frame 2"]);
    expect(await lease.add(text(3, "done"))).toBe(true);
    expect(await lease.add(text(3, "done"))).toBe(true);
    expect(await readings(live, 2)).toEqual(["done", "frame 3"]);
  });

  it("of more frames than one read gives is whole only with the last of them", async () => {
    const lease = await led();
    for (let number = 1; number <= 100; number += 1) await lease.add(text(number, number === 100 ? "done" : "open"));
    const live = await followed();
    const [state, ...frames] = await readings(live);
    expect(state).toBe("open");
    const [end, ...rest] = await readings(live, frames.length);
    expect(end).toBe("done");
    expect([...frames, ...rest]).toHaveLength(100);
  });

  it("that is whole can be followed for as long as it says, and read to its end by those who follow it", async () => {
    const lease = await led();
    const live = await followed();
    await lease.add(text(1, "done", 10_000));
    expect(await readings(await followed())).toEqual(["done", "frame 1"]);
    expect(live.ageMs).toBe(0);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect((await followed()).ageMs).toBeGreaterThanOrEqual(20);
    await lease.add({ number: 1, frame: undefined, state: "done", resumableMs: 0 });
    expect((await join()).role).toBe("leader");
    expect(await readings(live)).toEqual(["done", "frame 1"]);
  });

  it("that is too old, retired or unshared is followed by no newcomer", async () => {
    const lease = await led();
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect((await join(leases, "newcomer", 10)).role).toBe("alone");
    expect((await join(leases, "newcomer", 10_000)).role).toBe("follower");
    const live = await followed();
    await lease.add(text(1, "retired"));
    expect((await join()).role).toBe("alone");
    expect(await readings(live)).toEqual(["open", "frame 1"]);
    await lease.add(text(2, "unshared"));
    expect((await join()).role).toBe("alone");
    expect(await readings(live, 1)).toEqual(["unshared"]);
  });
});

describe("in a cluster of three masters", () => {
  it("all of it lies in one slot, and followers are woken wherever they listen", async () => {
    await using cluster = await startRedisCluster();
    const client = new Cluster(cluster.nodes.map(({ port }) => ({ host: "127.0.0.1", port })), { keyPrefix: "app:" });
    const shared = new RedisConnection(client);
    const wakes = redisBus(shared);
    const everywhere = redisLeases(shared, wakes);
    const lease = await led(everywhere);
    const live = await followed(everywhere);
    let heard = 0;
    live.listen(() => void (heard += 1));
    await eventually(async () => (await lease.add({ number: 0, frame: undefined, state: "open", resumableMs: 0 }), heard > 0));
    await lease.add(text(1, "done"));
    expect(await readings(live)).toEqual(["done", "frame 1"]);
    await wakes.close();
    client.disconnect();
  });
});
