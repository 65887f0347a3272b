import { randomUUID } from "node:crypto";
import { ignore } from "../../core/abort.ts";
import type { Invalidation } from "../bus.ts";
import { isRefusal } from "./client.ts";
import { writeRecord } from "./log.ts";

/** Invalidations that wait while Redis is away; one more, and they become one of everything. */
const LONGEST_QUEUE = 10_000;
const BATCH = 100;
const RETRY_MS = 250;
/** What cannot be logged is told again after this time, for those who have come meanwhile. */
const RETELL_MS = 2000;
/** What was published for so long may have been missed by others when the log is lost, and by the entries that a restarted server brings back. */
const RECENT_MS = 5 * 60_000;

interface Letter {
  readonly invalidation: Invalidation;
  /** Set when it was first sent, and then never again: who hears it twice knows it by this. */
  record?: string;
  /** When it was told without having been logged, monotonic milliseconds. */
  toldAt?: number;
  readonly delivered: PromiseWithResolvers<void>;
}

interface Sent {
  readonly invalidation: Invalidation;
  /** Monotonic milliseconds. */
  readonly at: number;
}

export interface OutboxOptions {
  /** Appends the records to the log. @returns the log's epoch */
  send(records: readonly string[]): Promise<string>;
  /** Tells whoever listens of records that the log does not take. */
  tell(records: readonly string[]): Promise<unknown>;
}

/** What this process has to tell, in order, until it is told. */
export class Outbox {
  /** By this name others know the records of this process. */
  readonly publisher = randomUUID();
  readonly #options: OutboxOptions;
  #queue: Letter[] = [];
  #recent: Sent[] = [];
  #count = 0;
  #epoch: string | undefined;
  #sending: Promise<void> | undefined;
  #retry: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: OutboxOptions) {
    this.#options = options;
  }

  /** Resolves when it is told. */
  put(invalidation: Invalidation): Promise<void> {
    if (this.#queue.length >= LONGEST_QUEUE) this.#collapse();
    const letter: Letter = { invalidation, delivered: Promise.withResolvers() };
    this.#queue.push(letter);
    void this.flush();
    return letter.delivered.promise;
  }

  /** Tells what waits, as far as it goes. Never rejects. */
  flush(): Promise<void> {
    return (this.#sending ??= this.#sendAll().finally(() => (this.#sending = undefined)));
  }

  /** The log's epoch was seen. In another one than before, what was told lately is told again. */
  see(epoch: string): void {
    const isNew = this.#epoch !== undefined && this.#epoch !== epoch;
    this.#epoch = epoch;
    if (!isNew) return;
    const since = performance.now() - RECENT_MS;
    const again = this.#recent.filter(({ at }) => at >= since).map(({ invalidation }): Letter => ({ invalidation, delivered: Promise.withResolvers() }));
    this.#recent = [];
    // Behind those that were sent already and may have arrived: their count is lower.
    const firstUnsent = this.#queue.findIndex(({ record }) => record === undefined);
    this.#queue.splice(firstUnsent < 0 ? this.#queue.length : firstUnsent, 0, ...again);
    void this.flush();
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#retry);
  }

  async #sendAll(): Promise<void> {
    while (this.#queue.length > 0 && !this.#closed) {
      const letters = this.#queue.slice(0, BATCH);
      const records = this.#recordsOf(letters);
      try {
        const epoch = await this.#options.send(records);
        this.#queue = this.#queue.slice(letters.length);
        this.see(epoch);
        this.#remember(letters);
      } catch (error) {
        clearTimeout(this.#retry);
        this.#retry = setTimeout(() => void this.flush(), RETRY_MS).unref();
        if (isRefusal(error)) await this.#tellUnlogged().catch(ignore);
        return;
      }
    }
  }

  /** Redis works and does not take what has to be told: whoever hears it now need not wait for its place. */
  async #tellUnlogged(): Promise<void> {
    const now = performance.now();
    const due = this.#queue.filter(({ toldAt = -Infinity }) => now - toldAt >= RETELL_MS);
    for (let from = 0; from < due.length; from += BATCH) {
      const letters = due.slice(from, from + BATCH);
      await this.#options.tell(this.#recordsOf(letters));
      for (const letter of letters) letter.toldAt = now;
    }
  }

  #recordsOf(letters: readonly Letter[]): string[] {
    return letters.map((letter) => (letter.record ??= writeRecord({ publisher: this.publisher, count: (this.#count += 1), invalidation: letter.invalidation })));
  }

  #remember(letters: readonly Letter[]): void {
    const at = performance.now();
    this.#recent.push(...letters.map(({ invalidation }) => ({ invalidation, at })));
    const outdated = this.#recent.findIndex((sent) => sent.at >= at - RECENT_MS);
    this.#recent.splice(0, Math.max(outdated, this.#recent.length - LONGEST_QUEUE));
    for (const letter of letters) letter.delivered.resolve();
  }

  /** Everything that is not under way becomes one invalidation of everything. */
  #collapse(): void {
    const sent = this.#queue.slice(0, BATCH).filter(({ record }) => record !== undefined);
    const waiting = this.#queue.slice(sent.length);
    const everything: Letter = { invalidation: { all: true }, delivered: Promise.withResolvers() };
    void everything.delivered.promise.then(() => {
      for (const letter of waiting) letter.delivered.resolve();
    });
    this.#queue = [...sent, everything];
  }
}
