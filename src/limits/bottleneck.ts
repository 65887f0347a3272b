import { systemClock } from "../core/clock.ts";
import { OptionError, RateLimitError } from "../core/errors.ts";
import { hasMethods, resolveWith } from "../core/options.ts";
import { resolveDemand, told, type FullDemand } from "./demand.ts";
import type { Demand, Limiter, LimiterStatus, Permit, RequestOutcome } from "./limiter.ts";
import { WaitingLine, type Waiter } from "./line.ts";
import { readQueue, type LimiterOptions } from "./options.ts";

/** What is used of a Bottleneck, 2.19.5 or later, local or clustered. */
export interface BottleneckLike {
  /** E.g. `local` or `ioredis`. */
  readonly datastore: string;
  schedule(options: { readonly weight: number; readonly expiration?: number }, task: () => Promise<void>): PromiseLike<void>;
  counts(): { readonly RECEIVED: number; readonly QUEUED: number; readonly RUNNING: number; readonly EXECUTING: number };
  on(event: "dropped", listener: (job: { readonly task: unknown }) => void): unknown;
  on(event: "error", listener: (error: unknown) => void): unknown;
}

export interface BottleneckLimiterOptions extends Pick<LimiterOptions, "maxWaitMs" | "weights"> {
  /**
   * Calls that may wait, at least 1; one more is refused with QueueFullError. A call waits until Bottleneck has started a job for it, some milliseconds even
   * where there is room: as many as may come at once should fit. @default 10_000
   */
  maxQueue?: number;
  /**
   * What a demand weighs for Bottleneck, a whole number of at least 0: so much of `maxConcurrent` and of `reservoir` it takes, e.g. its tokens where the reservoir
   * counts tokens. Where weights differ, Bottleneck is asked for one job at a time. @default () => 1
   */
  weight?(demand: Demand): number;
  /**
   * After this time Bottleneck takes a request for ended, whoever still holds its permit, milliseconds. A clustered Bottleneck gets back the places of a process
   * that has died in no other way. @default never
   */
  expirationMs?: number;
}

const METHODS = ["schedule", "counts", "on"] as const;
/** Bottleneck works on a second job while it starts the first: 400 a second instead of 290; more than that gives nothing, and would fill a short `highWater`. */
const JOBS_AHEAD = 2;
/** Bottleneck does not say when it takes jobs again. */
const RETRY_AFTER_MS = 1_000;

/**
 * Lets a Bottleneck decide when a request may be made, with priorities, deadlines, tenants' shares and a bounded queue in front of it. Bottleneck may have other jobs
 * too; ours have its default priority among them.
 *
 * - While calls wait, one or two jobs wait in Bottleneck for all of them. When one starts, it serves the call whose turn it is then, and lasts until that call's
 *   permit is released. One that finds nobody waiting, or only somebody who weighs more than it does, ends at once; so when a heavy call overtakes a lighter one,
 *   or the last one leaves, the job's share of `reservoir` and `minTime` is lost. Bottleneck takes no job back: where a heavy call has left, its job still waits for
 *   room in front of all others.
 * - Where Bottleneck refuses the last of these jobs (it was stopped, `highWater` or a block dropped the job, a weight is above `maxConcurrent`, its Redis failed),
 *   the call whose turn it is gets a RateLimitError with Bottleneck's error as its `cause`, and the next one tries. A Bottleneck 2.19.5 whose Redis, 7 or later,
 *   has lost its keys refuses everything until it is made anew: it does not understand that Redis' error.
 * - A nested demand passes Bottleneck by.
 * - When a permit will come is not known, so only deadlines that have passed end the waiting. Corrections of tokens count for tenants' shares alone.
 *
 * Bottleneck takes 3 to 5 ms for a job, and 0.3 ms of CPU: `localLimiter` is faster by orders of magnitude.
 *
 * @throws OptionError
 */
export function bottleneckLimiter(bottleneck: BottleneckLike, options: BottleneckLimiterOptions = {}): Limiter {
  if (!hasMethods(bottleneck, METHODS)) throw new OptionError("bottleneck", `a Bottleneck: an object with ${METHODS.map((method) => `${method}()`).join(", ")}`, bottleneck);
  return new BottleneckLimiter(bottleneck, options);
}

type Job = () => Promise<void>;

class BottleneckLimiter implements Limiter {
  readonly name = "bottleneck";
  readonly #bottleneck: BottleneckLike;
  readonly #maxWaitMs: number;
  readonly #weigh: ((demand: Demand) => number) | undefined;
  readonly #jobOptions: { readonly expiration?: number };
  readonly #line: WaitingLine;
  readonly #weights = new WeakMap<FullDemand, number>();
  /** Jobs that wait in Bottleneck, and what they weigh. */
  #jobs = new Map<Job, number>();
  /** Jobs that waited when a clustered Bottleneck had an error: they may never start. */
  #doubtful = new Map<Job, number>();
  #active = 0;

  constructor(bottleneck: BottleneckLike, options: BottleneckLimiterOptions) {
    const { maxQueue, maxWaitMs, weights, weigh, expirationMs } = resolveWith("bottleneckLimiter", options, (read) => ({
      ...readQueue(read),
      weigh: read.function<(demand: Demand) => number>("weight"),
      expirationMs: read.number("expirationMs", { default: undefined, min: 1 }),
    }));
    if (maxQueue === 0) throw new OptionError("bottleneckLimiter.maxQueue", "a whole number of at least 1, since Bottleneck starts nothing at once", maxQueue);
    this.#bottleneck = bottleneck;
    this.#maxWaitMs = maxWaitMs;
    this.#weigh = weigh;
    this.#jobOptions = expirationMs === undefined ? {} : { expiration: expirationMs };
    this.#line = new WaitingLine({ limiter: this.name, maxQueue, weights, clock: systemClock });
    // With `rejectOnDrop: false` nothing else tells; otherwise the job's promise does, which comes sooner than this and says why.
    bottleneck.on("dropped", ({ task }) => void setImmediate(() => this.#failed(task as Job)));
    if (bottleneck.datastore !== "local") bottleneck.on("error", () => this.#doubt());
  }

  async acquire(given?: Demand): Promise<Permit> {
    const demand = given ?? {};
    const full = resolveDemand(demand, this.#maxWaitMs, systemClock.elapsed());
    if (full.isNested) return this.#permit(full);
    this.#weights.set(full, this.#weightOf(demand));
    const permit = this.#line.join(full);
    this.#ask();
    return permit;
  }

  status(): LimiterStatus {
    const { RECEIVED, QUEUED, RUNNING, EXECUTING } = this.#bottleneck.counts();
    const source = `Bottleneck (${this.#bottleneck.datastore}), with all its jobs: ${RUNNING + EXECUTING} at work, ${RECEIVED + QUEUED} waiting`;
    return { name: this.name, queued: this.#line.size, active: this.#active, source };
  }

  #weightOf(demand: Demand): number {
    const weight = this.#weigh?.(demand) ?? 1;
    if (!Number.isInteger(weight) || weight < 0) throw new OptionError("bottleneckLimiter.weight", "a function that gives whole numbers of at least 0", weight);
    return weight;
  }

  /** Sees to it that jobs wait while calls do; each that starts or fails is followed by another as long as there is need. */
  #ask(): void {
    const { head, size } = this.#line;
    if (!head) return;
    const weight = this.#weightOfWaiter(head);
    const wanted = Math.min(size, this.#weigh ? 1 : JOBS_AHEAD);
    while (this.#jobs.size < wanted) void this.#submit(weight);
  }

  async #submit(weight: number): Promise<void> {
    const job: Job = () => this.#started(job);
    this.#jobs.set(job, weight);
    try {
      await this.#bottleneck.schedule({ ...this.#jobOptions, weight }, job);
    } catch (error) {
      this.#failed(job, error);
    }
  }

  /** Bottleneck counts the job as ended when the promise resolves. */
  #started(job: Job): Promise<void> {
    const weight = this.#taken(job) ?? -1;
    const { head } = this.#line;
    const work = head && this.#weightOfWaiter(head) <= weight ? this.#serve(head) : Promise.resolve();
    this.#ask();
    return work;
  }

  #serve(waiter: Waiter): Promise<void> {
    return new Promise((resolve) => this.#line.serve(waiter, this.#permit(waiter.demand, resolve)));
  }

  #failed(job: Job, cause?: unknown): void {
    const isDoubtful = this.#doubtful.has(job);
    const weight = this.#taken(job);
    // As long as another job waits, it will serve or fail: trying anew at once would only be refused again.
    if (weight === undefined || (this.#jobs.size > 0 && !isDoubtful)) return;
    const { head } = this.#line;
    if (head && this.#weightOfWaiter(head) === weight) this.#line.refuse(head, refusal(this.name, cause));
    this.#ask();
  }

  /** What a job weighs that waits no more; `undefined` when it did not. */
  #taken(job: Job): number | undefined {
    const weight = this.#jobs.get(job) ?? this.#doubtful.get(job);
    this.#jobs.delete(job);
    this.#doubtful.delete(job);
    return weight;
  }

  /** Bottleneck forgets to look after its queue when its Redis fails; further jobs set it going, or tell that it is beyond help. */
  #doubt(): void {
    if (this.#doubtful.size > 0) return;
    this.#doubtful = this.#jobs;
    this.#jobs = new Map();
    this.#ask();
  }

  #weightOfWaiter({ demand }: Waiter): number {
    return this.#weights.get(demand) as number;
  }

  #permit(demand: FullDemand, done?: () => void): Permit {
    let isHeld = true;
    this.#active += 1;
    const release = (outcome?: RequestOutcome): void => {
      if (!isHeld) return;
      isHeld = false;
      this.#active -= 1;
      const tokens = told(outcome?.tokens);
      if (tokens !== undefined && demand.tokens > 0) this.#line.correct(demand, tokens - demand.tokens);
      done?.();
    };
    return { waitMs: systemClock.elapsed() - demand.since, release };
  }
}

function refusal(limiter: string, cause: unknown): RateLimitError {
  const why = cause instanceof Error ? cause.message : "it dropped the job";
  return new RateLimitError(limiter, `Bottleneck refuses: ${why}`, RETRY_AFTER_MS, cause);
}
