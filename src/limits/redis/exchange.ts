import { randomUUID } from "node:crypto";
import { ignore } from "../../core/abort.ts";
import { Circuit } from "../../core/circuit.ts";
import type { Alarm } from "../../core/clock.ts";
import { withDeadline } from "../../core/deadline.ts";
import type { RedisConnection } from "../../stores/redis/connection.ts";
import type { RedisScript } from "../../stores/redis/script.ts";
import { exchangeScript, HEARTBEAT_MS, type SharedLimits } from "./exchange-script.ts";
import type { Gauged } from "./gauges.ts";
import type { Correction, Ledger } from "./ledger.ts";

/** A demand as it goes to Redis. */
export interface SharedDemand {
  readonly amounts: Gauged;
  /** 0 for one that is nested. */
  readonly places: number;
  readonly priority: number;
}

export interface Answer {
  /** The server's time, made steady, milliseconds. */
  readonly time: number;
  /** How many of the demands are granted, from the first on. */
  readonly granted: number;
  /** How long the first that is not granted has to wait if nothing changes but time, milliseconds. */
  readonly waitMs: number;
  /** What it waits for: `r`equests, `t`okens, `c`ost, `places`, `recovery` after a loss; `unknown` = Redis has forgotten and nothing was done. */
  readonly reason: string;
}

export interface ExchangeOptions {
  readonly redis: RedisConnection;
  /** What the limits are shared under. */
  readonly name: string;
  readonly limits: SharedLimits;
  /** Redis answers within this time or counts as away, milliseconds. */
  readonly timeoutMs: number;
  readonly clock: Alarm;
  readonly ledger: Ledger;
  /** Redis has granted demands and this was heard too late. */
  late(demands: readonly SharedDemand[], time: number): void;
}

/** Until the first answer a connection has to be made, and perhaps ioredis to be loaded, milliseconds. */
const FIRST_TIMEOUT_MS = 2_000;
/** Timers ring a little early, by the clock that is read. */
const EARLY_MS = 50;
/** How much faster than the clock of this process the server's may go: a share, and milliseconds. */
const DRIFT = 1.001;
const DRIFT_MS = 1_000;

/** The messages of this process to those with whom it shares limits, and what it knows from the answers. */
export class Exchange {
  readonly #options: ExchangeOptions;
  readonly #script: RedisScript;
  readonly #keys: readonly string[];
  readonly #process = randomUUID();
  readonly #circuit: Circuit;
  #life = 0;
  /** What all messages to this life begin with. */
  #address: string;
  /** The server's time in the last answer, and when the question was sent and the answer heard. */
  #heard: { readonly time: number; readonly sentAt: number; readonly heardAt: number } | undefined;
  #beatAt = -Infinity;
  /** Corrections that Redis may or may not have heard, under their number. */
  #batch: readonly [number: number, ...corrections: Correction[]] | undefined;
  #isBatchSent = false;
  #number = 0;
  /** Processes that were heard of in the last seconds. */
  processes = 1;
  /** What all processes have taken. */
  totals: Gauged | undefined;

  constructor(options: ExchangeOptions) {
    const { redis, name, limits, clock } = options;
    const key = `${redis.prefix}{limit:${name}}:`;
    this.#options = options;
    this.#script = exchangeScript(limits);
    this.#keys = [`${key}window`, `${key}processes`, `${key}row`];
    this.#address = `["${this.#process}",0`;
    this.#circuit = new Circuit({ clock, maxFailures: 1, maxOpenMs: HEARTBEAT_MS });
  }

  /** Where this process is told that it is its turn. */
  get channel(): string {
    return this.#options.redis.channel(`{limit:${this.#options.name}}:processes:${this.#process}`);
  }

  /** Whether a message may go; while Redis is away, one now and then. Who is let through sends it. */
  allows(): boolean {
    return this.#circuit.allows();
  }

  /** Whether nothing was said for so long that others would take this process for dead. */
  get isSilent(): boolean {
    return this.#options.clock.elapsed() - this.#beatAt >= HEARTBEAT_MS - EARLY_MS;
  }

  /** The server's time, as far as it is known. */
  time(now: number): number {
    const { clock } = this.#options;
    return this.#heard ? this.#heard.time + now - this.#heard.heardAt : clock.now() - clock.elapsed() + now;
  }

  /** @param places that this process holds. Rejects when Redis is away, or refuses */
  async send(places: number, demands: readonly SharedDemand[]): Promise<Answer> {
    const { redis, clock } = this.#options;
    const timeoutMs = Math.max(this.#options.timeoutMs, this.#heard ? 0 : FIRST_TIMEOUT_MS);
    const life = this.#life;
    const sentAt = clock.elapsed();
    const beats = this.isSilent;
    if (beats) this.#beatAt = sentAt;
    const carries = this.#carry();
    const reply = redis.script(this.#script, this.#keys, [this.#message(places, demands, beats, carries, sentAt)]);
    try {
      const answer = this.#read(replyOf(await withDeadline(reply, timeoutMs, "Redis does not answer", demands.length > 0), life, demands), sentAt);
      if (carries) this.#batch = undefined;
      this.#circuit.succeeded();
      return answer;
    } catch (error) {
      this.#beatAt = -Infinity;
      this.#circuit.failed();
      reply.then((answer) => this.#hearLate(replyOf(answer, life, demands), demands), ignore);
      throw error;
    } finally {
      if (carries) this.#isBatchSent = false;
    }
  }

  /** Puts corrections on their way, unless others are. Those of which nobody knows whether they have arrived keep their number. */
  #carry(): boolean {
    if (this.#isBatchSent) return false;
    if (!this.#batch && this.#options.ledger.hasChanged) {
      const corrections = this.#options.ledger.corrections();
      if (corrections.length > 0) this.#batch = [(this.#number += 1), ...corrections];
    }
    this.#isBatchSent = this.#batch !== undefined;
    return this.#isBatchSent;
  }

  #message(places: number, demands: readonly SharedDemand[], beats: boolean, carries: boolean, now: number): string {
    const heard = this.#heard;
    const latest = heard ? Math.ceil(heard.time + (now - heard.sentAt) * DRIFT + DRIFT_MS) : 0;
    let wants = "";
    for (const { amounts, places: own, priority } of demands) wants += `${wants && ","}[${amounts[0]},${amounts[1]},${amounts[2]},${own},${priority}]`;
    return `${this.#address},${latest},${beats},${places},${carries ? JSON.stringify(this.#batch) : "false"},[${wants}]]`;
  }

  #read([life, time, processes, granted, waitMs, reason, ...totals]: Reply, sentAt: number): Answer {
    this.#heard = { time, sentAt, heardAt: this.#options.clock.elapsed() };
    if (processes > 0) {
      this.processes = processes;
      this.totals = totals as [number, number, number];
    }
    if (reason === "unknown") {
      this.#options.ledger.untold();
      this.#batch = undefined;
    }
    if (life !== this.#life) this.#address = `["${this.#process}",${life}`;
    this.#life = life;
    return { time, granted, waitMs, reason };
  }

  #hearLate([life, time, , granted]: Reply, demands: readonly SharedDemand[]): void {
    if (life === this.#life && granted > 0) this.#options.late(demands.slice(0, granted), time);
  }
}

type Reply = readonly [life: number, time: number, processes: number, granted: number, waitMs: number, reason: string, ...totals: number[]];

/** Where all is granted and the life is the known one, Redis tells the time and no more. */
function replyOf(reply: unknown, life: number, { length }: readonly SharedDemand[]): Reply {
  return typeof reply === "number" ? [life, reply, 0, length, 0, ""] : (reply as Reply);
}
