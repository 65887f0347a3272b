import { Redis } from "ioredis";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Bus, Position } from "../../src/stores/bus.ts";
import { redisBus, type RedisSource } from "../../src/stores/redis.ts";
import { eventually, type FaultProxy, faultProxy, type Server, startRedis } from "../support/services.ts";
import { Heard, label } from "./support/bus-listener.ts";

const LOG = "langchain-perf:{bus}:log";
const HEARTBEAT = { heartbeatMs: 50 };

let redis: Server;
let proxy: FaultProxy;
let admin: Redis;
let buses: Bus[];

beforeAll(async () => {
  redis = await startRedis();
  proxy = await faultProxy(redis.port);
  admin = new Redis(redis.url, { retryStrategy: () => 20 });
  admin.on("error", () => {});
});

afterAll(async () => {
  admin.disconnect();
  await proxy.close();
  await redis.stop();
});

beforeEach(async () => {
  buses = [];
  proxy.heal();
  await admin.flushall();
});

afterEach(async () => void (await Promise.all(buses.map((bus) => bus.close()))));

interface Peer {
  readonly bus: Bus;
  readonly heard: Heard;
}

/** A bus that has arrived at the log's end. */
async function arrive(source: RedisSource = redis.url, options: { heartbeatMs?: number } = HEARTBEAT): Promise<Peer> {
  const bus = open(source, options);
  const heard = new Heard();
  bus.start(heard);
  await eventually(() => bus.position);
  return { bus, heard };
}

/** The same, and what it heard on the way is none of a test's business. */
async function join(source: RedisSource = redis.url, options: { heartbeatMs?: number } = HEARTBEAT): Promise<Peer> {
  const peer = await arrive(source, options);
  peer.heard.log.length = 0;
  return peer;
}

function open(source: RedisSource = redis.url, options: { heartbeatMs?: number } = HEARTBEAT): Bus {
  const bus = redisBus(source, options);
  buses.push(bus);
  return bus;
}

const proxied = (): string => `redis://127.0.0.1:${proxy.port}`;

async function hears({ heard }: Peer, wanted: readonly string[]): Promise<void> {
  await eventually(() => heard.log.length >= wanted.length).catch(() => {});
  expect(heard.log).toEqual(wanted);
}

describe("two buses on one Redis", () => {
  it("tell each other and themselves, in order", async () => {
    const [one, two] = [await join(), await join()];
    const names = Array.from({ length: 300 }, (_unused, index) => `${index}`);
    await Promise.all(names.map((name) => one.bus.publish(label(name), 5000)));
    await two.bus.publish({ all: true }, 5000);
    await hears(one, [...names, "all"]);
    await hears(two, [...names, "all"]);
    expect(one.bus.position).toEqual(two.bus.position);
    expect(two.heard.position).toEqual(two.bus.position);
  });

  it("tell a newcomer the latest invalidations, and that it has missed something when these are not all", async () => {
    const one = await join();
    await Promise.all(["a", "b", "c"].map((name) => one.bus.publish(label(name), 5000)));
    await hears(await arrive(), ["a", "b", "c"]);
    const names = Array.from({ length: 600 }, (_unused, index) => `${index}`);
    await Promise.all(names.map((name) => one.bus.publish(label(name), 5000)));
    await hears(await arrive(), ["lost", ...names.slice(-500)]);
  });

  it("go on where an earlier life of the process stood", async () => {
    const one = await join();
    await one.bus.publish(label("a"), 5000);
    await hears(one, ["a"]);
    const since = one.bus.position as Position;
    await one.bus.close();
    const two = await join();
    await two.bus.publish(label("b"), 5000);
    const again = open();
    const heard = new Heard();
    again.start(heard, since);
    await hears({ bus: again, heard }, ["b"]);
  });

  it("hear a message once although its sender has sent it twice", async () => {
    const one = await join();
    await one.bus.publish(label("a"), 5000);
    await hears(one, ["a"]);
    const [, [, record = ""] = []] = (await admin.xrevrange(LOG, "+", "-", "COUNT", 1))[0] ?? [];
    const seq = (one.bus.position as Position).seq;
    await admin.xadd(LOG, `${seq + 1}-0`, "r", record);
    await one.bus.publish(label("b"), 5000);
    await hears(one, ["a", "b"]);
  });

  it("are told at once although another channel was heard before", async () => {
    const bus = open(redis.url, { heartbeatMs: 60_000 });
    bus.subscribe("elsewhere", () => {});
    await eventually(async () => (await admin.publish("elsewhere", "")) === 1);
    const heard = new Heard();
    bus.start(heard);
    await eventually(async () => bus.position && (await admin.publish("langchain-perf:bus", "")) === 1);
    await open().publish(label("a"), 5000);
    await hears({ bus, heard }, ["a"]);
  });

  it("carry other channels, through a lost connection too", async () => {
    const { bus } = await join(proxied());
    const heard: string[] = [];
    const stop = bus.subscribe("elsewhere", (message) => heard.push(message));
    await eventually(async () => (await admin.publish("elsewhere", "first")) === 1);
    await eventually(() => heard.length > 0);
    proxy.cut();
    await eventually(async () => (await admin.publish("elsewhere", "into the void")) === 0);
    proxy.heal();
    await eventually(async () => (await admin.publish("elsewhere", "second")) === 1);
    await eventually(() => heard.includes("second"));
    stop();
    await eventually(async () => (await admin.publish("elsewhere", "third")) === 0);
    expect(heard).not.toContain("third");
  });
});

describe("a bus whose connection breaks", () => {
  it("is told in order what was said meanwhile", async () => {
    const [near, far] = [await join(), await join(proxied())];
    proxy.cut();
    for (const name of ["a", "b", "c"]) await near.bus.publish(label(name), 5000);
    expect(far.heard.log).toEqual([]);
    proxy.heal();
    await hears(far, ["a", "b", "c"]);
  });

  it("finds a subscription that is open and carries nothing, and hears by way of the log until it has another", async () => {
    const near = await join();
    const client = Object.assign(new Redis(redis.url), { duplicate: (override?: object) => new Redis(proxied(), { ...override }) });
    const far = await join(client);
    expect(proxy.connections).toBe(1);
    proxy.stall();
    await near.bus.publish(label("a"), 5000);
    await hears(far, ["a"]);
    // A stalled connection stays open at the proxy, so a second one is the bus' own doing.
    await eventually(() => proxy.connections > 1);
    proxy.heal();
    await eventually(async () => (await admin.publish("langchain-perf:bus", "")) === 2);
    await near.bus.publish(label("b"), 5000);
    await hears(far, ["a", "b"]);
    client.disconnect();
  });

  it("learns that it has lost something when the log was cut shorter", async () => {
    const [near, far] = [await join(), await join(proxied())];
    proxy.cut();
    for (const name of ["a", "b", "c"]) await near.bus.publish(label(name), 5000);
    await admin.xtrim(LOG, "MAXLEN", 1);
    proxy.heal();
    await hears(far, ["lost"]);
    await near.bus.publish(label("d"), 5000);
    await hears(far, ["lost", "d"]);
  });

  it("keeps its own news in order and tells them first when it is back", async () => {
    const [near, far] = [await join(), await join(proxied())];
    proxy.cut();
    await Promise.all(["a", "b"].map((name) => far.bus.publish(label(name), 10)));
    expect(near.heard.log).toEqual([]);
    proxy.heal();
    await hears(near, ["a", "b"]);
    await hears(far, ["a", "b"]);
  });

  it("tells of everything when it had too much to tell", async () => {
    const near = await join();
    proxy.cut();
    const cut = open(proxied());
    const publishing = Array.from({ length: 10_001 }, (_unused, index) => cut.publish(label(`${index}`), 30_000));
    proxy.heal();
    await Promise.all(publishing);
    await eventually(() => near.heard.log.includes("all"));
    expect(near.heard.log.length).toBeLessThan(1000);
  });

  it("notices a message that got lost on a connection that works", async () => {
    const one = await join();
    await admin.xadd(LOG, `${(one.bus.position as Position).seq + 1}-0`, "r", JSON.stringify(["somebody", 1, label("unheard")]));
    await hears(one, ["unheard"]);
  });
});

describe("a Redis that refuses", () => {
  const full = (is: boolean): Promise<unknown> => admin.config("SET", "maxmemory", is ? "1" : "0");
  const forbid = (is: boolean): Promise<unknown> => admin.call("ACL", "SETUSER", "default", is ? "-xadd" : "+xadd");
  afterEach(async () => void (await Promise.all([full(false), forbid(false)])));

  it("still carries invalidations in order when it is full", async () => {
    const [one, two] = [await join(), await join()];
    await full(true);
    await expect(admin.set("k", "v")).rejects.toThrow("OOM");
    for (const name of ["a", "b"]) await one.bus.publish(label(name), 5000);
    await hears(two, ["a", "b"]);
    expect(two.bus.position).toEqual(one.bus.position);
    await hears(await arrive(), ["a", "b"]);
    expect(one.heard.failures).toEqual([]);
  });

  it("tells others once without a place, tells newcomers too, and logs it as soon as it may", async () => {
    const [one, two] = [await join(), await join()];
    const { epoch, seq } = two.bus.position as Position;
    await forbid(true);
    await Promise.all(["a", "b"].map((name) => one.bus.publish(label(name), 10)));
    await hears(two, ["a", "b"]);
    expect(two.heard.position).toEqual({ epoch, seq: seq + 1 });
    expect(two.bus.position).toEqual({ epoch, seq });
    expect(one.heard.log).toEqual([]);
    await hears(await join(), ["a", "b"]);
    expect(two.heard.log).toEqual(["a", "b"]);
    await forbid(false);
    await hears(one, ["a", "b"]);
    await hears(two, ["a", "b", "a", "b"]);
    expect(two.bus.position).toEqual({ epoch, seq: seq + 2 });
  });

  it("is reported once in each outage", async () => {
    const one = await join();
    for (const outages of [1, 2]) {
      await forbid(true);
      const publishing = one.bus.publish(label("a"), 5000);
      await eventually(() => one.heard.failures.length >= outages);
      await one.bus.publish(label("b"), 600);
      await forbid(false);
      await publishing;
      expect(one.heard.failures).toHaveLength(outages);
    }
  });
});

describe("a Redis that forgets", () => {
  it("is found out when it comes back empty: lost once, and what was told lately is told again", async () => {
    const [one, two] = [await join(), await join()];
    await one.bus.publish(label("a"), 5000);
    for (const peer of [one, two]) await hears(peer, ["a"]);
    await redis.kill();
    await one.bus.publish(label("b"), 10);
    await redis.start();
    await eventually(() => [one, two].every(({ heard }) => heard.log.length >= 4));
    for (const { heard } of [one, two]) {
      expect(heard.log[1]).toBe("lost");
      expect(heard.log.slice(2).toSorted()).toEqual(["a", "b"]);
    }
    await two.bus.publish(label("c"), 5000);
    await eventually(() => one.heard.log.at(-1) === "c");
    expect(one.bus.position).toEqual(two.bus.position);
  });

  it("is found out by the heartbeat when it was flushed under living connections", async () => {
    const one = await join();
    await admin.flushall();
    await hears(one, ["lost"]);
  });

  it("is found out when it comes back with an older state", async () => {
    await using persistent = await startRedis();
    const one = await join(persistent.url);
    await one.bus.publish(label("a"), 5000);
    const saver = new Redis(persistent.url);
    await saver.save();
    saver.disconnect();
    await one.bus.publish(label("b"), 5000);
    await hears(one, ["a", "b"]);
    await persistent.kill();
    await persistent.start();
    await hears(one, ["a", "b", "lost", "a", "b"]);
  });

  it("is found frozen, waited for, and told what it had not heard", async () => {
    const [one, two] = [await join(proxied()), await join()];
    redis.freeze();
    await one.bus.publish(label("a"), 20);
    // The server cannot close what the bus gave up, and takes new connections all the same.
    await eventually(() => proxy.connections > 2);
    redis.thaw();
    await hears(one, ["a"]);
    await hears(two, ["a"]);
  });
});
