import { Redis } from "ioredis";
import { expect, it } from "vitest";
import { RedisConnection, redisBus, redisStore } from "../../src/stores/redis.ts";
import { eventually, startRedisSentinel } from "../support/services.ts";
import { Heard, label } from "./support/bus-listener.ts";

it("a store and a bus go on with the new master after a failover, and the bus says that something may be lost", async () => {
  await using servers = await startRedisSentinel();
  const client = new Redis({ sentinels: [...servers.sentinelAddresses], name: servers.name, maxRetriesPerRequest: 1 });
  client.on("error", () => {});
  const connection = new RedisConnection(client);
  const store = redisStore(connection);
  const bus = redisBus(connection, { heartbeatMs: 50 });
  const heard = new Heard();
  bus.start(heard);
  await eventually(() => bus.position);
  await bus.publish(label("a"), 5000);
  await eventually(() => heard.log.includes("a"));
  await servers.master.kill();
  await bus.publish(label("b"), 10);
  const entry = { value: Buffer.from("v"), labels: ["x"], expiresAt: Date.now() + 60_000 };
  await eventually(() => store.set("k", entry).then(() => true), { timeoutMs: 20_000 });
  expect(await store.invalidate([["x"]])).toBe(1);
  await eventually(() => heard.log.length >= 4);
  expect(heard.log.slice(0, 2)).toEqual(["a", "lost"]);
  expect(heard.log.slice(2).toSorted()).toEqual(["a", "b"]);
  await bus.close();
  client.disconnect();
}, 60_000);
