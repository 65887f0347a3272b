import { systemClock, type Alarm } from "../../core/clock.ts";
import { DeadlineError, QueueFullError } from "../../core/errors.ts";
import type { Bus } from "../../stores/bus.ts";
import { redisBus } from "../../stores/redis/bus.ts";
import type { RedisConnection } from "../../stores/redis/connection.ts";
import { Allowance } from "../allowance.ts";
import { resolveDemand, type Amounts, type FullDemand } from "../demand.ts";
import type { Demand, Limiter, LimiterStatus, Permit } from "../limiter.ts";
import { WaitingLine, type Waiter } from "../line.ts";
import type { ResolvedLimits } from "../options.ts";
import { Exchange, type Answer, type SharedDemand } from "./exchange.ts";
import { HEARTBEAT_MS, type SharedLimits } from "./exchange-script.ts";
import { gauged, minus, NOTHING, plus, sharedLimits, usedOf, type Gauged } from "./gauges.ts";
import { Ledger } from "./ledger.ts";
import { Presence } from "./presence.ts";

export interface RedisLimiterParts {
  readonly redis: RedisConnection;
  /** Whether the connection is closed with the limiter. */
  readonly owns: boolean;
  /** What the limits are shared under. */
  readonly name: string;
  /** Redis answers within this time or counts as away, milliseconds. */
  readonly timeoutMs: number;
  readonly limits: ResolvedLimits;
  readonly clock?: Alarm;
}

/** Who was granted something says for so long that it lives, and tells it again to a Redis that forgets. */
const REMEMBERED_MS = 61_000;
/** Calls for which Redis is asked at once, where it has granted all so far. */
const MOST_AT_ONCE = 16;

/** Limits that processes share. Each has a line of its own; whose turn it is there asks Redis, or, while that is away, takes from this process's part. */
export class RedisLimiter implements Limiter {
  readonly name = "redis";
  readonly #parts: RedisLimiterParts;
  readonly #clock: Alarm;
  readonly #line: WaitingLine;
  /** What was granted here, by Redis or out of this process's part. */
  readonly #allowance: Allowance;
  /** The same as Redis is told of it. */
  readonly #ledger: Ledger;
  readonly #limits: SharedLimits;
  readonly #exchange: Exchange;
  readonly #presence: Presence;
  /** Where this process is told that it is its turn. */
  #bus: Bus | undefined;
  #isAsking = false;
  /** Calls for which Redis was asked without their standing in the line, 0 or 1. */
  #alone = 0;
  /** Calls for which Redis is asked at once. */
  #atOnce = 1;
  /** When the last permit was given. */
  #takenAt = -Infinity;
  #alarm: (() => void) | undefined;
  #isClosing = false;
  #hasEnded = false;

  constructor(parts: RedisLimiterParts) {
    const { limits, clock = systemClock } = parts;
    const { maxQueue, weights } = limits;
    this.#parts = parts;
    this.#clock = clock;
    this.#limits = sharedLimits(limits);
    this.#ledger = new Ledger(this.#limits);
    this.#line = new WaitingLine({ limiter: this.name, maxQueue, weights, clock, left: () => this.#serve() });
    this.#allowance = new Allowance({ limiter: this.name, limits, clock, ended: (demand, truth, time) => this.#ended(demand, truth, time) });
    this.#exchange = new Exchange({
      ...parts, clock, limits: this.#limits, ledger: this.#ledger,
      late: (demands, time) => demands.forEach(({ amounts }) => this.#giveBack(amounts, time)),
    });
    this.#presence = new Presence({
      name: parts.name,
      exchange: this.#exchange,
      held: () => this.#allowance.held,
      isIdle: () => !this.#isUsed && this.#clock.elapsed() - this.#takenAt > REMEMBERED_MS,
      ask: () => this.#askNext(),
      serve: () => this.#serve(),
      rescale: (part) => this.#allowance.rescale(part),
    });
  }

  acquire(demand: Demand = {}): Promise<Permit> {
    try {
      const now = this.#clock.elapsed();
      const full = resolveDemand(demand, this.#parts.limits.maxWaitMs, now);
      return this.#take(full, now);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  status(): LimiterStatus {
    const { used = {}, ...status } = this.#allowance.status();
    const { processes, totals = NOTHING } = this.#exchange;
    const { isAway } = this.#presence;
    return {
      name: this.name,
      queued: this.#queued,
      ...status,
      used: usedOf(used, isAway ? NOTHING : totals, this.#limits),
      ...(isAway && { source: `local share 1/${processes}: Redis does not answer` }),
    };
  }

  async close(): Promise<void> {
    this.#isClosing = true;
    await this.#endIfUnused();
  }

  get #queued(): number {
    return this.#line.size + this.#alone;
  }

  get #isUsed(): boolean {
    return this.#queued > 0 || this.#allowance.active > 0;
  }

  #take(demand: FullDemand, now: number): Promise<Permit> {
    const isNext = this.#line.size === 0 && !this.#isAsking;
    if (!isNext || this.#allowance.waitMs(demand, now) > 0) return this.#wait(demand, now);
    if (!this.#presence.isAway) return this.#askAlone(demand);
    this.#presence.probe();
    return Promise.resolve(this.#admit(demand, NOTHING, this.#exchange.time(now), now));
  }

  #wait(demand: FullDemand, now: number): Promise<Permit> {
    const isFull = this.#alone > 0 && this.#queued >= this.#parts.limits.maxQueue;
    const refusal = this.#allowance.refusal(demand, this.#line, now) ?? (isFull ? new QueueFullError(this.name, this.#queued) : undefined);
    return refusal ? Promise.reject(refusal) : this.#join(demand);
  }

  #join(demand: FullDemand): Promise<Permit> {
    const { head } = this.#line;
    const permit = this.#line.join(demand);
    if (this.#line.head !== head) this.#serve();
    return permit;
  }

  /** Where nobody waits the line is left out. */
  async #askAlone(demand: FullDemand): Promise<Permit> {
    const wanted = this.#wanted(demand);
    this.#alone = 1;
    this.#isAsking = true;
    const answer = await this.#presence.send([wanted]);
    this.#isAsking = false;
    this.#alone = 0;
    const permit = this.#afterAnswer(demand, wanted, answer);
    this.#serve();
    return permit;
  }

  #afterAnswer(demand: FullDemand, { amounts }: SharedDemand, answer: Answer | undefined): Permit | Promise<Permit> {
    const now = this.#clock.elapsed();
    const isAborted = demand.signal?.aborted ?? false;
    if (answer?.granted && !isAborted) return this.#admit(demand, amounts, answer.time, now);
    if (answer?.granted) this.#giveBack(amounts, answer.time);
    const isUndecided = !answer || answer.reason === "unknown";
    return isUndecided && !isAborted ? this.#take(demand, now) : this.#join(demand);
  }

  /** What Redis is asked for. */
  #wanted(demand: FullDemand): SharedDemand {
    return { amounts: this.#ledger.reserved(gauged(demand)), places: demand.isNested ? 0 : 1, priority: demand.priority };
  }

  /**
   * @param told what Redis has counted for it
   * @param time by the server's clock
   */
  #admit(demand: FullDemand, told: Gauged, time: number, now: number): Permit {
    this.#takenAt = now;
    this.#ledger.take(gauged(demand), told, time);
    return this.#allowance.admit(demand, now, time);
  }

  /** Serves whose turn it is, as soon as that may be. */
  #serve(): void {
    if (this.#isAsking) return;
    if (this.#presence.isAway) this.#serveFromPart();
    else if (!this.#askNext()) {
      this.#ringIn(Infinity);
      if (this.#presence.hasNews) this.#presence.tellSoon();
    }
    if (this.#isClosing) void this.#endIfUnused();
  }

  #askNext(): boolean {
    const { head } = this.#line;
    if (this.#isAsking) return true;
    if (!head || !this.#allowance.hasPlace(head.demand)) return false;
    void this.#ask(head.demand);
    return true;
  }

  async #ask(demand: FullDemand): Promise<void> {
    const wanted = this.#wanted(demand);
    // How much the others need only the line knows; most are alike.
    const demands = Array.from({ length: Math.min(this.#atOnce, this.#line.size) }, () => wanted);
    this.#isAsking = true;
    const answer = await this.#presence.send(demands);
    this.#isAsking = false;
    if (answer && answer.reason !== "unknown") this.#hear(answer, demands, demand);
    else this.#serve();
  }

  #hear({ granted, time, waitMs, reason }: Answer, demands: readonly SharedDemand[], asked: FullDemand): void {
    if (granted > 0) this.#distribute(demands.slice(0, granted), time, asked);
    this.#atOnce = granted === demands.length ? Math.min(MOST_AT_ONCE, this.#atOnce * 2) : 1;
    const { head } = this.#line;
    if (granted === 0 && head?.demand === asked && !this.#presence.hasNews) this.#pause(head, waitMs, reason);
    else this.#serve();
  }

  /** Permits go to whose turn it is now; what those do not need is given back. */
  #distribute(granted: readonly SharedDemand[], time: number, asked: FullDemand): void {
    const now = this.#clock.elapsed();
    let places = granted.reduce((sum, demand) => sum + demand.places, 0);
    let left = granted.reduce<Gauged>((sum, { amounts }) => plus(sum, amounts), NOTHING);
    for (let { head } = this.#line; head; { head } = this.#line) {
      const { demand } = head;
      const { amounts, places: own } = demand === asked ? (granted[0] as SharedDemand) : this.#wanted(demand);
      const rest = minus(left, amounts);
      if (!rest || !this.#allowance.hasPlace(demand) || own > places) break;
      places -= own;
      left = rest;
      this.#line.serve(head, this.#admit(demand, amounts, time, now));
    }
    if (places > 0 || left.some((amount) => amount > 0)) this.#giveBack(left, time);
  }

  /** Until it is worth asking again, or until it is said to be. */
  #pause(head: Waiter, waitMs: number, reason: string): void {
    this.#listen();
    const isLate = this.#clock.elapsed() + waitMs > head.demand.deadlineAt;
    // Unlike tokens, requests are never given back.
    if (reason !== "r" || !isLate) return this.#ringIn(Math.min(waitMs, HEARTBEAT_MS));
    this.#line.refuse(head, new DeadlineError(`A permit of the limiter "${this.name}" cannot come before ${Math.round(waitMs)} ms have passed.`));
    this.#serve();
  }

  #serveFromPart(): void {
    this.#presence.probe();
    const now = this.#clock.elapsed();
    for (let { head } = this.#line; head; { head } = this.#line) {
      const waitMs = this.#allowance.waitMs(head.demand, now);
      if (waitMs > 0) return this.#ringIn(Math.min(waitMs, HEARTBEAT_MS));
      this.#line.serve(head, this.#admit(head.demand, NOTHING, this.#exchange.time(now), now));
    }
    this.#ringIn(Infinity);
  }

  #ended(demand: FullDemand, truth: Amounts, time: number): void {
    this.#ledger.settle(gauged(demand), gauged(truth), time);
    if (demand.tokens > 0) this.#line.correct(demand, truth.tokens - demand.tokens);
    this.#presence.hasNews = true;
    this.#serve();
  }

  #giveBack(amounts: Gauged, time: number): void {
    this.#ledger.take(NOTHING, amounts, time);
    this.#presence.tellSoon();
  }

  #listen(): void {
    if (this.#bus) return;
    this.#bus = redisBus(this.#parts.redis);
    this.#bus.subscribe(this.#exchange.channel, () => {
      this.#presence.hasNews = true;
      this.#serve();
    });
  }

  #ringIn(waitMs: number): void {
    this.#alarm?.();
    this.#alarm = waitMs === Infinity ? undefined : this.#clock.after(Math.ceil(waitMs), () => this.#serve());
  }

  async #endIfUnused(): Promise<void> {
    if (this.#isUsed || this.#isAsking || this.#hasEnded) return;
    this.#hasEnded = true;
    await this.#presence.end();
    await this.#bus?.close();
    if (this.#parts.owns) this.#parts.redis.close();
  }
}
