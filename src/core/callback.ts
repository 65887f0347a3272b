import { ignore } from "./abort.ts";
import { warn } from "./warn.ts";

/** What a callback of the user's own gave at once. A promise is no answer, and its failure is nobody's. */
export function atOnce(given: unknown): unknown {
  if (!(given instanceof Promise)) return given;
  given.catch(ignore);
  return undefined;
}

/** The callback, whose failure, at once or by its promise, is a warning and no error of whoever calls it. */
export function unfailing<A extends readonly unknown[]>(consequence: string, callback: (...given: A) => unknown): (...given: A) => void {
  const warnAgain = warnOnce();
  const failed = (error: unknown): void => warnAgain(consequence, error);
  return (...given) => {
    try {
      const answer = callback(...given);
      if (answer instanceof Promise) answer.catch(failed);
    } catch (error) {
      failed(error);
    }
  };
}

/** Warns the first time only: what is wrong with a callback is wrong at every call. */
export function warnOnce(): typeof warn {
  let warned = false;
  return (consequence, error) => {
    if (warned) return;
    warned = true;
    warn(consequence, error);
  };
}
