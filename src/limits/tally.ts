import type { Amounts } from "./demand.ts";

/** What some calls that wait ask for together. */
export class Tally implements Amounts {
  calls = 0;
  requests = 0;
  tokens = 0;
  costUsd = 0;

  join({ requests, tokens, costUsd }: Amounts): void {
    this.calls += 1;
    this.requests += requests;
    this.tokens += tokens;
    this.costUsd += costUsd;
  }

  leave({ requests, tokens, costUsd }: Amounts): void {
    this.calls -= 1;
    this.requests -= requests;
    this.tokens -= tokens;
    this.costUsd -= costUsd;
  }

  add({ calls, requests, tokens, costUsd }: Readonly<Tally>, part = 1): void {
    this.calls += calls * part;
    this.requests += requests * part;
    this.tokens += tokens * part;
    this.costUsd += costUsd * part;
  }
}
