import { setTimeout as delay } from "node:timers/promises";
import { inspect } from "node:util";

export interface EventuallyOptions {
  /** @default 10000 */
  readonly timeoutMs?: number;
  /** Pause between two probes. @default 20 */
  readonly intervalMs?: number;
}

/**
 * Polls until the probe gives something truthy, and gives that. A probe that throws is asked again; one that only asserts has to end in `return true`.
 * The error at the deadline names what the last probe gave.
 */
export async function eventually<T>(probe: () => T | Promise<T>, { timeoutMs = 10_000, intervalMs = 20 }: EventuallyOptions = {}): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  let last = "has not answered";
  for (;;) {
    const answer = await attempt(probe, deadline - performance.now());
    if (answer?.value) return answer.value;
    if (answer) last = "error" in answer ? `threw ${inspect(answer.error)}` : `gave ${inspect(answer.value)}`;
    if (performance.now() + intervalMs >= deadline) throw new Error(`Nothing came of it within ${timeoutMs} ms: the last probe ${answer ? last : `did not answer; before, it ${last}`}.`);
    await delay(intervalMs);
  }
}

type Answer<T> = { readonly value: T } | { readonly value?: undefined; readonly error: unknown };

/** `undefined` when the probe is still at it after `patienceMs`: a hanging probe must not outlive the deadline. */
async function attempt<T>(probe: () => T | Promise<T>, patienceMs: number): Promise<Answer<T> | undefined> {
  const late = new AbortController();
  const answer = async (): Promise<Answer<T>> => {
    try {
      return { value: await probe() };
    } catch (error) {
      return { error };
    }
  };
  try {
    return await Promise.race([answer(), delay(Math.max(1, patienceMs), undefined, { signal: late.signal }).catch(() => undefined)]);
  } finally {
    late.abort();
  }
}
