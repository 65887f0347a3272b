import type { Alarm } from "../../../../src/core/clock.ts";
import type { CallControl } from "../../../../src/core/control.ts";
import type { CallFacts } from "../../../../src/core/facts.ts";
import type { Call } from "../../../../src/core/layer.ts";
import type { Deployment, ResolvedDeployment } from "../../../../src/layers/route/deployment.ts";
import { Route } from "../../../../src/layers/route/layer.ts";
import { Pool, type PoolRules, type RetryRules } from "../../../../src/layers/route/pool.ts";
import type { Strategy } from "../../../../src/layers/route/strategy.ts";
import type { Patience } from "../../../../src/layers/route/trial.ts";
import { seededRandom } from "../../../../src/testing/random.ts";
import { VirtualTime } from "../../../support/virtual-time.ts";
import { callOf, scripted, Target, type Attempted, type Part, type Question, type Step } from "./scripted-kind.ts";

/** A deployment, and what its requests do; steps alone are an attempt. */
export interface Scripted extends Partial<Omit<ResolvedDeployment, "id" | "target">> {
  readonly attempts: readonly (Attempted | readonly Step[])[];
  readonly unfit?: string;
}

export interface WorldOptions {
  readonly rules?: Partial<Omit<PoolRules, "retry" | "patience">>;
  readonly retry?: Partial<RetryRules>;
  readonly patience?: Partial<Patience>;
  readonly isLimited?: boolean;
  /** Nobody spoke of deployments. */
  readonly isImplicit?: boolean;
  readonly random?: () => number;
  readonly strategy?: Strategy;
}

/** The first of those that may be asked. */
export const inOrder: Strategy = { name: "in order", pick: ([first]) => first! };

const FOREVER: Patience = { attemptMs: Infinity, firstTokenMs: Infinity, stallMs: Infinity };
const LIMITS = { requestsPerMinute: undefined, tokensPerMinute: undefined, maxConcurrent: undefined };

export function rulesOf({ rules, retry, patience }: WorldOptions = {}): PoolRules {
  return {
    retry: { maxRetries: 9, baseDelayMs: 100, maxDelayMs: 30_000, budget: 1, on: undefined, ...retry },
    patience: { ...FOREVER, ...patience },
    totalMs: Infinity, onInterrupt: "error", circuit: undefined, hedge: undefined, contextWindow: undefined, contentFilter: [], cascade: undefined,
    ...rules,
  };
}

export function deploymentOf(id: string, changes: Partial<ResolvedDeployment> = {}): ResolvedDeployment {
  return { id, target: {}, model: `model of ${id}`, weight: 1, priority: 0, contextWindow: undefined, price: undefined, metricsUrl: undefined, tags: [], limits: LIMITS, ...changes };
}

/** Counts the alarms that are set through it. */
class CountedAlarms implements Alarm {
  readonly #time: VirtualTime;
  set = 0;

  constructor(time: VirtualTime) {
    this.#time = time;
  }

  now(): number {
    return this.#time.now();
  }

  elapsed(): number {
    return this.#time.elapsed();
  }

  after(delayMs: number, work: () => void): () => void {
    let isSet = true;
    const unset = (): void => {
      if (isSet) this.set -= 1;
      isSet = false;
    };
    this.set += 1;
    const cancel = this.#time.after(delayMs, () => {
      unset();
      work();
    });
    return () => {
      unset();
      cancel();
    };
  }
}

/** A caller: what it got, when, and how it ended. */
export class Caller {
  readonly call: Call;
  readonly done: Promise<void>;
  readonly parts: Part[] = [];
  readonly partsAt: number[] = [];
  error: unknown;
  endedAt: number | undefined;
  readonly #time: VirtualTime;

  constructor(call: Call, answer: AsyncIterable<unknown>, time: VirtualTime, pauseMs: number) {
    this.call = call;
    this.#time = time;
    this.done = this.#read(answer, pauseMs);
  }

  get facts(): CallFacts {
    return this.call.facts;
  }

  /** Who answered, or the error's name and message. */
  get outcome(): string {
    if (this.endedAt === undefined) return "waits";
    return this.error === undefined ? (this.parts[0]?.from ?? "nothing") : String(this.error);
  }

  /** Each attempt: whom it asked, and what it failed of. */
  get attempts(): string[] {
    return this.facts.attempts.map(({ deployment, error }) => (error === undefined ? deployment : `${deployment} ${error}`));
  }

  async #read(answer: AsyncIterable<unknown>, pauseMs: number): Promise<void> {
    try {
      for await (const part of answer) {
        this.parts.push(part as Part);
        this.partsAt.push(this.#time.elapsed());
        if (pauseMs > 0) await new Promise<void>((resolve) => void this.#time.after(pauseMs, resolve));
      }
    } catch (error) {
      this.error = error ?? "nothing";
    }
    this.endedAt = this.#time.elapsed();
  }
}

export interface Asking {
  readonly mode?: "invoke" | "stream";
  readonly control?: Partial<CallControl>;
  readonly question?: Question;
  readonly signal?: AbortSignal;
  /** How long a stream's reader takes for each part. */
  readonly pauseMs?: number;
}

/** Routes over deployments that do what their scripts say, in time that passes when it is told to. */
export class World {
  readonly time = new VirtualTime();
  readonly clock = new CountedAlarms(this.time);
  readonly pool: Pool;
  readonly targets: Target[];
  /** Whom requests were made of, and when. */
  readonly requests: { readonly id: string; readonly at: number }[] = [];
  readonly disabled: string[] = [];
  readonly circuits: string[] = [];
  readonly #route: Route;

  constructor(deployments: Record<string, Scripted | Scripted["attempts"]>, options: WorldOptions = {}) {
    const { isLimited = false, isImplicit = false, random = seededRandom(1), strategy = inOrder } = options;
    const scripts = Object.entries(deployments).map(([id, given]): [string, Scripted] => [id, "attempts" in given ? given : { attempts: given }]);
    this.targets = scripts.map(([id, { attempts, unfit }]) => new Target(id, attempts.map((attempt) => ("steps" in attempt ? attempt : { steps: attempt })), unfit));
    const resolved = scripts.map(([id, { attempts: _attempts, unfit: _unfit, ...changes }], at) => deploymentOf(id, { target: this.targets[at] as Target, ...changes }));
    this.pool = new Pool({ number: isImplicit ? undefined : 0, takes: () => true, rules: rulesOf(options), strategy, deployments: resolved }, {
      clock: this.clock, random, shared: undefined,
      circuitChanged: ({ id }, from, to) => void this.circuits.push(`${id}: ${from} to ${to} at ${this.time.elapsed()}`),
      disabled: ({ id }, kind) => void this.disabled.push(`${id} ${kind}`),
      quotaUsed: () => undefined,
      costOf: () => undefined,
    });
    this.#route = new Route([this.pool], {
      clock: this.clock, random, isLimited,
      retryAfterMs: (error) => (error as { retryAfterMs?: number }).retryAfterMs,
      costOf: () => undefined,
    });
  }

  /** A call is made. */
  ask({ mode = "invoke", control = {}, question = {}, signal, pauseMs = 0 }: Asking = {}): Caller {
    const call = callOf(this.pool.isNamed ? question : { ...question, target: this.targets[0] as Target }, { mode, signal, control: { cache: "use", ...control } });
    const next = scripted(this.time, ({ id }) => void this.requests.push({ id, at: this.time.elapsed() }));
    return new Caller(call, this.#route.handle(call, next), this.time, pauseMs);
  }

  /** A call is made, and all the time passes that it takes. */
  async answer(asking: Asking = {}): Promise<Caller> {
    const caller = this.ask(asking);
    await this.time.passAll();
    return caller;
  }

  find(id: string): Deployment {
    return this.pool.find(id) as Deployment;
  }

  /** What must be nothing when no call is under way. */
  get leftOver(): { alarms: number; inFlight: number } {
    return { alarms: this.clock.set, inFlight: this.pool.deployments.reduce((sum, { active }) => sum + active, 0) };
  }
}

export const NOTHING = { alarms: 0, inFlight: 0 };

/** An answer in two parts that takes so long for each. */
export const answers = (ms = 10): readonly Step[] => [ms, "part", ms, "stop"];

/** An HTTP failure as an SDK would throw it. */
export function failure(status: number, message = `failure ${status}`, more: object = {}): Error {
  return Object.assign(new Error(message), { status, ...more });
}

/** A connection that could not be made. */
export const unreachable = (): Error => Object.assign(new TypeError("fetch failed"), { cause: Object.assign(new Error("refused"), { code: "ECONNREFUSED" }) });
