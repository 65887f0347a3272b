import { ignore, raceAbort } from "../../core/abort.ts";
import type { Clock } from "../../core/clock.ts";
import type { Usage } from "../../core/facts.ts";
import type { Attempt, Call, Layer, Next, RequestEstimate } from "../../core/layer.ts";
import { fromNext } from "../../core/parts.ts";
import type { AnnouncedLimiter, AnnouncedPermit } from "../../limits/announced.ts";
import type { Demand, Limiter, Permit, QuotaNotice, RequestOutcome } from "../../limits/limiter.ts";
import { Demands, type CountedDemand, type DemandOptions } from "./demand.ts";
import { endOf, hintOf, isOutOfCredit, isRefused } from "./end.ts";

/** The limits that one provider announces for one endpoint, model and account. */
export type AnnouncedQuota = Pick<AnnouncedLimiter, "acquire" | "pausedMs">;

export interface LimitOptions extends DemandOptions {
  readonly limiter: Limiter;
  /** The quotas of a deployment, if it has some of its own. */
  ofDeployment(id: string): Limiter | undefined;
  /** What the provider behind a target announces. */
  announced(target: string, model: string | undefined): AnnouncedQuota;
  noticeOf(status: number, headers: ReadonlyMap<string, string>): QuotaNotice | undefined;
  noticeOfError(error: unknown): QuotaNotice | undefined;
  readonly clock: Clock;
}

/** Lets requests of models and embeddings out as fast as the limits allow, the user's own and those that providers announce, and no faster. */
export class Limit implements Layer {
  readonly name = "limit";
  readonly options: LimitOptions;
  readonly demands: Demands;

  constructor(options: LimitOptions) {
    this.options = options;
    this.demands = new Demands(options);
  }

  handle(call: Call, next: Next): AsyncIterable<unknown> {
    const estimate = call.kind.estimate?.(call.input);
    if (!estimate) return next(call);
    const request = new LimitedRequest(call, estimate, this, next);
    return fromNext(() => request.next(), () => request.leave());
  }
}

/** Of a permit that nobody made a request with. */
const UNUSED: RequestOutcome = { end: "left", tokens: 0, costUsd: 0 };

interface Permits {
  readonly announced: AnnouncedPermit;
  /** The deployment's, and the user's own. */
  readonly others: readonly Permit[];
}

/** One request: it waits for its permits, has them until its answer ends, and puts right what they were estimated at. */
class LimitedRequest {
  readonly #call: Call;
  readonly #estimate: RequestEstimate;
  readonly #limit: Limit;
  readonly #next: Next;
  #permits: Permits | undefined;
  #source: AsyncIterator<unknown> | undefined;
  #asked: CountedDemand | undefined;
  #usage: Usage | undefined;
  #wasHeard = false;
  /** The last response's, until it is known what it means. */
  #refusal: QuotaNotice | undefined;
  #isOver = false;

  constructor(call: Call, estimate: RequestEstimate, limit: Limit, next: Next) {
    this.#call = call;
    this.#estimate = estimate;
    this.#limit = limit;
    this.#next = next;
  }

  next(): Promise<IteratorResult<unknown>> {
    return this.#source ? this.#pull(this.#source) : this.#acquire().then(() => this.#start());
  }

  leave(): PromiseLike<unknown> | undefined {
    this.#release({ end: "left" });
    return this.#source?.return?.();
  }

  async #acquire(): Promise<void> {
    const { facts, signal } = this.#call;
    const { clock } = this.#limit.options;
    signal?.throwIfAborted();
    const started = clock.elapsed();
    this.#call.isWaiting = true;
    try {
      this.#permits = await this.#wait(started);
    } finally {
      this.#call.isWaiting = false;
      facts.waitMs = (facts.waitMs ?? 0) + clock.elapsed() - started;
    }
    if (this.#isOver) {
      this.#give(UNUSED);
      throw new DOMException("The caller left while the call waited for its permit.", "AbortError");
    }
    this.#permits.announced.sent();
    signal?.addEventListener("abort", this.#onAbort, { once: true });
    if (signal?.aborted) this.#onAbort();
  }

  /** The provider's limits first: they concern one model, and who waits for it must not hold up the others. */
  async #wait(started: number): Promise<Permits> {
    const { demands, options: { announced, ofDeployment, limiter, clock } } = this.#limit;
    const { kind, input, control, signal, isNested, attempt } = this.#call;
    this.#asked = await demands.demand(this.#estimate, control, started);
    const demand: Demand = { ...this.#asked.demand, isNested, ...(signal ? { signal } : {}) };
    const rest = (): Demand => (demand.deadlineMs === undefined ? demand : { ...demand, deadlineMs: demand.deadlineMs - (clock.elapsed() - started) });
    const quota = announced(kind.target(input), this.#estimate.model);
    const deployment = attempt?.deployment === undefined ? undefined : ofDeployment(attempt.deployment);
    for (;;) {
      // Whoever has a substitute need not wait until this provider, or this deployment, takes requests again.
      const isHurried = attempt?.isImpatient || (control.hasSubstitute && quota.pausedMs > 0);
      const first = await quota.acquire(isHurried ? { ...demand, deadlineMs: 0 } : rest());
      const others: Permit[] = [];
      try {
        if (deployment) others.push(await heeding(deployment.acquire(attempt?.isImpatient ? { ...demand, deadlineMs: 0 } : rest()), signal));
        others.push(await heeding(limiter.acquire(rest()), signal));
        if (quota.pausedMs === 0) return { announced: first, others };
      } catch (error) {
        giveUp(first, others);
        throw error;
      }
      // Meanwhile the provider has refused another.
      giveUp(first, others);
    }
  }

  #start(): Promise<IteratorResult<unknown>> {
    try {
      this.#source = this.#next(this.#call.with({ attempt: this.#attempt() }))[Symbol.asyncIterator]();
      return this.#pull(this.#source);
    } catch (error) {
      return this.#fail(error);
    }
  }

  #attempt(): Attempt {
    const { noticeOf } = this.#limit.options;
    const { attempt } = this.#call;
    return {
      hasPermit: true,
      deployment: attempt?.deployment,
      began: () => attempt?.began?.(),
      sent: () => this.#permits?.announced.sent(),
      heard: (status, headers) => {
        attempt?.heard?.(status, headers);
        this.#hear(noticeOf(status, headers));
      },
      ...(attempt?.failed ? { failed: (error, maxRetries) => attempt.failed?.(error, maxRetries) } : {}),
    };
  }

  #hear(notice: QuotaNotice | undefined): void {
    this.#tellRefusal();
    this.#wasHeard = true;
    if (notice?.isRefusal) this.#refusal = notice;
    else this.#permits?.announced.heard(notice);
  }

  /** The error that was made of a refusal may say more: when to come back, or that there is no money left, which is nothing to wait for. */
  #tellRefusal(error?: unknown): void {
    const refusal = this.#refusal;
    if (!refusal) return;
    this.#refusal = undefined;
    const retryAfterMs = refusal.retryAfterMs ?? hintOf(error);
    this.#permits?.announced.heard(isOutOfCredit(error) ? undefined : { ...refusal, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) });
  }

  #pull(source: AsyncIterator<unknown>): Promise<IteratorResult<unknown>> {
    return source.next().then(
      (result) => {
        if (result.done) this.#end();
        else this.#count(result.value);
        return result;
      },
      (error: unknown) => this.#fail(error),
    );
  }

  #count(part: unknown): void {
    const { kind, mode } = this.#call;
    const usage = kind.usage(mode, [part]);
    if (!usage) return;
    // The chunks of a stream tell their shares, an event the total so far.
    const before = mode === "stream" ? this.#usage : undefined;
    this.#usage = { inputTokens: (before?.inputTokens ?? 0) + usage.inputTokens, outputTokens: (before?.outputTokens ?? 0) + usage.outputTokens };
  }

  #end(): void {
    this.#tellRefusal();
    this.#release(this.#outcome());
  }

  #outcome(): RequestOutcome {
    return this.#usage && this.#asked ? { ...this.#limit.demands.taken(this.#asked, this.#usage), end: "ok" } : { end: "ok" };
  }

  #fail(error: unknown): never {
    const end = this.#call.signal?.aborted ? "left" : endOf(error);
    if (!this.#wasHeard && end !== "left") this.#hear(this.#limit.options.noticeOfError(error));
    this.#tellRefusal(error);
    // What was refused has cost nothing.
    this.#release(isRefused(error) ? { end, tokens: 0, costUsd: 0 } : { end });
    throw error;
  }

  /** A model that is deaf to its signal must not keep a place that its caller has left. */
  readonly #onAbort = (): void => this.#release({ end: "left" });

  #release(outcome: RequestOutcome): void {
    this.#isOver = true;
    this.#call.signal?.removeEventListener("abort", this.#onAbort);
    this.#give(outcome);
  }

  #give(outcome: RequestOutcome): void {
    const permits = this.#permits;
    this.#permits = undefined;
    permits?.announced.release(outcome);
    for (const permit of permits?.others ?? []) permit.release(outcome);
  }
}

function giveUp(first: AnnouncedPermit, others: readonly Permit[]): void {
  for (const permit of others) permit.release(UNUSED);
  first.release(UNUSED);
}

/** A limiter of the user's own may be deaf to the signal: a permit that comes too late goes back. */
function heeding(acquired: Promise<Permit>, signal: AbortSignal | undefined): Promise<Permit> {
  if (!signal) return acquired;
  return raceAbort(acquired, signal).catch((error: unknown) => {
    acquired.then((permit) => permit.release(UNUSED), ignore);
    throw error;
  });
}
