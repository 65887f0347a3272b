/** One of the processes of `overrun-redis.ts`: asks for far more than the limits allow, in all ways of estimating at once, and tells what it was allowed. */
import { setTimeout as sleep } from "node:timers/promises";
import { resolveWith } from "../../src/core/options.ts";
import { readLimits, type LimiterOptions } from "../../src/limits/options.ts";
import { RedisLimiter } from "../../src/limits/redis.ts";
import { RedisConnection } from "../../src/stores/redis.ts";
import { seededRandom } from "../../src/testing/random.ts";
import { azureCalls } from "../data/azure-calls.ts";
import { BAD_ESTIMATES, durationMs, RESERVED, type Scenario } from "./scenarios.ts";

const MINUTE_MS = 60_000;
const CALLS = azureCalls("conv");
/** So long takes the whole of a scenario in `overrun-local.ts`; here its middle is played. */
const WHOLE_MS = 10 * MINUTE_MS;
const BEGIN = 0.4;

/** A call that was admitted, by the clock that all processes of a machine share. */
export interface Admitted {
  readonly at: number;
  readonly estimate: number;
  readonly truth: number;
  /** When its answer ended. */
  knownAt: number;
}

export interface Play {
  readonly name: string;
  readonly scenario: Scenario;
  readonly limits: LimiterOptions;
}

/** All are played at once, each under a name of its own. */
export function playsOf(tokensPerMinute: number, requestsPerMinute: number): Play[] {
  return [
    { name: "requests", scenario: RESERVED, limits: { requestsPerMinute } },
    ...[RESERVED, ...BAD_ESTIMATES].map((scenario) => ({ name: scenario.name, scenario, limits: { tokensPerMinute } })),
  ];
}

export interface Order {
  readonly redis: string;
  readonly seed: number;
  readonly callsPerMinute: number;
  readonly lengthMs: number;
  readonly tokensPerMinute: number;
  readonly requestsPerMinute: number;
}

async function play({ name, scenario, limits }: Play, redis: RedisConnection, { seed, callsPerMinute, lengthMs }: Order): Promise<Admitted[]> {
  const random = seededRandom(seed);
  const limiter = new RedisLimiter({ redis, owns: false, name, timeoutMs: 200, limits: resolveWith("", { ...limits, maxQueue: Infinity, maxWaitMs: Infinity }, readLimits) });
  const admitted: Admitted[] = [];
  const begin = performance.now();
  const passed = (): number => performance.now() - begin;
  let next = Math.floor(random() * CALLS.length);
  for (let due = 0; due < lengthMs; due += (-Math.log(1 - random()) * MINUTE_MS) / callsPerMinute) {
    if (due > passed()) await sleep(due - passed());
    const conversation = CALLS[(next += 1) % CALLS.length] as (typeof CALLS)[number];
    const { estimate, truth } = scenario.sizes(conversation, random, BEGIN + passed() / WHOLE_MS);
    void limiter.acquire({ tokens: estimate }).then(async (permit) => {
      const call: Admitted = { at: performance.timeOrigin + performance.now(), estimate, truth, knownAt: Infinity };
      admitted.push(call);
      await sleep(durationMs(conversation));
      call.knownAt = performance.timeOrigin + performance.now();
      permit.release({ tokens: truth });
    });
  }
  return admitted;
}

if (import.meta.main) {
  process.once("message", async (order: Order) => {
    const redis = new RedisConnection(order.redis);
    const played = await Promise.all(playsOf(order.tokensPerMinute, order.requestsPerMinute).map((one) => play(one, redis, order)));
    process.send?.(played, () => process.exit());
  });
}
