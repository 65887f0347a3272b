import { atOnce, unfailing } from "../core/callback.ts";
import { OptionError } from "../core/errors.ts";
import { hasMethods } from "../core/options.ts";
import type { Demand, Limiter, LimiterStatus, Permit, RequestOutcome } from "./limiter.ts";

/** A limiter of the user's own, of which nothing but `acquire` can fail a call. `acquire` may give its permit at once. */
export function guarded(limiter: Limiter): Limiter {
  return new GuardedLimiter(limiter);
}

class GuardedLimiter implements Limiter {
  readonly name: string;
  readonly #limiter: Limiter;
  readonly #release = unfailing("the limiter's release() failed, and the call goes on without it", (permit: Permit, outcome?: RequestOutcome) => permit.release(outcome));

  constructor(limiter: Limiter) {
    this.name = limiter.name;
    this.#limiter = limiter;
  }

  /** @throws what the limiter throws, and OptionError for what is no permit */
  async acquire(demand?: Demand): Promise<Permit> {
    const permit: Permit = await this.#limiter.acquire(demand);
    if (!hasMethods(permit, ["release"])) throw new OptionError("rateLimit.acquire", "a function that gives a permit: an object with release()", permit);
    return { waitMs: permit.waitMs, release: (outcome) => this.#release(permit, outcome) };
  }

  status(): LimiterStatus {
    try {
      const status = atOnce(this.#limiter.status());
      if (typeof status !== "object" || status === null) throw new TypeError("it gives no object");
      return status as LimiterStatus;
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      return { name: this.name, queued: 0, active: 0, source: `status() failed: ${reason}` };
    }
  }
}
