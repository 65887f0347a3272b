import { randomUUID } from "node:crypto";
import type { Bus } from "../bus.ts";
import type { Addition, AnswerState, Applicant, Joined, Lease, Leases, LiveAnswer } from "../leases.ts";
import type { RedisArgument } from "./client.ts";
import type { RedisConnection } from "./connection.ts";
import { ADD, JOIN, READ, RELEASE, RENEW } from "./lease-scripts.ts";
import type { RedisScript } from "./script.ts";

export interface RedisLeasesOptions {
  /** A lease that is not renewed for this long is free, milliseconds. @default 5_000 */
  durationMs?: number;
  /** How long a whole answer stays for those who follow it already, milliseconds. @default 30_000 */
  readableMs?: number;
}

/** Leases in Redis 6 or later. Connection and bus are shared and stay open. */
export function redisLeases(redis: RedisConnection, bus: Bus, { durationMs = 5_000, readableMs = 30_000 }: RedisLeasesOptions = {}): Leases {
  return {
    async join(key, applicant) {
      const token = randomUUID();
      const place = (of: string): Place => new Place(redis, key, of);
      const [role, heldBy = "", leaderId = "", mode = "", ageMs = 0] = (await place(token).run(JOIN, [...argumentsOf(applicant, durationMs)])) as [string, string?, string?, string?, number?];
      if (role === "lead") return { role: "leader", lease: new RedisLease(place(token), durationMs, readableMs) };
      if (role === "follow") return { role: "follower", live: new RedisLiveAnswer(place(heldBy), bus, { leaderId, mode, ageMs }) } satisfies Joined;
      return { role: "alone" };
    },
  };
}

function argumentsOf({ id, mode, maxAgeMs }: Applicant, durationMs: number): RedisArgument[] {
  return [id, mode, durationMs, maxAgeMs === Infinity ? -1 : Math.floor(maxAgeMs)];
}

/** The keys of one answer, which lie in one slot, and its channel. */
class Place {
  readonly token: string;
  readonly channel: string;
  readonly #redis: RedisConnection;
  readonly #keys: readonly [lease: string, live: string];

  constructor(redis: RedisConnection, key: string, token: string) {
    this.token = token;
    this.channel = redis.channel(`live:${key}`);
    this.#redis = redis;
    this.#keys = [`${redis.prefix}{${key}}:lease`, `${redis.prefix}{${key}}:live:${token}`];
  }

  run(script: RedisScript, args: readonly RedisArgument[]): Promise<unknown> {
    return this.#redis.script(script, this.#keys, [this.token, ...args]);
  }

  /** With bytes in place of strings in the reply. */
  runForBytes(script: RedisScript, args: readonly RedisArgument[]): Promise<unknown> {
    return this.#redis.scriptBuffer(script, this.#keys, [this.token, ...args]);
  }
}

class RedisLease implements Lease {
  readonly token: string;
  readonly durationMs: number;
  readonly #place: Place;
  readonly #readableMs: number;

  constructor(place: Place, durationMs: number, readableMs: number) {
    this.token = place.token;
    this.durationMs = durationMs;
    this.#place = place;
    this.#readableMs = readableMs;
  }

  async add({ number, frame, state, resumableMs }: Addition): Promise<boolean> {
    const keptMs = state === "done" ? Math.max(this.#readableMs, resumableMs) : this.durationMs;
    const bytes = frame ? Buffer.from(frame.buffer, frame.byteOffset, frame.byteLength) : "";
    return (await this.#place.run(ADD, [number, bytes, state, Math.ceil(keptMs), Math.floor(resumableMs), this.#place.channel])) === 1;
  }

  async renew(): Promise<boolean> {
    return (await this.#place.run(RENEW, [this.durationMs])) === 1;
  }

  async release(): Promise<void> {
    await this.#place.run(RELEASE, [this.#place.channel]);
  }
}

class RedisLiveAnswer implements LiveAnswer {
  readonly token: string;
  readonly leaderId: string;
  readonly mode: string;
  readonly ageMs: number;
  readonly #place: Place;
  readonly #bus: Bus;

  constructor(place: Place, bus: Bus, { leaderId, mode, ageMs }: Pick<LiveAnswer, "leaderId" | "mode" | "ageMs">) {
    this.token = place.token;
    this.leaderId = leaderId;
    this.mode = mode;
    this.ageMs = ageMs;
    this.#place = place;
    this.#bus = bus;
  }

  async read(have: number): Promise<{ frames: Uint8Array[]; state: AnswerState }> {
    const [state, ...frames] = (await this.#place.runForBytes(READ, [have + 1])) as Buffer[];
    return { frames, state: String(state) as AnswerState };
  }

  listen(hear: () => void): () => void {
    return this.#bus.subscribe(this.#place.channel, hear);
  }
}
