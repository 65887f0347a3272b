export { localLimiter } from "./limits/local.ts";
export { bottleneckLimiter, type BottleneckLike, type BottleneckLimiterOptions } from "./limits/bottleneck.ts";
export { redisLimiter, type RedisLimiterOptions } from "./limits/redis.ts";
export type { LimiterOptions } from "./limits/options.ts";
export type { Demand, Limiter, LimiterStatus, Permit, QuotaLevel, QuotaNotice, RequestEnd, RequestOutcome } from "./limits/limiter.ts";
export { DeadlineError, OptionError, QueueFullError, RateLimitError } from "./core/errors.ts";
