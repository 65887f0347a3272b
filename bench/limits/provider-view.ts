/** A call that was admitted, as its provider counts it. */
export interface Counted {
  readonly at: number;
  readonly reservation: number;
  knownAt: number;
  truth: number;
}

/** What the sliding minutes held. */
export interface Windows {
  /** What the worst of them held above the quota. */
  readonly overrun: number;
  /** Share of the quota that they held on average; what was above the quota left out. */
  readonly utilisation: number;
  /** True amount of what was admitted, a minute. */
  readonly trueTokens: number;
}

const MINUTE_MS = 60_000;

/**
 * A provider's count of a quota, kept the plain way: a call stands in every minute (t - 60 s, t] that holds its admission, with its reservation until its true
 * amount is known and with that from then on. Several processes tell their calls by one clock, in any order.
 */
export class ProviderView {
  readonly #calls: Counted[] = [];

  admitted(at: number, reservation: number): Counted {
    const call = { at, reservation, knownAt: Infinity, truth: reservation };
    this.#calls.push(call);
    return call;
  }

  known(call: Counted, at: number, truth: number): void {
    call.knownAt = at;
    call.truth = truth;
  }

  /** The worst minute of all, and averages from `fromMs` to the last admission. */
  worst(quota: number, fromMs: number): Windows {
    const lengthMs = this.#calls.reduce((last, { at }) => Math.max(last, at), -Infinity) - fromMs;
    let held = 0;
    let highest = 0;
    let area = 0;
    let now = -Infinity;
    for (const [at, amount] of this.#changes()) {
      if (at > now) {
        highest = Math.max(highest, held);
        area += Math.min(held, quota) * overlap(now - fromMs, at - fromMs, lengthMs);
        now = at;
      }
      held += amount;
    }
    const trueTokens = this.#calls.reduce((sum, { at, truth }) => (at >= fromMs ? sum + truth : sum), 0);
    return { overrun: Math.max(0, highest - quota), utilisation: area / (quota * lengthMs), trueTokens: (trueTokens * MINUTE_MS) / lengthMs };
  }

  /** How the count of the minute that ends now changes, in order of time. All leave in the end. */
  #changes(): (readonly [at: number, amount: number])[] {
    const changes = this.#calls.flatMap(({ at, reservation, knownAt, truth }) => {
      const leavesAt = at + MINUTE_MS;
      if (knownAt >= leavesAt) return [[at, reservation] as const, [leavesAt, -reservation] as const];
      return [[at, reservation] as const, [knownAt, truth - reservation] as const, [leavesAt, -truth] as const];
    });
    return changes.sort(([one], [other]) => one - other);
  }
}

/** How much of [from, to] is in [0, length]. */
function overlap(from: number, to: number, length: number): number {
  return Math.max(0, Math.min(to, length) - Math.max(from, 0));
}
