import { Redis } from "ioredis";
import { expect, it } from "vitest";
import { redisStore } from "../../src/stores/redis.ts";
import { startRedis } from "../support/services.ts";

it("no invalidated entry survives on a Redis that has evicted the index", async () => {
  await using redis = await startRedis({ args: ["--maxmemory", "8mb", "--maxmemory-policy", "allkeys-lru", "--maxmemory-samples", "1"] });
  const admin = new Redis(redis.url);
  const store = redisStore(redis.url);
  const entry = (label: string): Parameters<typeof store.set>[1] => ({ value: Buffer.alloc(2048, 7), labels: [label], expiresAt: Date.now() + 600_000 });
  for (let round = 0; round < 60; round += 1) {
    await Promise.all(Array.from({ length: 100 }, (_unused, index) => store.set(`${round}/${index}`, entry(index % 2 ? "stale" : "fresh"))));
  }
  expect(await admin.info("stats")).not.toMatch(/^evicted_keys:0\s*$/m);
  // What eviction may have done, and here surely has.
  await admin.del("langchain-perf:l:stale");
  const before = (await store.stats?.())?.entries ?? 0;
  const dropped = await store.invalidate([["stale"]]);
  expect(dropped).toBeGreaterThan(0);
  const left = await Array.fromAsync(store.keys(), ({ key }) => key);
  expect(left.filter((key) => Number(key.split("/")[1]) % 2 === 1)).toEqual([]);
  // Redis may evict a few more meanwhile.
  expect(left.length).toBeGreaterThan((before - dropped) / 2);
  admin.disconnect();
  await store.close();
});
