import { setTimeout as delay } from "node:timers/promises";
import { Redis } from "ioredis";
import { describe, expect, it } from "vitest";
import { faultProxy, redisCommand, startRedis } from "../../support/services.ts";
import { Steady } from "./steady.ts";

/** Asks about new things for a while. */
async function load(program: Steady, ms = 1_000): Promise<string[]> {
  const asked: string[] = [];
  for (const end = performance.now() + ms; performance.now() < end; await delay(10)) asked.push(...(await program.askAnew(5)));
  return asked;
}

describe("a program whose Redis", () => {
  it("is killed and restarted empty loses neither a call nor what it was answered meanwhile", async () => {
    await using redis = await startRedis();
    await using program = new Steady({ redis: redis.url });
    await program.usesItsTier();
    await redis.kill();
    const asked = await load(program);
    expect(program.perf.cache.stats().tiers[0]?.circuit).not.toBe("closed");
    await redis.start();
    await program.usesItsTier();
    await program.has(asked);
  });

  it("is frozen and thawed loses neither a call nor what it was answered meanwhile", async () => {
    await using redis = await startRedis();
    await using program = new Steady({ redis: redis.url });
    await program.usesItsTier();
    redis.freeze();
    const asked = await load(program);
    expect(program.facts.some(({ cache }) => cache?.failedTiers?.includes("redis"))).toBe(true);
    redis.thaw();
    await program.usesItsTier();
    await program.has(asked);
  });

  it("is flushed goes on at once", async () => {
    await using redis = await startRedis();
    await using program = new Steady({ redis: redis.url });
    await program.usesItsTier();
    const [before = ""] = await program.askAnew(1);
    await program.perf.flush();
    expect(await program.ask(before)).toBe(true);
    await redisCommand(redis.port, "FLUSHALL");
    expect(await program.ask(before)).toBe(false);
    await program.usesItsTier();
  });

  it("is full and evicts nothing still gets hits, and writes again when there is room", async () => {
    await using redis = await startRedis();
    await using program = new Steady({ redis: redis.url });
    await program.usesItsTier();
    const kept = await program.askAnew(20);
    await program.has(kept);
    await redisCommand(redis.port, "CONFIG SET maxmemory-policy noeviction");
    await redisCommand(redis.port, "CONFIG SET maxmemory 1");
    const refused = await load(program, 500);
    for (const id of kept) expect(await program.ask(id), `${id} is still read`).toBe(true);
    expect(program.perf.cache.stats().tiers[0]?.pending).toBeGreaterThan(0);
    await redisCommand(redis.port, "CONFIG SET maxmemory 0");
    await program.has(refused);
  });

  it("is full and evicts what was used least gets on with what is left", async () => {
    await using redis = await startRedis({ args: ["--maxmemory", "3mb", "--maxmemory-policy", "allkeys-lru"] });
    await using program = new Steady({ redis: redis.url });
    const client = new Redis(redis.url);
    for (let round = 0; round < 200 && /^evicted_keys:0\s*$/m.test(await client.info("stats")); round += 1) {
      await program.askAnew(100);
      await program.perf.flush();
    }
    expect(await client.info("stats")).not.toMatch(/^evicted_keys:0\s*$/m);
    client.disconnect();
    await program.usesItsTier();
  });

  it("answers garbage takes it for misses, never for answers", async () => {
    await using redis = await startRedis();
    await using proxy = await faultProxy(redis.port);
    await using program = new Steady({ redis: `redis://127.0.0.1:${proxy.port}` });
    await program.usesItsTier();
    const known = await program.askAnew(20);
    await program.has(known);
    proxy.garble();
    for (const id of known) expect(await program.ask(id)).toBe(false);
    await load(program, 500);
    proxy.heal();
    await program.usesItsTier();
  });

  it("holds entries that somebody has overwritten with garbage takes them for misses and replaces them", async () => {
    await using redis = await startRedis();
    await using program = new Steady({ redis: redis.url });
    const known = await program.askAnew(20);
    await program.has(known);
    const client = new Redis(redis.url);
    for (const key of await client.keys("langchain-perf:e:*")) {
      const bytes = (await client.getBuffer(key)) as Buffer;
      bytes[bytes.length - 20] = (bytes.at(-20) as number) ^ 0x55;
      await client.set(key, bytes);
    }
    client.disconnect();
    for (const id of known) expect(await program.ask(id)).toBe(false);
    await program.has(known);
  });
});
