/** From one moment to another, milliseconds of `performance.now()`. */
export interface Interval {
  readonly from: number;
  readonly to: number;
}

interface LoggedCall {
  readonly began: number;
  readonly ended: number;
  readonly failed: boolean;
}

interface LoggedAnswer {
  readonly began: number;
  readonly deployment: string;
}

/** Between two moments at which a share is looked at. */
const STEP_MS = 50;

/** Everything that happened, from which the figures are read afterwards. */
export class OutageLog {
  readonly #calls: LoggedCall[] = [];
  readonly #answers: LoggedAnswer[] = [];

  /** A call, as its caller sees it. */
  async follow(call: () => Promise<unknown>): Promise<void> {
    const began = performance.now();
    const failed = await call().then(() => false, () => true);
    this.#calls.push({ began, ended: performance.now(), failed });
  }

  /** Who answered a call that has just ended. */
  answered(deployment: string, durationMs: number): void {
    this.#answers.push({ began: performance.now() - durationMs, deployment });
  }

  /** How long the calls took that were under way within any of the intervals, the longest last; `Infinity` = it failed. */
  timesOf(intervals: readonly Interval[]): number[] {
    const calls = this.#calls.filter(({ began, ended }) => intervals.some(({ from, to }) => began < to && ended >= from));
    return calls.map(({ began, ended, failed }) => (failed ? Infinity : ended - began)).sort((a, b) => a - b);
  }

  /** A deployment's share of the answers to calls that began within any of the intervals. */
  shareOf(deployment: string, intervals: readonly Interval[]): number {
    const answers = this.#answers.filter(({ began }) => intervals.some(({ from, to }) => began >= from && began < to));
    return answers.filter((answer) => answer.deployment === deployment).length / answers.length;
  }

  /**
   * How long after the moments, taken together, a deployment begins to have at least such a share for so long.
   * @returns milliseconds; `Infinity` when it does not until the time is up
   */
  regained(deployment: string, moments: readonly number[], share: number, { forMs, withinMs }: { forMs: number; withinMs: number }): number {
    for (let after = 0; after + forMs <= withinMs; after += STEP_MS) {
      const intervals = moments.map((moment) => ({ from: moment + after, to: moment + after + forMs }));
      if (this.shareOf(deployment, intervals) >= share) return after;
    }
    return Infinity;
  }
}
