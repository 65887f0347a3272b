import { systemClock } from "./core/clock.ts";
import type { CallControl } from "./core/control.ts";
import { OptionError } from "./core/errors.ts";
import { hasMethods, resolveWith } from "./core/options.ts";
import type { Layer } from "./core/layer.ts";
import { listenToResponses } from "./langchain/response-headers.ts";
import type { DemandOptions } from "./layers/limit/demand.ts";
import { Limit } from "./layers/limit/layer.ts";
import { RunGate } from "./layers/limit/run-gate.ts";
import { AnnouncedQuotas } from "./limits/announced.ts";
import { guarded } from "./limits/guarded.ts";
import type { Limiter, LimiterStatus } from "./limits/limiter.ts";
import { noticeOf, noticeOfError } from "./limits/notice.ts";
import { readLimits, type LimiterOptions, type ResolvedLimits } from "./limits/options.ts";
import { estimateTokens } from "./limits/tokens/estimate.ts";
import { tokenCounter } from "./limits/tokens/counter.ts";
import { RedisConnection, type RedisLike, type RedisSource } from "./stores/redis.ts";
import { DeploymentQuotas, openLimiter, type DeploymentLimits } from "./deployment-quotas.ts";
import { costOf, type Price } from "./core/price.ts";

/** Limits of the requests to models and embeddings. Beside them hold those that providers announce in the headers of their answers. */
export interface RateLimitOptions extends LimiterOptions {
  /** Whose call it is: while several have calls that wait, each gets its share. @default the call's tenant */
  per?(control: CallControl): string;
  /** A Redis in which all processes with the same `name` keep the limits together: a URL or a client of ioredis. */
  shared?: string | RedisLike;
}

export interface ResolvedRateLimit {
  /** The user's own limiter, or what a limiter is to be made of. */
  readonly limits: Limiter | ResolvedLimits;
  readonly shared: RedisSource | undefined;
  per(control: CallControl): string;
}

/** @throws OptionError */
export function resolveRateLimit(raw: unknown): ResolvedRateLimit | undefined {
  if (raw === undefined || raw === false) return undefined;
  if (isLimiter(raw)) return { limits: raw, shared: undefined, per: tenantOf };
  if (hasMethods(raw, ["acquire"]) || hasMethods(raw, ["status"])) throw new OptionError("rateLimit", "options, or a limiter with acquire() and status()", raw);
  if (hasMethods(raw, ["schedule", "counts"])) throw new OptionError("rateLimit", "options or a limiter; a Bottleneck becomes one by bottleneckLimiter() of langchain-perf/limits", raw);
  return resolveWith("rateLimit", raw, (read) => {
    const limits = readLimits(read);
    const per = read.function<NonNullable<RateLimitOptions["per"]>>("per") ?? tenantOf;
    const shared = read.raw("shared") as RedisSource | undefined;
    // This opens nothing: what cannot be a Redis must show before anything is opened.
    if (shared !== undefined) void new RedisConnection(shared, "rateLimit.shared");
    return { limits, per, shared };
  });
}

function tenantOf({ tenant }: CallControl): string {
  return tenant ?? "";
}

function isLimiter(value: unknown): value is Limiter {
  return hasMethods(value, ["acquire", "status"]);
}

/** @throws OptionError where there is a budget and nothing has a price */
export function checkBudget(rateLimit: ResolvedRateLimit | undefined, pricing: ReadonlyMap<string, Price>): void {
  if (rateLimit === undefined || isLimiter(rateLimit.limits) || rateLimit.limits.budgetUsdPerHour === undefined || pricing.size > 0) return;
  throw new OptionError("pricing", "the prices of the models, because `rateLimit.budgetUsdPerHour` is set", undefined);
}

/** What the limits need of their perf. */
export interface LimitsHost {
  /** Under which processes share. */
  readonly name: string;
  /** As it is now. */
  pricing(): ReadonlyMap<string, Price>;
  readonly idleConsumerMs: number;
  /** Those that have quotas. */
  readonly deployments: readonly DeploymentLimits[];
}

/** The limits of a perf. */
export interface OpenLimits {
  readonly layer: Layer;
  readonly tokensPerMinute: number | undefined;
  /** For runs of which nothing is wrapped. */
  readonly gate: RunGate;
  /** Deployments' own quotas. */
  readonly deployments: DeploymentQuotas;
  /** The user's own and the announced ones; deployments tell of theirs themselves. */
  status(): LimiterStatus[];
  close(): Promise<void>;
}

/** Of a perf whose deployments alone have limits. */
const UNLIMITED: ResolvedRateLimit = { limits: resolveWith("", {}, readLimits), shared: undefined, per: tenantOf };

/** @throws OptionError */
export function openLimits(options: ResolvedRateLimit = UNLIMITED, { name, pricing, idleConsumerMs, deployments }: LimitsHost): OpenLimits {
  const { limits, shared, per } = options;
  listenToResponses();
  const clock = systemClock;
  const given = isLimiter(limits) ? guarded(limits) : undefined;
  const own = isLimiter(limits) ? undefined : limits;
  const limiter = given ?? openLimiter(own as ResolvedLimits, name, shared, "rateLimit.shared");
  const deploymentQuotas = new DeploymentQuotas(name, deployments);
  // Only who counts against a number needs to count well.
  const counter = given ?? own?.tokensPerMinute ?? own?.budgetUsdPerHour ?? deploymentQuotas.countTokens ? tokenCounter() : undefined;
  const quotas = new AnnouncedQuotas({
    clock,
    maxQueue: own?.maxQueue ?? Infinity,
    maxWaitMs: own?.maxWaitMs ?? Infinity,
    weights: own?.weights ?? new Map<string, number>(),
    // Where the user says how much may go, that is what goes first.
    ...(options !== UNLIMITED && own && !isBounded(own) ? {} : { firstAtOnce: Infinity }),
  });
  const limit = new Limit({
    limiter, clock, per,
    ofDeployment: (id) => deploymentQuotas.of(id),
    noticeOf: (status, headers) => noticeOf(status, headers, clock.now()),
    noticeOfError: (error) => noticeOfError(error, clock.now()),
    announced: (target, model) => quotas.of(target, model),
    countTokens: (texts, model) => counter?.count(texts, model) ?? estimateTokens(texts),
    costOf: costBy(pricing),
    needsPrices: own?.budgetUsdPerHour !== undefined,
  });
  return {
    layer: limit,
    tokensPerMinute: own?.tokensPerMinute,
    gate: new RunGate({ limiter, demands: limit.demands, clock, silentMs: idleConsumerMs }),
    deployments: deploymentQuotas,
    status: () => [...(options === UNLIMITED ? [] : [limiter.status()]), ...[...quotas.entries()].map(([, quota]) => quota.status())],
    async close() {
      counter?.close();
      await deploymentQuotas.close();
      if (!given) await limiter.close?.();
    },
  };
}

function costBy(pricing: LimitsHost["pricing"]): DemandOptions["costOf"] {
  return (model, usage) => {
    const price = model === undefined ? undefined : pricing().get(model);
    return price && costOf(usage, price);
  };
}

/** Whether something keeps requests from going all at once. */
function isBounded({ requestsPerMinute, tokensPerMinute, maxConcurrent }: ResolvedLimits): boolean {
  return requestsPerMinute !== undefined || tokensPerMinute !== undefined || typeof maxConcurrent === "number";
}
