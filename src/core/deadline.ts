import { DeadlineError } from "./errors.ts";

/**
 * Settles as `work` does, or rejects with a DeadlineError when that takes longer. What has arrived while this process was busy counts as in time: the event loop
 * gets to it only after the timers.
 * @param isAwaited whether somebody waits: then the timer keeps the process alive
 */
export function withDeadline<T>(work: Promise<T>, timeoutMs: number, message: string, isAwaited = true): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const timer = setTimeout(() => setImmediate(() => reject(new DeadlineError(message))), timeoutMs);
    if (!isAwaited) timer.unref();
    work.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
