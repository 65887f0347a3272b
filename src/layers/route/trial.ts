import { ignore, linkAbort, type LinkedAbort } from "../../core/abort.ts";
import type { Alarm } from "../../core/clock.ts";
import { DeadlineError } from "../../core/errors.ts";
import type { AttemptFacts, Usage } from "../../core/facts.ts";
import type { Answer, Attempt, Call, Mode, Next } from "../../core/layer.ts";
import { orItself } from "../../core/parts.ts";
import { Ear } from "./ear.ts";

/** How long the parts of one request may take, milliseconds; `Infinity` = as long as they like. */
export interface Patience {
  /** From when it is made to its end; a reader's own pauses do not count. */
  readonly attemptMs: number;
  /** From when it is made to the first content. */
  readonly firstTokenMs: number;
  /** Between two parts. */
  readonly stallMs: number;
}

/** What a trial needs of the request that it is for. */
export interface TrialOptions {
  readonly call: Call;
  /** The question as this deployment is asked it. */
  readonly input: unknown;
  readonly next: Next;
  readonly attempt: Pick<Attempt, "deployment" | "isImpatient">;
  /** Hears that the request is made. */
  began(): void;
  /** Hears that there is content. */
  spoke(): void;
  /** How the answer is read: a whole one may be read in parts. */
  readonly mode: Mode;
  readonly patience: Patience;
  /** When the whole call must have ended, by the monotonic clock. */
  readonly deadlineAt: number;
  readonly clock: Alarm;
  readonly facts: AttemptFacts;
  /** Whether it may have to be broken off while its caller waits on: for another's sake, or for its time. */
  readonly isBreakable: boolean;
}

/** Timers that ring later than this show that the process had no time, milliseconds. */
const PUNCTUAL_MS = 25;

/** One request to one deployment: it is read, timed, and broken off. What its answer is worth others judge. */
export class Trial {
  readonly facts: AttemptFacts;
  /** Snapshots of all parts. */
  readonly packed: unknown[] = [];
  /** Parts that were read ahead. */
  readonly ahead: unknown[] = [];
  hasContent = false;
  hasEnded = false;
  /** Whose time was up: its own, or the whole call's. */
  late: "attempt" | "call" | undefined;
  /** The HTTP status of its last response. */
  status: number | undefined;
  headers: ReadonlyMap<string, string> | undefined;
  /** A failure of which the object that was asked told, and after which it would have tried again so many times. */
  told: { readonly error: unknown; readonly maxRetries: number } | undefined;
  /** When the request was made; `undefined` = it still waits for its permits. */
  beganAt: number | undefined;
  firstMs: number | undefined;
  /** When its answer had come to its end. */
  #endedAt: number | undefined;
  readonly #options: TrialOptions;
  readonly #call: Call;
  readonly #abort: LinkedAbort | undefined;
  readonly #pack: ((part: unknown) => unknown) | undefined;
  readonly #ear: Ear;
  readonly #startedAt: number;
  #source: AsyncIterator<unknown> | undefined;
  /** Milliseconds in which parts were waited for, the present wait not included. */
  #waitedMs = 0;
  #readSince: number | undefined;
  /** How long this process was too busy to hear anything, milliseconds. */
  #deafMs = 0;
  #reject: ((error: unknown) => void) | undefined;
  #alarm: { readonly at: number; cancel(): void } | undefined;

  constructor(options: TrialOptions) {
    const { call, input, mode, clock, attempt, isBreakable } = options;
    this.#options = options;
    this.facts = options.facts;
    this.#startedAt = clock.elapsed();
    this.#abort = isBreakable ? linkAbort(call.signal) : undefined;
    // A model that is deaf to its signal keeps nobody waiting.
    this.#abort?.signal.addEventListener("abort", () => this.#reject?.(this.#abort?.signal.reason), { once: true });
    this.#pack = mode === "invoke" ? undefined : orItself(call.kind.packer(mode));
    this.#ear = new Ear(this, attempt);
    this.#call = call.with({ input, mode, attempt: this.#ear, signal: this.#abort?.signal });
  }

  get answer(): Answer {
    return { mode: this.#options.mode, parts: this.packed };
  }

  get usage(): Usage | undefined {
    return this.#call.kind.usage(this.#options.mode, this.packed);
  }

  /** The question as it was asked. */
  get input(): unknown {
    return this.#call.input;
  }

  get hasBegun(): boolean {
    return this.beganAt !== undefined;
  }

  /** From when it was made to its end, or until now, milliseconds. */
  get elapsedMs(): number {
    return this.#end - (this.beganAt ?? this.#startedAt);
  }

  get #end(): number {
    return this.#endedAt ?? this.#options.clock.elapsed();
  }

  /** Reads up to the first content, or the end. */
  async begin(): Promise<void> {
    while (!this.hasContent && !this.hasEnded) await this.#readAhead();
  }

  /** Reads to the end. */
  async finish(): Promise<void> {
    while (!this.hasEnded) await this.#readAhead();
  }

  /** The next part, one that was read ahead first. */
  next(): Promise<IteratorResult<unknown>> {
    if (this.ahead.length > 0) return Promise.resolve({ done: false, value: this.ahead.shift() });
    return this.hasEnded ? Promise.resolve({ done: true, value: undefined }) : this.#read();
  }

  /** Breaks it off, for whatever reason; nothing is waited for that may never come. */
  leave(reason: unknown): PromiseLike<unknown> | undefined {
    const isReading = this.#reject !== undefined;
    this.#abort?.abort(reason);
    this.#close();
    const left = this.#source?.return?.();
    if (!isReading) return left;
    Promise.resolve(left).catch(ignore);
    return undefined;
  }

  /** It is over: facts are complete. */
  close(error: string | undefined): void {
    this.#close();
    this.facts.durationMs = this.#end - this.#startedAt;
    if (error !== undefined) this.facts.error = error;
  }

  #close(): void {
    this.#ear.release();
    this.#alarm?.cancel();
    this.#alarm = undefined;
    this.#abort?.release();
  }

  /** The request is made. */
  began(): void {
    this.#options.began();
    this.beganAt ??= this.#options.clock.elapsed();
    this.#watch();
  }

  /** There was a response. */
  heard(status: number, headers: ReadonlyMap<string, string>): void {
    this.status = status;
    this.headers = headers;
  }

  #readAhead(): Promise<void> {
    return this.#read().then(({ done, value }) => void (done || this.ahead.push(value)));
  }

  #read(): Promise<IteratorResult<unknown>> {
    return this.#abort ? this.#readBreakably(this.#abort.signal) : this.#step().then((result) => this.#heard(result));
  }

  #step(): Promise<IteratorResult<unknown>> {
    try {
      this.#source ??= this.#options.next(this.#call)[Symbol.asyncIterator]();
      return this.#source.next();
    } catch (error) {
      return Promise.reject(error);
    }
  }

  #readBreakably(signal: AbortSignal): Promise<IteratorResult<unknown>> {
    // Whoever gave up between two parts must not wait for a model that is deaf to that.
    if (signal.aborted) return Promise.reject(signal.reason);
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        this.#reject = undefined;
        this.#waitedMs += this.#options.clock.elapsed() - Math.max(this.#readSince as number, this.beganAt ?? Infinity);
        this.#readSince = undefined;
      };
      const fail = (error: unknown): void => {
        if (this.#reject !== fail) return;
        settle();
        reject(error);
      };
      this.#reject = fail;
      this.#readSince = this.#options.clock.elapsed();
      this.#step().then((result) => {
        if (this.#reject !== fail) return;
        settle();
        resolve(this.#heard(result));
      }).catch(fail);
      this.#watch();
    });
  }

  #heard(result: IteratorResult<unknown>): IteratorResult<unknown> {
    if (result.done) {
      this.hasEnded = true;
      this.#endedAt = this.#options.clock.elapsed();
      return result;
    }
    this.packed.push(this.#pack ? this.#pack(result.value) : result.value);
    if (!this.hasContent && this.#call.kind.hasContent(result.value)) {
      this.hasContent = true;
      this.firstMs = this.elapsedMs;
      this.#options.spoke();
    }
    return result;
  }

  /** One alarm, for what is due first; one that rings too early is set again. */
  #watch(): void {
    if (!this.#abort || this.#readSince === undefined) return;
    const { at } = this.#due();
    if (at === Infinity || (this.#alarm && this.#alarm.at <= at)) return;
    this.#alarm?.cancel();
    const { clock } = this.#options;
    this.#alarm = { at, cancel: clock.after(Math.max(0, at - clock.elapsed()), () => this.#rang()) };
  }

  #rang(): void {
    const lateMs = this.#options.clock.elapsed() - (this.#alarm?.at ?? Infinity);
    this.#alarm = undefined;
    // What has arrived meanwhile is in time, and waits to be read; a busy minute here must not look like an outage of everybody.
    if (lateMs > PUNCTUAL_MS) this.#deafMs += lateMs;
    if (this.#due().at > this.#options.clock.elapsed()) return this.#watch();
    // The event loop gets to what has just arrived only after the timers.
    setImmediate(() => {
      const { at, what } = this.#due();
      if (this.#readSince === undefined || at > this.#options.clock.elapsed()) return this.#watch();
      this.late = at === this.#options.deadlineAt ? "call" : "attempt";
      this.#abort?.abort(new DeadlineError(what));
      Promise.resolve(this.#source?.return?.()).catch(ignore);
    });
  }

  /** Which limit of time the present wait comes to first. */
  #due(): { at: number; what: string } {
    const { mode, deadlineAt, patience: { attemptMs, firstTokenMs, stallMs } } = this.#options;
    let due = { at: deadlineAt, what: "The call's time was up before its answer was whole (timeouts.totalMs, or the call's deadlineMs)." };
    const since = this.#readSince;
    if (this.beganAt === undefined || since === undefined) return due;
    const earlier = (at: number, what: string): void => {
      if (at + this.#deafMs < due.at) due = { at: at + this.#deafMs, what };
    };
    earlier(Math.max(since, this.beganAt) + attemptMs - this.#waitedMs, `No whole answer came within ${attemptMs} ms (timeouts.attemptMs).`);
    // When the first content of an answer in one piece came, nobody can see.
    if (mode === "invoke") return due;
    // A first part may be empty: then it is the next one that must not keep waiting, unless the first content has a limit of its own.
    if (!this.hasContent && (firstTokenMs < Infinity || this.packed.length === 0)) earlier(this.beganAt + firstTokenMs, `No content came within ${firstTokenMs} ms (timeouts.firstTokenMs).`);
    else earlier(since + stallMs, `The answer stood still for ${stallMs} ms (timeouts.stallMs).`);
    return due;
  }
}
