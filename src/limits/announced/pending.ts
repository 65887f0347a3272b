import type { Taken } from "./last-minute.ts";

/** A request that was admitted. */
export interface Sent extends Taken {
  /** When it went out; `undefined` as long as it has not. */
  at: number | undefined;
}

/** The requests that no report is known to include: not sent, or not heard of yet and not so old that a report must show them. */
export class Pending {
  readonly #unsent = new Set<Sent>();
  /** In the order in which they were sent. */
  readonly #sent = new Set<Sent>();
  requests = 0;
  tokens = 0;

  add(sent: Sent): void {
    this.#unsent.add(sent);
    this.#count(sent, 1);
  }

  /** May be told more than once: the last time counts. */
  sent(sent: Sent): void {
    if (this.#unsent.delete(sent) || this.#sent.delete(sent)) this.#sent.add(sent);
  }

  heard(sent: Sent): void {
    if (this.#sent.delete(sent) || this.#unsent.delete(sent)) this.#count(sent, -1);
  }

  /** A report shows all that were sent before this time. */
  settle(before: number): void {
    for (const sent of this.#sent) {
      if ((sent.at as number) >= before) return;
      this.heard(sent);
    }
  }

  #count({ requests, tokens }: Taken, sign: 1 | -1): void {
    this.requests += sign * requests;
    this.tokens += sign * tokens;
  }
}
