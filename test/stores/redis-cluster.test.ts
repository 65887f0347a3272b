import { Cluster, Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { redisBus, redisStore } from "../../src/stores/redis.ts";
import type { Store } from "../../src/stores/store.ts";
import { storeContract } from "../../src/testing/store-contract.ts";
import { eventually, type RedisCluster, startRedisCluster } from "../support/services.ts";
import { Heard, label } from "./support/bus-listener.ts";

let servers: RedisCluster;
let client: Cluster;

beforeAll(async () => {
  servers = await startRedisCluster();
  client = new Cluster(servers.nodes.map(({ port }) => ({ host: "127.0.0.1", port })), { keyPrefix: "app:" });
});

afterAll(async () => {
  client.disconnect();
  await servers.stop();
});

describe("the contract of a store, on a cluster of three masters", () => {
  const open = (): Store => redisStore(client);
  for (const { name, run } of storeContract(open, { reopen: open })) it(name, run);
});

it("spreads its entries over all masters and finds each of them", async () => {
  const store = redisStore(client);
  await store.clear();
  const keys = Array.from({ length: 300 }, (_unused, index) => `key ${index}`);
  await Promise.all(keys.map((key) => store.set(key, { value: Buffer.from(key), labels: ["all"], expiresAt: Date.now() + 60_000 })));
  const sizes = await Promise.all(client.nodes("master").map((node) => node.dbsize()));
  expect(Math.min(...sizes)).toBeGreaterThan(20);
  expect((await Array.fromAsync(store.keys(), ({ key }) => key)).toSorted()).toEqual(keys.toSorted());
  expect(await store.stats?.()).toEqual({ entries: 300 });
  expect(await store.invalidate([["all"]])).toBe(300);
  expect(await Promise.all(client.nodes("master").map((node) => node.dbsize()))).toEqual([0, 0, 0]);
});

it("carries invalidations, whichever node a subscriber is on, and through lost subscriptions", async () => {
  const buses = Array.from({ length: 4 }, () => redisBus(client, { heartbeatMs: 50 }));
  const heard = buses.map(() => new Heard());
  for (const [index, bus] of buses.entries()) bus.start(heard[index] as Heard);
  for (const bus of buses) await eventually(() => bus.position);
  await buses[0]?.publish(label("a"), 5000);
  for (const one of heard) await eventually(() => one.log.at(-1) === "a");
  await killSubscribers();
  await buses[1]?.publish(label("b"), 5000);
  for (const one of heard) await eventually(() => one.log.at(-1) === "b");
  expect(heard.map(({ log }) => log)).toEqual(heard.map(() => ["a", "b"]));
  await Promise.all(buses.map((bus) => bus.close()));
});

async function killSubscribers(): Promise<void> {
  for (const { port } of servers.nodes) {
    const node = new Redis(port);
    await node.client("KILL", "TYPE", "PUBSUB");
    node.disconnect();
  }
}
