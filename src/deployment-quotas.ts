import { isDeepStrictEqual } from "node:util";
import type { Limiter } from "./limits/limiter.ts";
import { LocalLimiter } from "./limits/local.ts";
import { readLimits, type ResolvedLimits } from "./limits/options.ts";
import { RedisLimiter } from "./limits/redis.ts";
import { resolveWith } from "./core/options.ts";
import { RedisConnection, type RedisSource } from "./stores/redis.ts";

/** Redis answers within this time, or each process keeps to its part of the limits. */
const SHARED_TIMEOUT_MS = 200;

/** Quotas that a deployment has of its own. */
export interface DeploymentLimits {
  readonly id: string;
  readonly limits: { readonly requestsPerMinute: number | undefined; readonly tokensPerMinute: number | undefined; readonly maxConcurrent: number | undefined };
  /** Where all processes keep to them together. */
  readonly shared: RedisSource | undefined;
}

/** A limiter of this process, or one for all that share a Redis. @param path of the option that names Redis */
export function openLimiter(limits: ResolvedLimits, name: string, shared: RedisSource | undefined, path: string): Limiter {
  if (shared === undefined) return new LocalLimiter(limits);
  return new RedisLimiter({ redis: new RedisConnection(shared, path), owns: true, name, timeoutMs: SHARED_TIMEOUT_MS, limits });
}

/** The quotas of those deployments that have some. */
export class DeploymentQuotas {
  readonly #name: string;
  readonly #limiters = new Map<string, { readonly limiter: Limiter; readonly options: DeploymentLimits }>();
  /** Whether one of them counts tokens. */
  countTokens = false;

  /** @param name of the perf */
  constructor(name: string, deployments: readonly DeploymentLimits[]) {
    this.#name = name;
    for (const deployment of deployments) this.add(deployment);
  }

  add(options: DeploymentLimits): void {
    const { id, limits, shared } = options;
    this.remove(id);
    if (!hasQuotas(options)) return;
    this.countTokens ||= limits.tokensPerMinute !== undefined;
    const limiter = openLimiter(resolveWith(`deployment ${id}`, limits, readLimits), `${this.#name}:${id}`, shared, "routing.shared");
    this.#limiters.set(id, { limiter, options });
  }

  /** Permits that are held stay valid. */
  remove(id: string): void {
    void this.#limiters.get(id)?.limiter.close?.();
    this.#limiters.delete(id);
  }

  /** From now on these are the deployments; those that stay go on with what was taken. */
  goOnWith(deployments: readonly DeploymentLimits[]): void {
    const before = new Map(this.#limiters);
    this.#limiters.clear();
    for (const options of deployments) {
      const same = before.get(options.id);
      if (!same || !isDeepStrictEqual(same.options.limits, options.limits) || same.options.shared !== options.shared) this.add(options);
      else {
        before.delete(options.id);
        this.#limiters.set(options.id, same);
      }
    }
    // Permits that are held stay valid.
    for (const { limiter } of before.values()) void limiter.close?.();
  }

  of(deployment: string): Limiter | undefined {
    return this.#limiters.get(deployment)?.limiter;
  }

  /** Share of its quota that is taken, 0 to 1, of requests or of tokens, whichever is scarcer; `undefined` = it has none. */
  used(deployment: string): number | undefined {
    const { used } = this.of(deployment)?.status() ?? {};
    return used && Math.max(used.requests ?? 0, used.tokens ?? 0);
  }

  async close(): Promise<void> {
    await Promise.all([...this.#limiters.values()].map(({ limiter }) => limiter.close?.()));
  }
}

/** Whether a deployment has quotas of its own. */
export function hasQuotas({ limits }: DeploymentLimits): boolean {
  return Object.values(limits).some((limit) => limit !== undefined);
}
