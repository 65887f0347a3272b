import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { CacheOptions } from "../../../src/index.ts";
import { eventually, sharedRedis, type SharedServer } from "../../support/services.ts";
import { wishing } from "../support/replies.ts";
import { type Cluster, type Member, members } from "./member.ts";

let redis: SharedServer;
let client: Redis;
beforeAll(async () => {
  redis = await sharedRedis();
  client = new Redis(redis.url);
});
afterAll(async () => {
  client.disconnect();
  await redis.stop();
});

/** One has its whole answer, and Redis has it as a lease's alone, as if the entry were past its time. */
async function whole(pair: Cluster, one: Member, wishes = {}): Promise<void> {
  const answer = one.fast.invoke("q", wishing(wishes));
  await eventually(() => one.gates.length === 1);
  one.gates[0]!.open("old");
  await answer;
  await one.perf.flush();
  await eventually(async () => {
    const states = await Promise.all((await client.keys(`${pair.keyPrefix}{*}:lease`)).map((key) => client.hget(key, "state")));
    return states.length === 2 && states.every((state) => state === "done");
  });
  const entries = await client.keys(`${pair.keyPrefix}e:*`);
  if (entries.length > 0) await client.del(entries);
}

describe("a whole answer that another process resumes", () => {
  it("is as old in that one's cache as it is", async () => {
    await using pair = await members(redis.url, 2);
    const [one, other] = [...pair] as [Member, Member];
    await whole(pair, one);
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect((await other.fast.invoke("q")).text).toBe("old");
    expect((await other.fast.invoke("q")).text).toBe("old");
    const [resumed, hit] = other.facts.map(({ cache }) => cache);
    expect(resumed).toMatchObject({ status: "miss" });
    expect(resumed!.ageMs).toBeGreaterThanOrEqual(200);
    expect(hit).toMatchObject({ status: "hit", tier: "memory" });
    expect(hit!.ageMs).toBeGreaterThanOrEqual(resumed!.ageMs!);
    expect(other.asked).toBe(0);
  });

  it("is not kept there when it is past that one's own time to live", async () => {
    await using pair = await members(redis.url, 2);
    const [one, other] = [...pair] as [Member, Member];
    await whole(pair, one);
    await new Promise((resolve) => setTimeout(resolve, 60));
    for (let calls = 0; calls < 2; calls += 1) await other.fast.invoke("q", wishing({ ttlMs: 50 }));
    expect(other.facts.map(({ cache }) => cache?.status)).toEqual(["miss", "miss"]);
    expect(other.asked).toBe(0);
  });
});

describe("a whole answer is resumed by nobody", () => {
  const cases: [string, CacheOptions, object][] = [
    ["when chance may have made its entry's time short", { jitter: 1 }, {}],
    ["when little demand may have made it short", { adaptiveTtl: { minMs: 1, maxMs: 1 } }, {}],
    ["when its kind's time is short", { kinds: { chat: { ttlMs: 1 } } }, {}],
    ["when its call's own time is short", {}, { ttlMs: 1 }],
  ];
  for (const [when, options, wishes] of cases) {
    it(when, async () => {
      await using pair = await members(redis.url, 2, options);
      const [one, other] = [...pair] as [Member, Member];
      await whole(pair, one, wishes);
      const anew = other.fast.invoke("q");
      await eventually(() => other.gates.length === 1, { timeoutMs: 3_000 });
      other.gates[0]!.open("new");
      expect((await anew).text).toBe("new");
    });
  }
});
