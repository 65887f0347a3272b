import type { Clock } from "../../core/clock.ts";

export type CircuitState = "closed" | "open" | "half-open";

export interface CircuitOptions {
  /** Share of failures among the calls of the window that opens it, above 0 to 1. */
  readonly failureRate: number;
  /** It does not open before so many calls of the window have ended. */
  readonly minCalls: number;
  readonly windowMs: number;
  /** How long it stays open before a call may try again, milliseconds. */
  readonly openMs: number;
  /** Calls that must succeed, one after the other, to close it again. */
  readonly halfOpenProbes: number;
}

/** It opens at once after so many times `minCalls` failures without a success between them. */
const IN_A_ROW = 2;
/** Parts of the window; the oldest is forgotten as a whole. */
const SLICES = 10;

interface Slice {
  readonly number: number;
  calls: number;
  failures: number;
}

/** A call that was let through. */
export interface Passage {
  /** How it ended; `undefined` = nothing is known. Only the first word counts. */
  ended(succeeded: boolean | undefined): void;
}

/**
 * Keeps calls away from what fails too often (M. Nygard, Release It!; the windowed failure rate is resilience4j's). Closed: all may go. Open: none. Half-open, when
 * its time is up: real calls try, one at a time, and their success closes it.
 */
export class FailureRateCircuit {
  readonly #options: CircuitOptions;
  readonly #clock: Pick<Clock, "elapsed">;
  readonly #changed: (from: CircuitState, to: CircuitState) => void;
  #slices: Slice[] = [];
  #state: CircuitState = "closed";
  #openUntil = 0;
  /** Failures in a row. */
  #inARow = 0;
  /** Counts the times that it was half-open: what was let through in an earlier one says nothing of how it is now. */
  #trialNumber = 0;
  /** A probe that has not come back by then does not keep others from trying. */
  #probeUntil = 0;
  #probe: Passage | undefined;
  #successes = 0;

  /** @param changed hears of every change of its state */
  constructor(options: CircuitOptions, clock: Pick<Clock, "elapsed">, changed: (from: CircuitState, to: CircuitState) => void) {
    this.#options = options;
    this.#clock = clock;
    this.#changed = changed;
  }

  get state(): CircuitState {
    if (this.#state === "open" && this.waitMs === 0) this.#become("half-open");
    return this.#state;
  }

  /** Milliseconds until the next call may try; 0 = now. */
  get waitMs(): number {
    if (this.#state === "closed") return 0;
    const until = this.#state === "open" ? this.#openUntil : this.#probe ? this.#probeUntil : 0;
    return Math.max(0, until - this.#clock.elapsed());
  }

  /** Share of the window's calls that failed. */
  get failureRate(): number {
    const { calls, failures } = this.#counts();
    return calls === 0 ? 0 : failures / calls;
  }

  /** Lets a call through; ask `waitMs` before. */
  enter(): Passage {
    const isProbe = this.state !== "closed";
    const probeOf = isProbe ? this.#trialNumber : undefined;
    let hasEnded = false;
    const passage: Passage = {
      ended: (succeeded) => {
        if (hasEnded) return;
        hasEnded = true;
        this.#ended(passage, probeOf, succeeded);
      },
    };
    if (isProbe) {
      this.#probe = passage;
      this.#probeUntil = this.#clock.elapsed() + this.#options.openMs;
    }
    return passage;
  }

  /** Opens it, or keeps it open, because somebody else knows better. @param forMs @default `openMs` */
  open(forMs = this.#options.openMs): void {
    this.#probe = undefined;
    this.#successes = 0;
    this.#openUntil = this.#clock.elapsed() + forMs;
    this.#become("open");
  }

  /** Goes on from what another has found out, which nobody has to be told again. */
  goOnFrom(before: FailureRateCircuit): void {
    const wasHalfOpen = before.state === "half-open";
    // Who tried there will not be heard here.
    this.#state = wasHalfOpen ? "open" : before.#state;
    this.#openUntil = wasHalfOpen ? this.#clock.elapsed() : before.#openUntil;
    this.#inARow = before.#inARow;
    this.#slices = before.#slices.map((slice) => ({ ...slice }));
  }

  close(): void {
    this.#slices = [];
    this.#inARow = 0;
    this.#probe = undefined;
    this.#successes = 0;
    this.#become("closed");
  }

  /** @param probeOf which half-open time it was let through to try in; `undefined` = it was closed */
  #ended(passage: Passage, probeOf: number | undefined, succeeded: boolean | undefined): void {
    if (this.#state === "closed") return probeOf !== undefined || succeeded === undefined ? undefined : this.#count(succeeded);
    // What began before it opened says nothing of how it is now; a probe that took long does.
    if (this.#state === "open" || probeOf !== this.#trialNumber) return;
    if (this.#probe === passage) this.#probe = undefined;
    if (succeeded === false) this.open();
    else if (succeeded && (this.#successes += 1) >= this.#options.halfOpenProbes) this.close();
  }

  #count(succeeded: boolean): void {
    const { windowMs, minCalls, failureRate } = this.#options;
    const number = Math.floor((this.#clock.elapsed() / windowMs) * SLICES);
    let slice = this.#slices.at(-1);
    if (slice?.number !== number) {
      this.#slices.push((slice = { number, calls: 0, failures: 0 }));
      if (this.#slices.length > SLICES) this.#slices.shift();
    }
    slice.calls += 1;
    this.#inARow = succeeded ? 0 : this.#inARow + 1;
    if (succeeded) return;
    slice.failures += 1;
    const { calls, failures } = this.#counts();
    // With many calls in the window, their successes would hide for long that it is gone.
    const isGone = this.#inARow >= IN_A_ROW * minCalls;
    if (isGone || (calls >= minCalls && failures / calls >= failureRate)) this.open();
  }

  #counts(): { calls: number; failures: number } {
    const oldest = Math.floor((this.#clock.elapsed() / this.#options.windowMs) * SLICES) - SLICES;
    while (this.#slices[0] && this.#slices[0].number <= oldest) this.#slices.shift();
    let calls = 0;
    let failures = 0;
    for (const slice of this.#slices) {
      calls += slice.calls;
      failures += slice.failures;
    }
    return { calls, failures };
  }

  #become(state: CircuitState): void {
    const before = this.#state;
    if (before === state) return;
    this.#state = state;
    if (state === "half-open") this.#trialNumber += 1;
    this.#changed(before, state);
  }
}
