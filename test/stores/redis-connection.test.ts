import { inspect } from "node:util";
import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { redisStore } from "../../src/stores/redis.ts";
import { redisCommand, type Server, startRedis } from "../support/services.ts";

const PASSWORD = "7f3-right";
const WRONG = "9c1-wrong";

let redis: Server;
let admin: Redis;

beforeAll(async () => {
  redis = await startRedis();
  await redisCommand(redis.port, `CONFIG SET requirepass ${PASSWORD}`);
  admin = new Redis(redis.url, { password: PASSWORD });
});

afterAll(async () => {
  admin.disconnect();
  await redis.stop();
});

describe("a Redis that cannot be used as its URL says", () => {
  const refusals: [string, () => string, RegExp][] = [
    ["a wrong password", () => `redis://:${WRONG}@127.0.0.1:${redis.port}`, /^Redis is not connected: WRONGPASS /],
    ["no password", () => redis.url, /^Redis is not connected: NOAUTH /],
    ["TLS to a plain port", () => `rediss://:${PASSWORD}@127.0.0.1:${redis.port}`, /^Redis is not connected: .*TLS/],
    ["an unknown host", () => `redis://:${PASSWORD}@no-such-host.invalid`, /^Redis is not connected: getaddrinfo E/],
    ["a database that it does not have", () => `redis://:${PASSWORD}@127.0.0.1:${redis.port}/999`, /^Redis is not connected: ERR DB index is out of range/],
  ];
  for (const [name, url, reason] of refusals) {
    it(`is told of by its reason for ${name}, at the first call and later ones, without the password`, async () => {
      const store = redisStore(url());
      for (let call = 0; call < 3; call += 1) {
        const error: unknown = await store.get("k").catch((thrown: unknown) => thrown);
        expect((error as Error).message).toMatch(reason);
        expect(inspect(error, { depth: 10, showHidden: true })).not.toMatch(new RegExp(`${PASSWORD}|${WRONG}`));
      }
      await store.close();
    });
  }
});

describe("what is no Redis", () => {
  it.each([5, null, undefined, {}, [], new Map(), Promise.resolve("redis://a")])("is refused with what is wanted: %s", (source) => {
    expect(() => redisStore(source as never)).toThrow('Option "redis": wanted a URL redis://…, an ioredis client, or { url | client, keyPrefix }, got ');
  });
});

describe("reads", () => {
  const calls = async (command: string): Promise<number> => Number(new RegExp(`cmdstat_${command}:calls=(\\d+)`).exec(await admin.info("commandstats"))?.[1] ?? 0);
  const filled = async () => {
    const store = redisStore(`redis://:${PASSWORD}@127.0.0.1:${redis.port}`);
    const keys = Array.from({ length: 200 }, (_unused, at) => `${at}`);
    await Promise.all(keys.map((key) => store.set(key, { value: Buffer.from(`value ${key}`), labels: [], expiresAt: Date.now() + 60_000 })));
    await admin.config("RESETSTAT");
    return { store, keys };
  };

  it("of one entry are one GET", async () => {
    const { store } = await filled();
    expect(String(await store.get("7"))).toBe("value 7");
    expect(await store.get("nothing")).toBeUndefined();
    expect([await calls("get"), await calls("mget")]).toEqual([2, 0]);
    await store.close();
  });

  it("of the same tick are a few MGETs beside the first GET, each with its own entry", async () => {
    const { store, keys } = await filled();
    const found = await Promise.all([...keys, "nothing"].map((key) => store.get(key)));
    expect(found.map((value) => value && String(value))).toEqual([...keys.map((key) => `value ${key}`), undefined]);
    expect([await calls("get"), await calls("mget")]).toEqual([1, 4]);
    await store.close();
  });

  it("are single GETs for a user who may not MGET", async () => {
    const { store, keys } = await filled();
    await admin.call("ACL", "SETUSER", "default", "-mget");
    const found = await Promise.all(keys.map((key) => store.get(key)));
    await admin.call("ACL", "SETUSER", "default", "+mget");
    expect(found.map(String)).toEqual(keys.map((key) => `value ${key}`));
    await store.close();
  });
});
