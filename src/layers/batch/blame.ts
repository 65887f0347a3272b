import { RateLimitError } from "../../core/errors.ts";
import { statusOf } from "../../core/retry-after.ts";

/** The provider refuses what was asked: it is bad (400), too large (413) or not to be processed (422). */
const REFUSALS: ReadonlySet<unknown> = new Set([400, 413, 422]);

/** Whether a request may have failed for one of its texts, or for their number, so that some of them would succeed without the others. */
export function mayBlameTexts(error: unknown): boolean {
  if (RateLimitError.isInstance(error)) return !error.retryable;
  // LangChain hides some refusals in an error of its own, e.g. that a text is too long.
  const { cause } = (error ?? {}) as { cause?: unknown };
  if (REFUSALS.has(statusOf(error)) || REFUSALS.has(statusOf(cause))) return true;
  // Some of its classes read a refusal as if it were an answer, and classes of the user's own refuse with a plain error. (One with a cause is fetch's: there was no connection.)
  return cause === undefined && (error instanceof TypeError || isPlain(error));
}

/** Whether an error says nothing but its message. */
function isPlain(error: unknown): boolean {
  return error instanceof Error && error.name === "Error" && statusOf(error) === undefined && !("code" in error);
}
