import assert from "node:assert/strict";
import { RateLimitError } from "../../core/errors.ts";
import type { Demand, Limiter } from "../../limits/limiter.ts";
import { failsWith, GRACE_MS, isLate, passes, permit, refused, soon, times, type Check } from "./check.ts";

/** How many of 20 equal calls get a permit at once; those who do not must be refused for their deadlines. */
async function admitted(limiter: Limiter, demand: Demand): Promise<number> {
  const calls = times(20, () => limiter.acquire({ ...demand, deadlineMs: GRACE_MS }));
  const outcomes = await soon(Promise.allSettled(calls), "calls with deadlines");
  for (const outcome of outcomes) {
    if (outcome.status === "fulfilled") outcome.value.release();
    else assert.ok(isLate(outcome.reason), `wanted DeadlineError, got ${String(outcome.reason)}`);
  }
  await refused(limiter, demand);
  return outcomes.filter(({ status }) => status === "fulfilled").length;
}

function within(got: number, most: number): void {
  assert.ok(got >= 1 && got <= most, `${got} calls were admitted at once, where 1 to ${most} were wanted`);
}

/** Requests per minute. */
export const requestCases: Record<string, Check> = {
  "admits no more requests in a minute than its quota": async (open) => {
    within(await admitted(await open({ requestsPerMinute: 5 }), {}), 5);
  },

  "counts the requests of a demand": async (open) => {
    within(await admitted(await open({ requestsPerMinute: 10 }), { requests: 4 }), 2);
  },
};

/** Tokens per minute. */
export const tokenCases: Record<string, Check> = {
  "admits no more tokens in a minute than its quota": async (open) => {
    within(await admitted(await open({ tokensPerMinute: 1_000 }), { tokens: 300 }), 3);
  },
};

/** USD per hour. */
export const costCases: Record<string, Check> = {
  "admits no more cost in an hour than its budget": async (open) => {
    within(await admitted(await open({ budgetUsdPerHour: 1 }), { costUsd: 0.3 }), 3);
  },
};

/** Estimates are put right. */
export const correctionCases: Record<string, Check> = {
  "counts what a request really took": async (open) => {
    const limiter = await open({ tokensPerMinute: 1_000 });
    (await permit(limiter, { tokens: 1 })).release({ tokens: 1_000 });
    await refused(limiter, { tokens: 500 });
  },
};

/** Waiting would not help. */
export const oversizeCases: Record<string, Check> = {
  "refuses with RateLimitError what is larger than its quota": async (open) => {
    const limiter = await open({ tokensPerMinute: 1_000 });
    const isRefusal = (error: unknown): boolean => RateLimitError.isInstance(error) && !error.retryable;
    await failsWith(limiter.acquire({ tokens: 1_001 }), isRefusal, "RateLimitError that says never");
    await passes(limiter, { tokens: 1 });
  },
};
