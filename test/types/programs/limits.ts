import Bottleneck from "bottleneck";
import { bottleneckLimiter, localLimiter, redisLimiter, type BottleneckLike, type Demand, type Limiter, type LimiterStatus, type Permit } from "langchain-perf/limits";
import { limiterContract, type ContractLimits } from "langchain-perf/testing";
import { yes, type Same } from "./same.js";

// Any Bottleneck fits, however it was made.
const bottleneck: BottleneckLike = new Bottleneck({ maxConcurrent: 2, minTime: 10, reservoir: 100 });
const member: BottleneckLike = new Bottleneck.Group({ maxConcurrent: 1 }).key("tenant");

const limiters: Limiter[] = [
  localLimiter(),
  localLimiter({ requestsPerMinute: 600, tokensPerMinute: 90_000, budgetUsdPerHour: 5, maxConcurrent: "adaptive", maxQueue: 100, maxWaitMs: 1_000, weights: { gold: 3 } }),
  redisLimiter("redis://localhost:6379", { name: "prod", requestsPerMinute: 600, timeoutMs: 500 }),
  redisLimiter({ url: "redis://localhost:6379", keyPrefix: "app:" }),
  bottleneckLimiter(bottleneck),
  bottleneckLimiter(member, { maxQueue: 10, maxWaitMs: 1_000, weights: { gold: 3 }, weight: ({ tokens = 0 }) => tokens, expirationMs: 60_000 }),
];

// @ts-expect-error what is no Bottleneck
bottleneckLimiter({ schedule: () => Promise.resolve() });
// @ts-expect-error Bottleneck has its own limits
bottleneckLimiter(new Bottleneck(), { maxConcurrent: 2 });
// @ts-expect-error a weight is a number
bottleneckLimiter(new Bottleneck(), { weight: () => "2" });
// @ts-expect-error no such word
localLimiter({ maxConcurrent: "automatic" });
// @ts-expect-error no Redis
redisLimiter({ requestsPerMinute: 600 });

export async function call(limiter: Limiter): Promise<LimiterStatus> {
  const demand: Demand = { requests: 1, tokens: 100, costUsd: 0.01, priority: 0, tenant: "gold", deadlineMs: 500, isNested: false, signal: AbortSignal.timeout(1_000) };
  const permit = await limiter.acquire(demand);
  yes<Same<typeof permit, Permit>>();
  permit.release({ tokens: undefined, end: "left" });
  return limiter.status();
}

// A limiter of one's own, and its test.
const own: Limiter = {
  name: "own",
  acquire: async () => ({ waitMs: 0, release() {} }),
  status: () => ({ name: "own", queued: 0, active: 0 }),
};
const cases = limiterContract((limits: ContractLimits) => (limits.maxConcurrent ? own : limiters[0] as Limiter), { excused: ["tokens"] });
yes<Same<(typeof cases)[number]["run"], () => Promise<void>>>();
// @ts-expect-error nobody is excused from ending
limiterContract(() => own, { excused: ["waiting"] });
