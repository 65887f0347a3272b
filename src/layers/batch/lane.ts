import type { Alarm } from "../../core/clock.ts";
import type { Asker, Slice } from "./asker.ts";
import { askTogether } from "./request.ts";

export interface LaneOptions {
  readonly maxBatchSize: number;
  readonly maxBatchTokens: number;
  readonly maxWaitMs: number;
  readonly clock: Alarm;
  /** Called whenever nobody waits in it and none of its requests is under way. */
  idle(): void;
}

/** How much the newest gap counts in the mean of the gaps between arrivals. */
const NEWEST = 0.25;
/** So many times the expected gap is waited for the next call; after that the rush is over. */
const PATIENCE = 3;
/** UTF-8 bytes to a token: about four in English, three of one character in Chinese. Providers' own limits are what counts. */
const BYTES_PER_TOKEN = 3;

/** Calls that may share requests, and when these go. */
export class Lane {
  readonly #options: LaneOptions;
  /** The next request, as far as it has grown. */
  #slices: Slice[] = [];
  #size = 0;
  #tokens = 0;
  #beganAt = 0;
  #callOff: (() => void) | undefined;
  /** When calls came last. */
  #arrivedAt: number | undefined;
  /** Whether the end of the event loop's turn is awaited. */
  #inTurn = false;
  /** Expected between two such turns; `undefined` = unknown. */
  #gapMs: number | undefined;
  #underway = 0;

  constructor(options: LaneOptions) {
    this.#options = options;
  }

  add(asker: Asker): void {
    this.#arrive();
    const { maxBatchSize, maxBatchTokens } = this.#options;
    const { texts } = asker;
    let from = 0;
    for (const [at, text] of texts.entries()) {
      const tokens = Buffer.byteLength(text) / BYTES_PER_TOKEN;
      if (this.#size > 0 && (this.#size >= maxBatchSize || this.#tokens + tokens > maxBatchTokens)) {
        this.#put(asker, from, at);
        from = at;
        this.#send();
      }
      if (this.#size === 0) this.#beganAt = this.#options.clock.elapsed();
      this.#size += 1;
      this.#tokens += tokens;
    }
    this.#put(asker, from, texts.length);
    if (this.#size >= maxBatchSize) this.#send();
  }

  #put(asker: Asker, from: number, to: number): void {
    if (to > from) this.#slices.push({ asker, from, to });
  }

  /** All calls of a turn count as one arrival, and what they ask for goes together. */
  #arrive(): void {
    if (this.#inTurn) return;
    const now = this.#options.clock.elapsed();
    if (this.#arrivedAt !== undefined) {
      const gapMs = now - this.#arrivedAt;
      this.#gapMs = this.#gapMs === undefined ? gapMs : this.#gapMs + NEWEST * (gapMs - this.#gapMs);
    }
    this.#arrivedAt = now;
    this.#awaitTurn();
  }

  #awaitTurn(): void {
    this.#inTurn = true;
    setImmediate(() => {
      this.#inTurn = false;
      this.#callOff?.();
      this.#callOff = undefined;
      const waitMs = this.#waitMs();
      if (waitMs > 0) this.#callOff = this.#options.clock.after(waitMs, () => this.#send());
      else if (this.#size > 0) this.#send();
      else this.#rest();
    });
  }

  /** How long others are waited for: not at all while nothing is under way. */
  #waitMs(): number {
    if (this.#size === 0 || this.#underway === 0 || this.#gapMs === undefined) return 0;
    const leftMs = this.#beganAt + this.#options.maxWaitMs - this.#options.clock.elapsed();
    return this.#gapMs > leftMs ? 0 : Math.min(leftMs, PATIENCE * this.#gapMs);
  }

  #send(): void {
    this.#callOff?.();
    this.#callOff = undefined;
    const slices = this.#slices;
    this.#slices = [];
    this.#size = 0;
    this.#tokens = 0;
    this.#underway += 1;
    void askTogether(slices, this.#options.clock).then(() => {
      this.#underway -= 1;
      this.#rest();
    });
  }

  /** Once nothing is under way nobody waits any longer, but for those who ask on at once with what they have got. */
  #rest(): void {
    if (this.#underway > 0 || this.#inTurn) return;
    if (this.#size > 0) this.#awaitTurn();
    else this.#options.idle();
  }
}
