import { randomUUID } from "node:crypto";
import fc from "fast-check";
import { afterAll, beforeAll, expect, it } from "vitest";
import { redisLimiter } from "../../src/limits/redis.ts";
import { exchangeScript } from "../../src/limits/redis/exchange-script.ts";
import { RedisConnection, redisScript } from "../../src/stores/redis.ts";
import { eventually, sharedRedis, type SharedServer } from "../support/services.ts";

const FAR = 9e15;
const MINUTE_MS = 60_000;
/** Where the state keeps what is added to the server's time. */
const SHIFT = 3;
const JUMP = redisScript(`
local format = string.rep('d', 15)
local state = {struct.unpack(format, redis.call('HGET', KEYS[1], 'state'))}
state[${SHIFT}] = state[${SHIFT}] + ARGV[1]
redis.call('HSET', KEYS[1], 'state', struct.pack(format, unpack(state, 1, 15)))
`);

let redis: SharedServer;
let connection: RedisConnection;
beforeAll(async () => {
  redis = await sharedRedis();
  connection = new RedisConnection(redis.url);
});
afterAll(async () => {
  connection.close();
  await redis.stop();
});

const keyOf = (name: string, part: string): string => `${connection.prefix}{limit:${name}}:${part}`;

/** The server's clock jumps: the limiter's time is that clock plus what is changed here, and nothing else of it. */
const jump = (name: string, ms: number): Promise<unknown> => connection.script(JUMP, [keyOf(name, "window")], [ms]);

it("never grants more than the quota in any minute, and grants after the wait that it tells", async () => {
  const step = fc.record({ pauseMs: fc.integer({ min: 0, max: 4_000 }), tokens: fc.integer({ min: 1, max: 400 }), truth: fc.option(fc.integer({ min: 0, max: 400 }), { freq: 3 }) });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 60 }), fc.integer({ min: 400, max: 2_000 }), async (steps, quota) => {
      const name = randomUUID();
      const keys = ["window", "processes", "row"].map((part) => keyOf(name, part));
      const script = exchangeScript({ requests: undefined, tokens: quota, nanoUsd: undefined, places: undefined });
      const ask = async (corrections: unknown, tokens: number[]): Promise<number[]> =>
        (await connection.script(script, keys, [JSON.stringify(["me", 0, FAR, false, 0, corrections, tokens.map((amount) => [0, amount, 0, 0, 5])])])) as number[];
      const taken: { at: number; amount: number }[] = [];
      const inMinute = (now: number): number => taken.reduce((sum, { at, amount }) => (at > now - MINUTE_MS ? sum + amount : sum), 0);
      for (const [number, { pauseMs, tokens, truth }] of steps.entries()) {
        if (number > 0) await jump(name, pauseMs);
        let [, time = 0, , granted, waitMs = 0] = await ask(false, [tokens]);
        if (granted === 0) {
          await jump(name, waitMs);
          [, time = 0, , granted] = await ask(false, [tokens]);
        }
        expect(granted).toBe(1);
        const call = { at: time, amount: tokens };
        taken.push(call);
        expect(inMinute(time)).toBeLessThanOrEqual(quota);
        if (truth === null || truth > tokens) continue;
        await ask([number + 1, [2, Math.floor(time / 250), truth - tokens]], []);
        call.amount = truth;
      }
    }),
    { numRuns: 25, seed: 4 },
  );
}, 60_000);

it("counts corrections once, however often they are told", async () => {
  const name = randomUUID();
  const keys = ["window", "processes", "row"].map((part) => keyOf(name, part));
  const script = exchangeScript({ requests: undefined, tokens: 1_000, nanoUsd: undefined, places: undefined });
  const tell = async (number: number): Promise<number> => {
    const message = ["me", 0, FAR, true, 0, [number, [2, FAR, 100]], []];
    const reply = (await connection.script(script, keys, [JSON.stringify(message)])) as number[];
    return reply[7] as number;
  };
  expect([await tell(1), await tell(1), await tell(2), await tell(2)]).toEqual([100, 100, 200, 200]);
});

for (const [direction, ms] of [["back", -3_600_000], ["ahead", 3_600_000]] as const) {
  it(`forgets nothing and stands still for nobody when the server's clock jumps an hour ${direction}`, async () => {
    const name = randomUUID();
    const limiter = redisLimiter(redis.url, { name, requestsPerMinute: 60, tokensPerMinute: 100_000 });
    for (let call = 0; call < 2; call++) (await limiter.acquire({ tokens: 2_000 })).release({ tokens: 2_000 });
    await jump(name, ms);
    const before = performance.now();
    // Spaced out by time that goes on, at one request a second.
    for (let call = 0; call < 3; call++) (await limiter.acquire({ tokens: 2_000 })).release({ tokens: 2_000 });
    expect(performance.now() - before).toBeGreaterThan(500);
    await eventually(() => Math.round((limiter.status().used?.tokens ?? 0) * 100) === 10);
    await limiter.close?.();
  }, 20_000);
}
