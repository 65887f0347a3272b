import { randomUUID } from "node:crypto";
import { Circuit } from "../../core/circuit.ts";
import { systemClock } from "../../core/clock.ts";
import { withDeadline } from "../../core/deadline.ts";
import { warn } from "../../core/warn.ts";
import type { Bus } from "../bus.ts";
import type { HealthNews, SharedHealth } from "../health.ts";
import { POST } from "./board-script.ts";
import { redisBus } from "./bus.ts";
import type { RedisConnection } from "./connection.ts";

/** How often a process posts its load and reads what others have posted. */
const BEAT_MS = 500;
/** Redis answers within this time or counts as away. */
const TIMEOUT_MS = 1_000;
/** Until the first answer a connection has to be made, and perhaps ioredis to be loaded. */
const FIRST_TIMEOUT_MS = 2_000;
/** What was heard of others' loads counts for so long. */
const FRESH_MS = 3_000;
/** Deployments of which there is news to tell. There are never so many; what is told of more of them while Redis is away is forgotten. */
const MOST_UNTOLD = 1_000;
/** Long enough for people, and short enough for a hash that every process reads twice a second. */
const LONGEST_REASON = 200;
const LONGEST_HOLD_MS = 7 * 24 * 60 * 60_000;
/** News of no stated end holds for this long. */
const STANDING_MS = 60_000;

/**
 * Shares the health of deployments through Redis 6 or later: news is told at once by pub/sub and stands in a hash while it holds; loads stand in another hash and are
 * renewed while their process lives. The connection is shared and stays open.
 * @param name what is shared by: processes with the same name know of each other
 */
export function redisBoard(connection: RedisConnection, name: string): SharedHealth {
  return new RedisBoard(connection, name);
}

/** News of this process. */
interface Letter {
  readonly news: HealthNews;
  /** Monotonic milliseconds. */
  readonly until: number;
}

/** News as it was published, or stands. */
interface Posted {
  /** Later news of the same deployment and sort has a higher one. */
  readonly order: number;
  readonly process: string;
  readonly news: HealthNews;
}

class RedisBoard implements SharedHealth {
  readonly #redis: RedisConnection;
  readonly #keys: readonly [news: string, loads: string];
  readonly #channel: string;
  readonly #process = randomUUID();
  readonly #circuit = new Circuit({ clock: systemClock, maxFailures: 1, maxOpenMs: 2_000 });
  /** News that Redis may not have heard, by field. */
  readonly #untold = new Map<string, Letter>();
  /** News that stands there, unless Redis has forgotten it. */
  readonly #told = new Map<string, Letter>();
  /** The order of the latest news that was heard, by field. */
  readonly #known = new Map<string, number>();
  #listener: ((news: HealthNews) => void) | undefined;
  #loads: () => Readonly<Record<string, number>> = () => ({});
  #others = new Map<string, number>();
  /** The server's time in the last answer, and when it was heard. */
  #heard: { readonly time: number; readonly at: number } | undefined;
  #bus: Bus | undefined;
  #beat: NodeJS.Timeout | undefined;
  #posting: Promise<void> | undefined;
  #closed = false;

  constructor(redis: RedisConnection, name: string) {
    this.#redis = redis;
    this.#keys = [`${redis.prefix}{health:${name}}:news`, `${redis.prefix}{health:${name}}:loads`];
    this.#channel = redis.channel(`{health:${name}}:news`);
  }

  tell(news: HealthNews): void {
    const { deployment, untilMs = STANDING_MS, reason } = news;
    const field = fieldOf(news);
    if (this.#closed || (this.#untold.size >= MOST_UNTOLD && !this.#untold.has(field))) return;
    const wellFormed = { ...news, deployment: deployment.toWellFormed(), reason: reason.slice(0, LONGEST_REASON).toWellFormed() };
    this.#untold.set(field, { news: wellFormed, until: performance.now() + Math.min(untilMs, LONGEST_HOLD_MS) });
    this.#start();
    void this.#post();
  }

  hear(listener: (news: HealthNews) => void): void {
    this.#listener = listener;
    this.#start();
    void this.#post();
  }

  load(deployment: string): number {
    const isFresh = this.#heard && performance.now() - this.#heard.at <= FRESH_MS;
    return isFresh ? (this.#others.get(deployment) ?? 0) : 0;
  }

  report(loads: () => Readonly<Record<string, number>>): void {
    this.#loads = loads;
    this.#start();
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#beat);
    this.#loads = () => ({});
    await this.#posting;
    if (this.#heard) await this.#post();
    await this.#bus?.close();
  }

  #start(): void {
    if (this.#beat || this.#closed) return;
    this.#beat = setInterval(() => void this.#post(), BEAT_MS).unref();
    this.#bus = redisBus(this.#redis);
    this.#bus.subscribe(this.#channel, (message) => this.#hear(readPosted(message)));
  }

  /** Posts and reads, one at a time; what is told meanwhile goes next. Never rejects. */
  #post(): Promise<void> {
    return (this.#posting ??= this.#exchange().finally(() => (this.#posting = undefined)));
  }

  async #exchange(): Promise<void> {
    // What is told in one go goes together.
    await Promise.resolve();
    do {
      if (!this.#circuit.allows()) return;
      const told = new Map(this.#untold);
      try {
        const reply = this.#redis.script(POST, this.#keys, [this.#process, this.#channel, this.#message(told)]);
        this.#read(await withDeadline(reply, this.#heard ? TIMEOUT_MS : FIRST_TIMEOUT_MS, "Redis does not answer", false));
        this.#circuit.succeeded();
      } catch {
        this.#circuit.failed();
        return;
      }
      for (const [field, letter] of told) {
        this.#told.set(field, letter);
        if (this.#untold.get(field) === letter) this.#untold.delete(field);
      }
    } while (this.#untold.size > 0);
  }

  #message(told: ReadonlyMap<string, Letter>): string {
    const now = performance.now();
    const sentAt = this.#heard ? Math.ceil(this.#heard.time + now - this.#heard.at) : 0;
    const holding = [...told.values()].filter(({ until }) => until > now);
    const news = holding.map(({ news: { deployment, kind, reason }, until }) => [deployment, kind, Math.ceil(until - now), reason]);
    const loads = Object.entries(this.#loads()).filter(([, requests]) => requests > 0).map(([deployment, requests]) => [deployment.toWellFormed(), requests]);
    return JSON.stringify([sentAt, Object.fromEntries(loads), news]);
  }

  #read(reply: unknown): void {
    const [time, standing, totals] = reply as [number, string[]?, (string | number)[]?];
    this.#heard = { time, at: performance.now() };
    if (!standing || !totals) throw new Error("The message was given up on its way, or the server's clock was set");
    this.#others = new Map(Array.from({ length: totals.length / 2 }, (_, at) => [String(totals[2 * at]), Number(totals[2 * at + 1])]));
    const posted = standing.map(readPosted);
    for (const one of posted) this.#hear(one);
    const processes = new Map(posted.flatMap((one) => (one ? [[fieldOf(one.news), one.process]] : [])));
    for (const [field, order] of this.#known) if (!processes.has(field) && order < time) this.#known.delete(field);
    this.#retell(processes);
  }

  /** A Redis that came back empty is told what this process has said and nobody has said otherwise since. */
  #retell(standing: ReadonlyMap<string, string>): void {
    for (const [field, letter] of this.#told) {
      if (standing.get(field) === this.#process && letter.until > performance.now()) continue;
      this.#told.delete(field);
      if (!standing.has(field) && letter.until > performance.now() && !this.#untold.has(field)) this.#untold.set(field, letter);
    }
  }

  #hear(posted: Posted | undefined): void {
    if (!posted || !this.#listener || this.#closed) return;
    const { order, process, news } = posted;
    const field = fieldOf(news);
    if (order <= (this.#known.get(field) ?? -Infinity)) return;
    this.#known.set(field, order);
    if (process === this.#process) return;
    this.#told.delete(field);
    try {
      this.#listener(news);
    } catch (error) {
      warn("a listener of the health of deployments failed", error);
    }
  }
}

/** What news takes the place of what. */
function fieldOf({ deployment, kind }: HealthNews): string {
  return `${kind === "aside" ? "aside" : "circuit"}:${deployment}`;
}

const KINDS: readonly unknown[] = ["open", "closed", "aside", "disabled"] satisfies HealthNews["kind"][];

/** @returns nothing when nobody of ours has written it */
function readPosted(message: string): Posted | undefined {
  try {
    const [order, process, deployment, kind, untilMs, reason] = JSON.parse(message) as unknown[];
    const isOurs = [order, untilMs].every(Number.isFinite) && [process, deployment, reason].every((text) => typeof text === "string") && KINDS.includes(kind);
    if (!isOurs) return undefined;
    return { order, process, news: { deployment, kind, untilMs, reason } } as Posted;
  } catch {
    return undefined;
  }
}
