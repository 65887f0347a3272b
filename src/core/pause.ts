import { systemClock, type Alarm } from "./clock.ts";

/** Waits, or rejects with the signal's reason as soon as it aborts. Leaves neither timer nor listener. */
export function pause(delayMs: number, signal?: AbortSignal, clock: Pick<Alarm, "after"> = systemClock): Promise<void> {
  if (signal?.aborted) return Promise.reject(signal.reason);
  return new Promise((resolve, reject) => {
    const onAbort = (): void => {
      cancel();
      reject(signal?.reason);
    };
    const cancel = clock.after(delayMs, () => {
      signal?.removeEventListener("abort", onAbort);
      resolve();
    });
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}
