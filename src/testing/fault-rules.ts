import { resolveWith, type OptionReader } from "../core/options.ts";
import { OptionError } from "../core/errors.ts";

/**
 * What goes wrong. A plain answer is cut, ended, stalled or garbled after its first half.
 * - `status`: an error status, with any headers
 * - `reset`: the connection is reset before any header
 * - `silent`: no response at all, the connection stays open
 * - `slow`: the first part of the answer comes `delayMs` later
 * - `cut`: the connection is destroyed after `afterChunks` chunks
 * - `end`: the server ends the response politely after `afterChunks` chunks
 * - `stall`: nothing more comes after `afterChunks` chunks, the connection stays open
 * - `malformed`: the chunk after `afterChunks` chunks is no JSON
 * - `no-done`: the event that closes a stream is missing
 * - `content-type`: the answer is a page of `contentType`
 * - `error-event`: an error event comes after `afterChunks` chunks, and the stream ends
 */
export type FaultKind = (typeof FAULT_KINDS)[number];

export const FAULT_KINDS = ["status", "reset", "silent", "slow", "cut", "end", "stall", "malformed", "no-done", "content-type", "error-event"] as const;

/** One fault, and when it strikes. */
export interface FaultRule {
  kind: FaultKind;
  /** Of `status`. @default 500 */
  status?: number;
  /** Of `status`: headers of the response. */
  headers?: Record<string, string>;
  /** The error's message. */
  message?: string;
  /** Of `cut`, `end`, `stall`, `malformed`, `error-event`: chunks with content sent before. @default 3 */
  afterChunks?: number;
  /** Of `slow`: milliseconds. @default 5000 */
  delayMs?: number;
  /** Of `content-type`. @default "text/html" */
  contentType?: string;
  /** Only requests for this model. */
  model?: string;
  /** Only requests to a path that ends so, e.g. `/embeddings`. */
  path?: string;
  /** Share of the matching requests that are struck, 0 to 1. @default 1 */
  probability?: number;
  /** How many requests are struck before the rule is spent. */
  times?: number;
  /** Flapping: on for so many milliseconds, from the moment the rule is added ... */
  onMs?: number;
  /** ... and then off for so many, over and over. */
  offMs?: number;
}

export function resolveFault(rule: unknown, option: string): FaultRule {
  return typeof rule === "string" ? parseFault(rule, option) : resolveWith(option, rule, readRule);
}

function readRule(reader: OptionReader): FaultRule {
  const kind = reader.raw("kind");
  if (!isKind(kind)) throw new OptionError(reader.pathOf("kind"), `one of ${FAULT_KINDS.join(", ")}`, kind);
  const rule: FaultRule = {
    kind,
    status: reader.number("status", { default: undefined, min: 200, max: 599, integer: true }),
    headers: readHeaders(reader),
    message: reader.string("message", undefined),
    afterChunks: reader.number("afterChunks", { default: undefined, min: 0, integer: true }),
    delayMs: reader.number("delayMs", { default: undefined, min: 0 }),
    contentType: reader.string("contentType", undefined),
    model: reader.string("model", undefined),
    path: reader.string("path", undefined),
    probability: reader.number("probability", { default: undefined, min: 0, max: 1 }),
    times: reader.number("times", { default: undefined, min: 1, integer: true }),
    onMs: reader.number("onMs", { default: undefined, min: 1 }),
    offMs: reader.number("offMs", { default: undefined, min: 1 }),
  };
  if ((rule.onMs === undefined) !== (rule.offMs === undefined)) {
    throw new OptionError(reader.pathOf("onMs"), "onMs and offMs together", { onMs: rule.onMs, offMs: rule.offMs });
  }
  return rule;
}

function isKind(kind: unknown): kind is FaultKind {
  return FAULT_KINDS.includes(kind as FaultKind);
}

function readHeaders(reader: OptionReader): Record<string, string> | undefined {
  const headers = reader.raw("headers");
  if (headers === undefined) return undefined;
  const entries = typeof headers === "object" && headers !== null && !Array.isArray(headers) ? Object.entries(headers) : undefined;
  if (entries === undefined || entries.some(([name, value]) => !/^[\w-]+$/.test(name) || typeof value !== "string")) {
    throw new OptionError(reader.pathOf("headers"), "an object of header names and strings", headers);
  }
  return Object.fromEntries(entries) as Record<string, string>;
}

/** What the value after the fault's own name means, and the rule's keys that a text may set. */
const VALUE_OF: Partial<Record<FaultKind, keyof FaultRule>> = {
  status: "status", slow: "delayMs", cut: "afterChunks", end: "afterChunks", stall: "afterChunks",
  malformed: "afterChunks", "error-event": "afterChunks", "content-type": "contentType",
};
const NUMBERS: Record<string, keyof FaultRule> = { probability: "probability", times: "times", on: "onMs", off: "offMs" };
const TEXTS: Record<string, keyof FaultRule> = { model: "model", path: "path", message: "message" };

/**
 * Reads `kind[=value][,key=value]...`, e.g. `status=429,retry-after=2,probability=0.03` or `stall=5,times=1`.
 * Keys: `probability`, `times`, `on` and `off` (flapping, milliseconds), `model`, `path`, `message`,
 * `retry-after`, and `header.<name>`.
 */
export function parseFault(text: string, option: string): FaultRule {
  const [first = "", ...rest] = text.split(",").map((part) => part.trim());
  const [kind = "", value] = splitPair(first);
  if (!isKind(kind)) throw new OptionError(option, `a fault that starts with one of ${FAULT_KINDS.join(", ")}`, text);
  const raw: Record<string, unknown> = { kind };
  const headers: Record<string, string> = {};
  const valueOf = VALUE_OF[kind];
  if (value !== undefined) {
    if (valueOf === undefined) throw new OptionError(option, `${kind} without a value`, text);
    raw[valueOf] = valueOf === "contentType" ? value : toNumber(value);
  }
  for (const part of rest) {
    const [key = "", setting] = splitPair(part);
    const header = key === "retry-after" || key === "retry-after-ms" ? key : /^header\.(.+)$/.exec(key)?.[1];
    if (setting === undefined) throw new OptionError(option, "settings as key=value, separated by commas", text);
    if (header !== undefined) headers[header] = setting;
    else if (NUMBERS[key] !== undefined) raw[NUMBERS[key]] = toNumber(setting);
    else if (TEXTS[key] !== undefined) raw[TEXTS[key]] = setting;
    else throw new OptionError(`${option}.${key}`, `one of ${[...Object.keys(NUMBERS), ...Object.keys(TEXTS), "retry-after", "header.<name>"].join(", ")}`, setting);
  }
  if (Object.keys(headers).length > 0) raw.headers = headers;
  return resolveWith(option, raw, readRule);
}

function splitPair(text: string): [string, string | undefined] {
  const at = text.indexOf("=");
  return at === -1 ? [text, undefined] : [text.slice(0, at).trim(), text.slice(at + 1).trim()];
}

/** A number, or the text itself for the validation to name. */
function toNumber(text: string): unknown {
  return text === "" || Number.isNaN(Number(text)) ? text : Number(text);
}
