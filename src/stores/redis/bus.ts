import { randomUUID } from "node:crypto";
import { ignore, raceAbort } from "../../core/abort.ts";
import { withDeadline } from "../../core/deadline.ts";
import { resolveWith } from "../../core/options.ts";
import { warn } from "../../core/warn.ts";
import type { Bus, BusListener, Invalidation, Position } from "../bus.ts";
import { isRefusal, type RedisLike } from "./client.ts";
import { RedisConnection, type RedisSource } from "./connection.ts";
import type { Link } from "./link.ts";
import { APPEND, BEGINNING, LOG_LENGTH, LOG_PAGE, type LogEntry, type LogPage, READ, readMessage, readPage, readRecord, readUnlogged, writeUnlogged } from "./log.ts";
import { Outbox } from "./outbox.ts";

export interface RedisBusOptions {
  /** How often a quiet connection is checked and the log is asked for missed invalidations, milliseconds. @default 1000 */
  heartbeatMs?: number;
}

/** Publishers whose last record is remembered, to know one that was sent twice. */
const KNOWN_PUBLISHERS = 1000;
/** Records that were heard without a place and are remembered, because they are told again and again. */
const KNOWN_UNLOGGED = 20_000;

/**
 * Carries invalidations through Redis 6 or later: a log that everybody can read again from where they stood, and pub/sub to hear of it at once.
 * A `RedisConnection` that is passed in is shared and stays open; from anything else the bus makes its own.
 * @throws OptionError
 */
export function redisBus(source: RedisConnection | RedisSource, options: RedisBusOptions = {}): Bus {
  const heartbeatMs = resolveWith("redisBus", options, (reader) => reader.number("heartbeatMs", { default: 1000, min: 10, max: 60_000 }));
  return source instanceof RedisConnection ? new RedisBus(source, false, heartbeatMs) : new RedisBus(new RedisConnection(source), true, heartbeatMs);
}

class RedisBus implements Bus {
  readonly #redis: RedisConnection;
  readonly #owns: boolean;
  readonly #heartbeatMs: number;
  /** Redis answers within this time or counts as away, milliseconds. */
  readonly #patienceMs: number;
  readonly #channel: string;
  readonly #keys: readonly [epoch: string, log: string];
  readonly #link: Link;
  readonly #outbox: Outbox;
  readonly #hearers = new Map<string, Set<(message: string) => void>>();
  readonly #counts = new Map<string, number>();
  readonly #unlogged = new Set<string>();
  /** What Redis refuses at the moment. */
  readonly #refused = new Set<"append" | "read">();
  #listener: BusListener | undefined;
  #position: Position | undefined;
  #heartbeat: NodeJS.Timeout | undefined;
  #catchingUp: Promise<void> | undefined;
  #isBehind = false;
  #isCurrent = false;
  #isBeating = false;
  #closed = false;

  constructor(redis: RedisConnection, owns: boolean, heartbeatMs: number) {
    this.#redis = redis;
    this.#owns = owns;
    this.#heartbeatMs = heartbeatMs;
    this.#patienceMs = Math.max(1000, 2 * heartbeatMs);
    this.#channel = redis.channel("bus");
    this.#keys = [`${redis.prefix}{bus}:epoch`, `${redis.prefix}{bus}:log`];
    this.#link = redis.subscriber({ up: (client) => void this.#greet(client), down: () => (this.#isCurrent = false) });
    this.#outbox = new Outbox({
      send: (records) => this.#append(records),
      tell: (records) => this.#answered(redis.call("publish", this.#channel, writeUnlogged(records))),
    });
  }

  get position(): Position | undefined {
    return this.#position;
  }

  get isCurrent(): boolean {
    return this.#isCurrent;
  }

  start(listener: BusListener, since?: Position): void {
    this.#listener = listener;
    this.#position = since;
    this.subscribe(this.#channel, (message) => this.#heard(message));
    void this.#catchUp();
  }

  async publish(invalidation: Invalidation, timeoutMs: number): Promise<void> {
    // Whoever goes on after this stores its answers as one who knows of the invalidation.
    const delivered = this.#outbox.put(invalidation).then(() => this.#catchUp());
    await withDeadline(delivered, timeoutMs, "it stays on its way").catch(ignore);
  }

  subscribe(channel: string, hear: (message: string) => void): () => void {
    const hearers = this.#hearers.get(channel) ?? new Set();
    hearers.add(hear);
    if (hearers.size === 1) {
      this.#hearers.set(channel, hearers);
      this.#tune("subscribe", channel);
    }
    this.#open();
    return () => {
      if (!hearers.delete(hear) || hearers.size > 0) return;
      this.#hearers.delete(channel);
      this.#tune("unsubscribe", channel);
    };
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#heartbeat);
    this.#link.close();
    await this.#answered(this.#outbox.flush()).catch(ignore);
    this.#outbox.close();
    if (this.#owns) this.#redis.close();
  }

  #open(): void {
    if (this.#heartbeat || this.#closed) return;
    this.#heartbeat = setInterval(() => void this.#beat(), this.#heartbeatMs).unref();
    this.#link.open().catch(ignore);
  }

  /** What is said between the last connection and this one's subscriptions is in the log; own news first. */
  async #greet(client: RedisLike): Promise<void> {
    client.on("message", (channel, message) => {
      for (const hear of this.#hearers.get(String(channel)) ?? []) hear(String(message));
    });
    const channels = [...this.#hearers.keys()];
    try {
      if (channels.length > 0) await this.#answered(client.call("subscribe", ...channels));
    } catch {
      return this.#link.reset();
    }
    await this.#outbox.flush();
    this.#catchUp();
  }

  #tune(command: "subscribe" | "unsubscribe", channel: string): void {
    const client = this.#link.client;
    if (client) this.#answered(client.call(command, channel)).catch(() => this.#link.reset());
  }

  /** Finds a connection on which nothing arrives any more, and a message that got lost on one that works. */
  async #beat(): Promise<void> {
    if (this.#isBeating) return;
    this.#isBeating = true;
    const client = this.#link.client;
    if (client) await this.#answered(client.call("ping")).catch(() => client === this.#link.client && this.#link.reset());
    await this.#catchUp();
    this.#isBeating = false;
  }

  #heard(message: string): void {
    const unlogged = readUnlogged(message);
    if (unlogged) return unlogged.forEach((record) => this.#hearUnlogged(record));
    const heard = readMessage(message);
    const position = this.#position;
    if (!heard || (position?.epoch === heard.epoch && heard.entry.seq <= position.seq)) return;
    const isNext = position?.epoch === heard.epoch && heard.entry.seq === position.seq + 1;
    if (isNext && !this.#catchingUp) this.#tell(heard.entry, heard.epoch);
    else void this.#catchUp();
  }

  /** Whoever has heard of all places so far has not heard of this one; our own place stays. */
  #hearUnlogged(record: string): void {
    const read = readRecord(record);
    if (!read || read.publisher === this.#outbox.publisher || read.count <= (this.#counts.get(read.publisher) ?? 0)) return;
    const name = `${read.publisher} ${read.count}`;
    if (this.#unlogged.has(name)) return;
    this.#unlogged.add(name);
    if (this.#unlogged.size > KNOWN_UNLOGGED) for (const oldest of this.#unlogged.values().take(1)) this.#unlogged.delete(oldest);
    const { epoch, seq } = this.#position ?? { epoch: "", seq: 0 };
    this.#notify((listener) => listener.invalidated(read.invalidation, { epoch, seq: seq + 1 }, 0));
  }

  /** Reads the log from where we stand to its end. Never rejects: the next heartbeat tries again. */
  #catchUp(): Promise<void> {
    this.#isBehind = true;
    if (!this.#listener) return Promise.resolve();
    return (this.#catchingUp ??= this.#readLog().catch(ignore).finally(() => (this.#catchingUp = undefined)));
  }

  async #readLog(): Promise<void> {
    while (this.#isBehind && !this.#closed) {
      this.#isBehind = false;
      const { epoch, seq } = this.#position ?? { epoch: "", seq: 0 };
      const page = readPage(await this.#watched("read", this.#redis.script(READ, this.#keys, [randomUUID(), epoch, seq, LOG_PAGE])));
      this.#follow(page);
      if (page.entries.length === LOG_PAGE) this.#isBehind = true;
    }
    this.#isCurrent = true;
  }

  #follow({ end, entries }: LogPage): void {
    if (!this.#position) this.#arrive(end, entries[0]);
    const knows = this.#position?.epoch === end.epoch;
    // In another life everything since its beginning is told after the loss: a server with an older state brings back what was invalidated.
    const from = knows ? (this.#position?.seq ?? 0) : BEGINNING;
    const goesOn = entries.every(({ seq }, index) => seq === from + 1 + index) && (entries.length > 0 || end.seq === from);
    if (!knows || !goesOn) this.#lose(goesOn ? { epoch: end.epoch, seq: from } : end);
    if (goesOn) for (const entry of entries) this.#tell(entry, end.epoch);
  }

  /** A newcomer has kept nothing or little, and is told the latest; only where that is not all there was, something may have been missed. */
  #arrive({ epoch, seq }: Position, oldest: LogEntry | undefined): void {
    const position = { epoch, seq: oldest ? oldest.seq - 1 : seq };
    if (position.seq > BEGINNING) return this.#lose(position);
    this.#position = position;
    this.#outbox.see(epoch);
  }

  /** The listener hears first: who looks at our position must never take for heard what was not. */
  #tell({ seq, record, ageMs }: LogEntry, epoch: string): void {
    const position = { epoch, seq };
    const read = readRecord(record);
    if (read && this.#isFirst(read.publisher, read.count)) this.#notify((listener) => listener.invalidated(read.invalidation, position, ageMs));
    this.#position = position;
  }

  #lose(position: Position): void {
    this.#counts.clear();
    this.#notify((listener) => listener.lost(position));
    this.#position = position;
    this.#outbox.see(position.epoch);
  }

  #notify(tell: (listener: BusListener) => void): void {
    try {
      if (this.#listener) tell(this.#listener);
    } catch (error) {
      warn("a listener of the invalidation bus failed", error);
    }
  }

  #isFirst(publisher: string, count: number): boolean {
    const last = this.#counts.get(publisher) ?? 0;
    this.#counts.delete(publisher);
    this.#counts.set(publisher, Math.max(last, count));
    if (this.#counts.size > KNOWN_PUBLISHERS) for (const oldest of this.#counts.keys()) return this.#counts.delete(oldest), count > last;
    return count > last;
  }

  async #append(records: readonly string[]): Promise<string> {
    const reply = this.#redis.script(APPEND, this.#keys, [randomUUID(), this.#channel, LOG_LENGTH, ...records]);
    return String(await this.#watched("append", reply));
  }

  /** Tells the listener that Redis refuses; one that is away is noticed by whoever keeps entries there. */
  async #watched<T>(task: "append" | "read", work: Promise<T>): Promise<T> {
    try {
      const reply = await this.#answered(work);
      this.#refused.delete(task);
      return reply;
    } catch (error) {
      if (this.#listener && isRefusal(error) && !this.#refused.has(task)) {
        this.#refused.add(task);
        this.#notify((listener) => listener.failed?.(error));
      }
      throw error;
    }
  }

  #answered<T>(work: Promise<T>): Promise<T> {
    return raceAbort(work, AbortSignal.timeout(this.#patienceMs));
  }
}
