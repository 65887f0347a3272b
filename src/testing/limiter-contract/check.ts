import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { ignore } from "../../core/abort.ts";
import { DeadlineError } from "../../core/errors.ts";
import type { Demand, Limiter, Permit } from "../../limits/limiter.ts";

/** What the limiter of a case keeps to; absent = no such limit, or the limiter's default. */
export interface ContractLimits {
  readonly maxConcurrent?: number;
  readonly requestsPerMinute?: number;
  readonly tokensPerMinute?: number;
  readonly budgetUsdPerHour?: number;
  readonly maxQueue?: number;
  readonly maxWaitMs?: number;
  readonly weights?: Record<string, number>;
}

/** Opens the limiter that a case works with. */
export type Open = (limits: ContractLimits) => Promise<Limiter>;

export type Check = (open: Open) => Promise<void>;

/** What a limiter has time for, milliseconds; far more than any should need. */
const PATIENCE_MS = 5_000;

/** Long enough for a limiter that gives a permit which it should not give, milliseconds. */
export const GRACE_MS = 150;

/** Settles as the work does; a limiter that hangs fails. */
export async function soon<T>(work: Promise<T>, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new assert.AssertionError({ message: `${what}: nothing has happened for ${PATIENCE_MS} ms` })), PATIENCE_MS);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** A promise that is looked at later, or not at all when a check before it fails. */
export function later<T>(promise: Promise<T>): Promise<T> {
  promise.catch(ignore);
  return promise;
}

export const isLate = (error: unknown): boolean => DeadlineError.isInstance(error);

/** A permit that must come. */
export function permit(limiter: Limiter, demand?: Demand): Promise<Permit> {
  return soon(limiter.acquire(demand), "a permit that is free");
}

/** A permit must come, and is given back. */
export async function passes(limiter: Limiter, demand?: Demand): Promise<void> {
  (await permit(limiter, demand)).release();
}

/** No permit may come: the deadline passes. */
export function refused(limiter: Limiter, demand: Demand = {}): Promise<void> {
  return failsWith(limiter.acquire({ ...demand, deadlineMs: GRACE_MS }), isLate, "DeadlineError");
}

/** The permit does not come, for the given reason. */
export async function failsWith(acquiring: Promise<Permit>, isWanted: (error: unknown) => boolean, wanted: string): Promise<void> {
  const outcome = await soon(acquiring.then(() => "a permit", (error: unknown) => ({ error })), wanted);
  assert.ok(typeof outcome === "object", `wanted ${wanted}, got a permit`);
  assert.ok(isWanted(outcome.error), `wanted ${wanted}, got ${String(outcome.error)}`);
}

/** Waits until so many calls wait. */
export async function queued(limiter: Limiter, wanted: number): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  while (limiter.status().queued !== wanted) {
    assert.ok(performance.now() < deadline, `the status says that ${limiter.status().queued} calls wait, where there are ${wanted}`);
    await sleep(1);
  }
}

/** A call that is known to wait. */
export interface Waiting {
  readonly permit: Promise<Permit>;
}

/** Asks for a permit that is not free, and gives the promise of it when the call waits. */
export async function waits(limiter: Limiter, demand?: Demand): Promise<Waiting> {
  const before = limiter.status().queued;
  const coming = later(soon(limiter.acquire(demand), "the permit of a call that waits"));
  await queued(limiter, before + 1);
  return { permit: coming };
}

/** The names of demands in the order in which a limiter with one place serves them, where all have waited for it. */
export async function orderOf(limiter: Limiter, demands: readonly (readonly [name: string, demand: Demand])[]): Promise<string[]> {
  const held = await permit(limiter);
  const served: string[] = [];
  const turns: Promise<void>[] = [];
  for (const [name, demand] of demands) {
    const { permit: coming } = await waits(limiter, demand);
    turns.push(later(coming.then((given) => {
      served.push(name);
      given.release();
    })));
  }
  held.release();
  await Promise.all(turns);
  return served;
}

export const times = <T>(count: number, make: (at: number) => T): T[] => Array.from({ length: count }, (_, at) => make(at));
