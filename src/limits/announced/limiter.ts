import type { Alarm } from "../../core/clock.ts";
import { DeadlineError } from "../../core/errors.ts";
import { resolveDemand, told, type FullDemand } from "../demand.ts";
import type { Demand, Limiter, LimiterStatus, Permit, QuotaNotice, RequestOutcome } from "../limiter.ts";
import { WaitingLine } from "../line.ts";
import type { Taken } from "./last-minute.ts";
import { AnnouncedLevel, OVERTAKING_MS } from "./level.ts";
import { Margin } from "./margin.ts";
import { Pending, type Sent } from "./pending.ts";
import { Refusals } from "./refusals.ts";

export interface AnnouncedOptions {
  readonly clock: Alarm;
  /** Calls that may wait, for each target. */
  readonly maxQueue: number;
  /** How long one may wait, milliseconds. */
  readonly maxWaitMs: number;
  /** Shares of tenants that are not 1. */
  readonly weights: ReadonlyMap<string, number>;
  /** Requests that may be under way before the provider has said anything: its first answer tells how many more it takes. @default 16 */
  readonly firstAtOnce?: number;
}

/** The right to make one request, and the ear for what comes of it. */
export interface AnnouncedPermit extends Permit {
  /** The request goes out now, the last time that this is told. Until then, no report can include it; one that never goes out is given back as if it had not been. */
  sent(): void;
  /**
   * Hears of the head of a response to the request, before the permit is released.
   * @param notice what it says of limits; `undefined` = nothing, which also says something
   */
  heard(notice: QuotaNotice | undefined): void;
}

const NAME = "announced";
const FIRST_AT_ONCE = 16;
/** What is missing may be less than a timer, or a number, can tell. */
const SHORTEST_WAIT_MS = 1;

/** Keeps to the limits of one target as far as the target tells them. Before it has said anything, few requests are under way. */
export class AnnouncedLimiter implements Limiter {
  readonly name = NAME;
  readonly #options: AnnouncedOptions;
  readonly #line: WaitingLine;
  readonly #requests = new AnnouncedLevel();
  readonly #tokens = new AnnouncedLevel();
  readonly #refusals = new Refusals();
  readonly #margin = new Margin();
  readonly #pending = new Pending();
  /** Requests that were admitted so far. */
  #count = 0;
  #active = 0;
  #hasAnswered: boolean;
  #alarm: { readonly at: number; cancel(): void } | undefined;

  readonly #firstAtOnce: number;
  /** Whom the limits are for, as people call it. */
  readonly #target: string | undefined;

  constructor(options: AnnouncedOptions, target?: string) {
    const { clock, maxQueue, weights, firstAtOnce = FIRST_AT_ONCE } = options;
    this.#options = options;
    this.#target = target;
    this.#firstAtOnce = firstAtOnce;
    this.#hasAnswered = firstAtOnce === Infinity;
    this.#line = new WaitingLine({ limiter: NAME, maxQueue, weights, clock, left: () => this.#serve() });
  }

  async acquire(demand: Demand = {}): Promise<AnnouncedPermit> {
    const now = this.#options.clock.elapsed();
    const full = resolveDemand(demand, this.#options.maxWaitMs, now);
    if (this.#line.size === 0 && this.#hasPlace(full) && this.#waitMs(full, now) === 0) return this.#admit(full, now);
    const waitMs = this.#waitMs(full, now, this.#line.ahead(full));
    if (now + waitMs > full.deadlineAt) throw new DeadlineError(`The provider's limits let this request go in ${Math.ceil(waitMs)} ms, which is after its deadline.`);
    const permit = this.#line.join(full);
    this.#serve();
    return permit as Promise<AnnouncedPermit>;
  }

  /** How long nothing is sent, because the provider has refused, milliseconds; 0 = it may be. */
  get pausedMs(): number {
    return this.#refusals.pauseMs(this.#options.clock.elapsed());
  }

  status(): LimiterStatus {
    const now = this.#options.clock.elapsed();
    const used = { requests: this.#requests.used(now), tokens: this.#tokens.used(now) };
    return {
      name: NAME,
      ...(this.#target !== undefined && { target: this.#target }),
      queued: this.#line.size,
      active: this.#active,
      ...(!this.#hasAnswered && { concurrency: { limit: this.#firstAtOnce, reason: "no answer yet" } }),
      used: { ...(used.requests !== undefined && { requests: used.requests }), ...(used.tokens !== undefined && { tokens: used.tokens }) },
      source: this.#source(now),
    };
  }

  #source(now: number): string {
    if (this.pausedMs > 0) return `refused: nothing for ${Math.ceil(this.pausedMs)} ms`;
    if (this.#isTold(now)) return "headers of the provider";
    return this.#refusals.isLearned(now) ? "refusals of the provider" : "nothing told";
  }

  /** Whether the provider tells how much of its limits is left. */
  #isTold(now: number): boolean {
    return this.#requests.isKnown(now) || this.#tokens.isKnown(now);
  }

  #hasPlace({ isNested }: FullDemand): boolean {
    return this.#hasAnswered || isNested || this.#active < this.#firstAtOnce;
  }

  #waitMs(wanted: Taken, now: number, ahead: Taken = NOTHING): number {
    const margin = this.#margin.share(now);
    return Math.max(
      this.#refusals.waitMs(wanted, ahead, now),
      this.#requests.waitMs(wanted.requests, ahead.requests, margin, now),
      this.#tokens.waitMs(wanted.tokens, ahead.tokens, margin, now),
    );
  }

  #admit(demand: FullDemand, now: number): AnnouncedPermit {
    const { requests, tokens, since } = demand;
    this.#active += 1;
    this.#count += 1;
    this.#requests.take(requests, now);
    this.#tokens.take(tokens, now);
    this.#refusals.take(demand, now);
    const sent: Admitted = { number: this.#count, at: undefined, demand, requests, tokens, counted: tokens };
    this.#pending.add(sent);
    let held = true;
    return {
      waitMs: now - since,
      sent: () => {
        if (!held) return;
        sent.at = this.#options.clock.elapsed();
        this.#pending.sent(sent);
      },
      heard: (notice) => {
        // On a pooled connection a response may be heard by whoever opened it.
        if (held) this.#heard(sent, notice);
      },
      release: (outcome) => {
        if (held && sent.at === undefined) this.#returned(sent);
        else if (held) this.#released(sent, outcome);
        held = false;
      },
    };
  }

  #heard(sent: Admitted, notice: QuotaNotice | undefined): void {
    const now = this.#options.clock.elapsed();
    this.#hasAnswered = true;
    this.#pending.heard(sent);
    if (notice?.requests || notice?.tokens) this.#told(sent.at ?? now, notice, now);
    if (notice?.isRefusal) this.#refused(sent, notice, now);
    else this.#refusals.passed(sent.number);
    this.#serve();
  }

  #told(sentAt: number, { requests, tokens }: QuotaNotice, now: number): void {
    this.#pending.settle(sentAt - OVERTAKING_MS);
    if (requests) this.#requests.heard(requests, sentAt, this.#pending.requests, now);
    if (tokens) this.#tokens.heard(tokens, sentAt, this.#pending.tokens, now);
    if (this.#isTold(now)) this.#refusals.unlearn();
  }

  #refused(sent: Admitted, { retryAfterMs, requests, tokens }: QuotaNotice, now: number): void {
    const { number, demand } = sent;
    const isNews = this.#refusals.isNews(number, this.#count);
    if (!this.#isTold(now)) this.#learn(sent, now);
    else if (isNews) this.#margin.widen(now);
    if (retryAfterMs !== undefined) return this.#refusals.pause(retryAfterMs, now);
    // Levels that came with the refusal may say all that there is to say: it is too early, or never in time.
    const isExplained = (requests || tokens) && (this.#tokens.isBelow(demand.tokens) || this.#waitMs(demand, now) > 0);
    if (isNews && !isExplained) this.#refusals.backOff(now);
  }

  #learn(sent: Admitted, now: number): void {
    this.#refusals.learn({ requests: sent.requests, tokens: sent.counted }, now);
    sent.counted = 0;
  }

  /** A request that was admitted has not gone out. */
  #returned(sent: Admitted): void {
    const now = this.#options.clock.elapsed();
    const { demand, requests, tokens } = sent;
    this.#active -= 1;
    this.#pending.heard(sent);
    this.#requests.take(-requests, now);
    this.#tokens.take(-tokens, now);
    this.#refusals.take({ requests: -requests, tokens: -tokens }, now);
    this.#line.correct(demand, -tokens);
    this.#serve();
  }

  #released(sent: Admitted, { tokens: taken, end = "ok" }: RequestOutcome = {}): void {
    const now = this.#options.clock.elapsed();
    const { demand, counted } = sent;
    const tokens = told(taken) ?? counted;
    this.#active -= 1;
    this.#refusals.correct(tokens - counted, now);
    this.#line.correct(demand, tokens - demand.tokens);
    // Where nothing is told, nothing ever shows that it is included.
    if (!this.#isTold(now)) this.#pending.heard(sent);
    // Whoever answers without HTTP tells nothing.
    if (end !== "left") this.#hasAnswered = true;
    this.#serve();
  }

  #serve(): void {
    const now = this.#options.clock.elapsed();
    for (let head = this.#line.head; head && this.#hasPlace(head.demand); head = this.#line.head) {
      const waitMs = this.#waitMs(head.demand, now);
      if (waitMs > 0) return this.#wake(now + waitMs);
      this.#line.serve(head, this.#admit(head.demand, now));
    }
    this.#alarm?.cancel();
    this.#alarm = undefined;
  }

  /** One timer; one that rings too early rings again. */
  #wake(at: number): void {
    if (this.#alarm && this.#alarm.at <= at) return;
    this.#alarm?.cancel();
    const { clock } = this.#options;
    const ring = (): void => {
      this.#alarm = undefined;
      this.#serve();
    };
    this.#alarm = { at, cancel: clock.after(Math.max(SHORTEST_WAIT_MS, at - clock.elapsed()), ring) };
  }
}

interface Admitted extends Sent {
  /** Its place in the order of admission. */
  readonly number: number;
  readonly demand: FullDemand;
  /** The tokens that it counts for in what was taken of late. */
  counted: number;
}

const NOTHING: Taken = { requests: 0, tokens: 0 };
