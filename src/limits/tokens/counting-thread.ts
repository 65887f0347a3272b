import { Worker } from "node:worker_threads";
import { Circuit } from "../../core/circuit.ts";
import { type Alarm, systemClock } from "../../core/clock.ts";
import { warn } from "../../core/warn.ts";
import type { Encoding } from "./encoding.ts";
import type { Answer, Question } from "./worker.ts";

export interface CountingThreadOptions {
  /** The file that the thread runs. @default the package's own */
  readonly file?: () => URL;
  /** How long an answer is waited for, milliseconds. @default 50 */
  readonly deadlineMs?: number;
  readonly clock?: Alarm;
}

/** Waiting texts beyond this many UTF-16 units are not taken: that is 10 to 20 ms of prose, and half of what comes would be late. */
const MAX_WAITING_CHARS = 131_072;

/** What a question takes besides its texts, as so many units of text. */
const QUESTION_CHARS = 256;

/** The tables of both encodings take 50. */
const MAX_HEAP_MB = 256;

interface Waiting {
  readonly chars: number;
  settle(tokens: number | undefined): void;
}

/**
 * A thread that counts tokens. It never keeps the process alive. One that died is started again when it is asked, at the earliest after
 * 10 s, then 20, up to 10 minutes. A failure is warned of once.
 */
export class CountingThread {
  readonly #file: () => URL;
  readonly #deadlineMs: number;
  readonly #clock: Alarm;
  readonly #circuit: Circuit;
  readonly #waiting = new Map<number, Waiting>();
  /** Encodings that were asked for, and whether they can be counted yet. */
  readonly #encodings = new Map<Encoding, boolean>();
  #starting: NodeJS.Immediate | undefined;
  #worker: Worker | undefined;
  #waitingChars = 0;
  #lastId = 0;
  #hasWarned = false;

  constructor({ file = ownFile, deadlineMs = 50, clock = systemClock }: CountingThreadOptions = {}) {
    this.#file = file;
    this.#deadlineMs = deadlineMs;
    this.#clock = clock;
    this.#circuit = new Circuit({ clock, maxFailures: 1, openMs: 10_000, maxOpenMs: 600_000 });
  }

  /**
   * Tokens of the texts together.
   * @returns `undefined` when it cannot be asked now, since it is not ready or has too much to do; a promise of `undefined` when it did not answer in time
   */
  count(texts: readonly string[], encoding: Encoding): Promise<number | undefined> | undefined {
    const worker = this.#worker;
    if (!worker) {
      this.start(encoding);
      return undefined;
    }
    if (!this.#encodings.get(encoding)) {
      this.#prepare(worker, encoding);
      return undefined;
    }
    const chars = texts.reduce((sum, { length }) => sum + length, QUESTION_CHARS);
    if (this.#waitingChars + chars > MAX_WAITING_CHARS) return undefined;
    return new Promise((resolve) => {
      const callOff = this.#clock.after(this.#deadlineMs, () => resolve(undefined));
      this.#ask(worker, { encoding, texts }, chars, (tokens) => {
        callOff();
        resolve(tokens);
      });
    });
  }

  /** Ends the thread; the next question starts it again. */
  end(): void {
    const worker = this.#worker;
    this.#forget();
    void worker?.terminate();
  }

  #prepare(worker: Worker, encoding: Encoding): void {
    if (this.#encodings.has(encoding)) return;
    this.#encodings.set(encoding, false);
    this.#ask(worker, { encoding, texts: [] }, 0, (tokens) => {
      if (tokens === undefined) return;
      this.#encodings.set(encoding, true);
      this.#circuit.succeeded();
    });
  }

  #ask(worker: Worker, question: Omit<Question, "id">, chars: number, settle: Waiting["settle"]): void {
    this.#lastId += 1;
    this.#waiting.set(this.#lastId, { chars, settle });
    this.#waitingChars += chars;
    worker.postMessage({ id: this.#lastId, ...question } satisfies Question);
  }

  #answered({ id, tokens }: Answer): void {
    const waiting = this.#waiting.get(id);
    if (!waiting) return;
    this.#waiting.delete(id);
    this.#waitingChars -= waiting.chars;
    waiting.settle(tokens);
  }

  /** Begins to get ready, in a turn of the event loop of its own: starting a thread takes some 4 ms of it, up to 12 the first time in a process. */
  start(encoding: Encoding): void {
    if (this.#worker || this.#starting || !this.#circuit.allows()) return;
    this.#starting = setImmediate(() => {
      this.#starting = undefined;
      try {
        this.#prepare(this.#start(), encoding);
      } catch (error) {
        this.#failed(error);
      }
    }).unref();
  }

  #start(): Worker {
    // The flags and preloads of the process (--import, NODE_OPTIONS) are not meant for it.
    const worker = new Worker(this.#file(), { name: "langchain-perf tokens", execArgv: [], env: {}, resourceLimits: { maxOldGenerationSizeMb: MAX_HEAP_MB } });
    worker.on("message", (answer: Answer) => this.#answered(answer));
    worker.on("error", (error) => this.#worker === worker && this.#failed(error));
    worker.on("exit", () => this.#worker === worker && this.#failed(new Error("its thread has ended")));
    // Last, since a listener for messages would keep the process alive again. While an answer is waited for, the deadline's timer does.
    worker.unref();
    this.#worker = worker;
    return worker;
  }

  #failed(error: unknown): void {
    this.#circuit.failed();
    this.#forget();
    if (this.#hasWarned) return;
    this.#hasWarned = true;
    warn("tokens are estimated, not counted", error);
  }

  #forget(): void {
    clearImmediate(this.#starting);
    this.#starting = undefined;
    this.#worker = undefined;
    this.#encodings.clear();
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    this.#waitingChars = 0;
    for (const { settle } of waiting) settle(undefined);
  }
}

/** Beside this module: in the sources as they are, in the package all modules are in one folder. */
function ownFile(): URL {
  return new URL(import.meta.url.endsWith(".ts") ? "./worker.ts" : "./tokens-worker.js", import.meta.url);
}
