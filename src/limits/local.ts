import { systemClock, type Alarm } from "../core/clock.ts";
import { resolveWith } from "../core/options.ts";
import { Allowance } from "./allowance.ts";
import { resolveDemand, type Amounts, type FullDemand } from "./demand.ts";
import type { Demand, Limiter, LimiterStatus, Permit } from "./limiter.ts";
import { WaitingLine } from "./line.ts";
import { readLimits, type LimiterOptions, type ResolvedLimits } from "./options.ts";

/**
 * Limits of this process: requests and tokens in any sliding minute, USD in any sliding hour, and requests under way at once.
 *
 * - Quotas hold as a provider counts them: a request's estimate from its permit on, and the truth as soon as `release` tells it. A quota is spread over its time, at
 *   first no more than 5% of it at once. Estimates that turn out too small make the later ones count for more.
 * - Who cannot go at once waits: by priority, within one by tenants' shares, then by deadline. Nobody passes the call whose turn it is, however small: large calls get
 *   their turn too. Where it is clear that a permit cannot come in time, supposing that those ahead stay, the call is refused at once.
 * - A nested demand takes requests, tokens and cost, but no place, and waits for none.
 *
 * @throws OptionError
 */
export function localLimiter(options: LimiterOptions = {}): Limiter {
  return new LocalLimiter(resolveWith("localLimiter", options, readLimits));
}

/** What {@link localLimiter} makes; with a clock of one's own it works in virtual time. */
export class LocalLimiter implements Limiter {
  readonly name = "local";
  readonly #clock: Alarm;
  readonly #maxWaitMs: number;
  readonly #allowance: Allowance;
  readonly #line: WaitingLine;
  /** For when the call whose turn it is may go. */
  #alarm: { readonly at: number; cancel(): void } | undefined;

  constructor(limits: ResolvedLimits, clock: Alarm = systemClock) {
    const { maxQueue, maxWaitMs, weights } = limits;
    this.#clock = clock;
    this.#maxWaitMs = maxWaitMs;
    this.#allowance = new Allowance({ limiter: this.name, limits, clock, ended: (demand, truth) => this.#ended(demand, truth) });
    this.#line = new WaitingLine({ limiter: this.name, maxQueue, weights, clock, left: () => this.#serve() });
  }

  acquire(demand: Demand = {}): Promise<Permit> {
    try {
      const now = this.#clock.elapsed();
      const full = resolveDemand(demand, this.#maxWaitMs, now);
      return this.#isNext(full) && this.#allowance.waitMs(full, now) === 0 ? Promise.resolve(this.#allowance.admit(full, now)) : this.#wait(full, now);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  status(): LimiterStatus {
    return { name: this.name, queued: this.#line.size, ...this.#allowance.status() };
  }

  #isNext({ isNested }: FullDemand): boolean {
    return this.#line.size === 0 || (isNested && !this.#line.head?.demand.isNested);
  }

  #wait(demand: FullDemand, now: number): Promise<Permit> {
    const refusal = this.#allowance.refusal(demand, this.#line, now);
    if (refusal) throw refusal;
    const { head } = this.#line;
    const permit = this.#line.join(demand);
    if (this.#line.head !== head) this.#serve();
    return permit;
  }

  #ended(demand: FullDemand, { tokens }: Amounts): void {
    if (demand.tokens > 0) this.#line.correct(demand, tokens - demand.tokens);
    this.#serve();
  }

  /** Serves those whose turn it is, as far as the limits allow. */
  #serve(): void {
    const now = this.#clock.elapsed();
    for (let { head } = this.#line; head; { head } = this.#line) {
      const waitMs = this.#allowance.waitMs(head.demand, now);
      if (waitMs > 0) return this.#ringIn(waitMs, now);
      this.#line.serve(head, this.#allowance.admit(head.demand, now));
    }
    this.#ringIn(Infinity, now);
  }

  #ringIn(waitMs: number, now: number): void {
    const at = now + waitMs;
    if (this.#alarm?.at === at) return;
    this.#alarm?.cancel();
    this.#alarm = at === Infinity ? undefined : { at, cancel: this.#clock.after(Math.ceil(waitMs), this.#rang) };
  }

  readonly #rang = (): void => {
    this.#alarm = undefined;
    this.#serve();
  };
}
