import { DeadlineError } from "../../core/errors.ts";
import { statusOf } from "../../core/retry-after.ts";

/** What a request failed of, as far as that decides what is done next. */
export type FailureKind =
  | "rate-limited" | "quota" | "auth" | "not-found" | "refused" | "context-length" | "content-filter"
  | "overloaded" | "server" | "network" | "timeout" | "interrupted" | "unknown" | "program" | "not-accepted";

/** What follows from a kind of failure. */
export interface Consequence {
  /** Whether the same deployment is asked again: before the others, when there are no others left, or never in this call. */
  readonly again: "first" | "last" | "never";
  /** Which others may be asked instead. */
  readonly elsewhere: "any" | "listed" | "none";
  /** Whether it counts against the deployment's circuit. */
  readonly isFault: boolean;
  /** Whether it shows that the deployment is of no use before somebody has seen to it. */
  readonly disables: boolean;
}

function consequence(again: Consequence["again"], elsewhere: Consequence["elsewhere"], isFault = false, disables = false): Consequence {
  return { again, elsewhere, isFault, disables };
}

/** A single 500 is an accident, and whoever had it knows the prompt already; who is overloaded, gone or silent is not helped by being asked at once. */
export const CONSEQUENCES: Readonly<Record<FailureKind, Consequence>> = {
  "rate-limited": consequence("last", "any"),
  quota: consequence("never", "any", false, true),
  auth: consequence("never", "any", false, true),
  "not-found": consequence("never", "any", false, true),
  refused: consequence("never", "none"),
  "context-length": consequence("never", "listed"),
  "content-filter": consequence("never", "listed"),
  "not-accepted": consequence("never", "any"),
  overloaded: consequence("last", "any", true),
  server: consequence("first", "any", true),
  network: consequence("last", "any", true),
  timeout: consequence("never", "any", true),
  interrupted: consequence("last", "any", true),
  unknown: consequence("last", "any", true),
  // The same question may go well with another class; but a poisoned question must not open circuits.
  program: consequence("never", "any"),
};

const BY_STATUS: ReadonlyMap<number, FailureKind> = new Map<number, FailureKind>([
  [401, "auth"], [403, "auth"], [404, "not-found"], [410, "not-found"], [402, "quota"], [408, "overloaded"], [425, "overloaded"], [429, "rate-limited"],
  [502, "overloaded"], [503, "overloaded"], [504, "overloaded"], [529, "overloaded"],
]);

/** What providers say when a prompt is longer than the model's window, in codes, and in words where they have no code for it. */
const CONTEXT = /context[ _-]?(?:length|window|size|limit)|maximum (?:context|prompt|model) |tokens \+ `max_new_tokens|prompt is too long|input is too long|too many (?:input )?tokens|exceeds? .{0,40}(?:maximum|limit|number) .{0,20}tokens|ContextOverflow/i;
const FILTER = /content[ _-]?(?:filter|management policy|policy)|responsible ?ai|moderation|guardrail/i;
const QUOTA = /insufficient[ _-]?quota|exceeded (?:your|the current) .{0,20}quota|quota exhausted|billing|credit balance|out of credits/i;
/** Google says the same of a minute's quota as others of an empty account; but then it says when to come back. */
const MINUTE_QUOTA = /quota exceeded for metric|retry in \d/i;
const NETWORK = /^(?:APIConnectionError|ConnectionError|FetchError|SocketError)$|^(?:E[A-Z]{4,}|UND_ERR_\w+)$/;
const TIMEOUT = /Timeout|^ETIMEDOUT$|^UND_ERR_(?:HEADERS|BODY|CONNECT)_TIMEOUT$/;
/** Some clients' errors have a class of their own for it, and no name. */
const TIMEOUT_MESSAGE = /^Request timed out\.?$/;
/** Messages of the TypeErrors and Errors of Node's `fetch` and of clients above it. */
const NETWORK_MESSAGES = /^(?:fetch failed|terminated|network error|socket hang up|Connection error\.?)$/i;

/** Of these the program is at fault, unless an answer had been on its way. */
const PROGRAM: ReadonlySet<string> = new Set(["TypeError", "RangeError", "ReferenceError", "SyntaxError", "ZodError"]);

interface AnyError {
  readonly name?: unknown;
  readonly code?: unknown;
  readonly type?: unknown;
  readonly message?: unknown;
  readonly cause?: unknown;
  readonly error?: { readonly code?: unknown; readonly type?: unknown } | undefined;
}

/** What is known of a failure besides the error. */
export interface FailureContext {
  /** The HTTP status of the last response, where one was heard of. */
  readonly status: number | undefined;
  /** Whether an answer had begun. */
  readonly hasBegun: boolean;
}

/** What a request failed of. */
export function failureKind(error: unknown, { status: heard, hasBegun }: FailureContext): FailureKind {
  if (DeadlineError.isInstance(error)) return "timeout";
  const { name, code, message, type, cause, error: body } = (error ?? {}) as AnyError;
  const status = [statusOf(error), heard].find((one) => one !== undefined && one >= 400);
  const words = [name, code, type, body?.code, body?.type, message].filter((word) => typeof word === "string").join(" ");
  if (status !== undefined) return kindOfStatus(status, words);
  if (isNamed(TIMEOUT, name, code, cause) || TIMEOUT_MESSAGE.test(String(message))) return "timeout";
  if (isNamed(NETWORK, name, code, cause) || NETWORK_MESSAGES.test(String(message))) return hasBegun ? "interrupted" : "network";
  if (hasBegun) return "interrupted";
  if (CONTEXT.test(words)) return "context-length";
  // There was a response, and nobody could make an answer of it.
  if (heard !== undefined) return "interrupted";
  return PROGRAM.has(String(name)) ? "program" : "unknown";
}

function kindOfStatus(status: number, words: string): FailureKind {
  if (status === 400 || status === 413 || status === 422 || status === 403) {
    if (CONTEXT.test(words)) return "context-length";
    if (FILTER.test(words)) return "content-filter";
    if (QUOTA.test(words)) return "quota";
  }
  if (status === 429 && QUOTA.test(words) && !MINUTE_QUOTA.test(words)) return "quota";
  return BY_STATUS.get(status) ?? (status >= 500 ? "server" : "refused");
}

function isNamed(pattern: RegExp, name: unknown, code: unknown, cause: unknown): boolean {
  const { name: causeName, code: causeCode } = (cause ?? {}) as AnyError;
  return [name, code, causeName, causeCode].some((word) => typeof word === "string" && pattern.test(word));
}
