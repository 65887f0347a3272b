import type { Invalidation, Position } from "../bus.ts";
import { redisScript } from "./script.ts";

/** Invalidations that the log keeps, roughly: one who was away for longer has lost some. */
export const LOG_LENGTH = 10_000;
/** The place of the entry that begins a life of the log. */
export const BEGINNING = 1;
/** Entries of the log that are read at once. */
export const LOG_PAGE = 500;

/**
 * The log is a Redis stream with ids `<seq>-0`; its life is named by a random id and the server's run id. When one of the two keys is missing (flushed,
 * evicted) or another server has taken over (a restart or a failover may have undone the last writes), another life begins, with one entry that says nothing.
 * KEYS: epoch, log.
 */
const LIFE = `
local function last()
  local found = redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)[1]
  return found and tonumber(string.match(found[1], '^%d+'))
end
local function now()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end
local function life(fresh)
  local info = redis.pcall('INFO', 'server')
  local run = type(info) == 'string' and string.match(info, 'run_id:(%w+)') or ''
  local epoch, seq = redis.call('GET', KEYS[1]), last()
  if epoch and seq and string.sub(epoch, -#run - 1) == '@' .. run then return epoch, seq end
  epoch = fresh .. '@' .. run
  redis.call('DEL', KEYS[2])
  redis.call('XADD', KEYS[2], '${BEGINNING}-0', 'r', '')
  redis.call('SET', KEYS[1], epoch)
  return epoch, ${BEGINNING}
end
`;

/**
 * ARGV: id for a new life, channel, length of the log, records. Gives the epoch. A full Redis refuses what takes memory only until a script has written:
 * it has to trim first.
 */
export const APPEND = redisScript(`${LIFE}
local epoch, seq = life(ARGV[1])
redis.pcall('XTRIM', KEYS[2], 'MAXLEN', '~', ARGV[3])
for at = 4, #ARGV do
  seq = seq + 1
  local text = string.format('%.0f', seq)
  redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[3], text .. '-0', 'r', ARGV[at], 't', string.format('%.0f', now()))
  redis.pcall('PUBLISH', ARGV[2], epoch .. ' ' .. text .. ' ' .. ARGV[at])
end
return epoch
`);

/**
 * ARGV: id for a new life, known epoch or "", known seq, page size. Gives the epoch, the last seq, and what comes after the known place, in another life
 * than the known one what comes after its beginning, to a newcomer the latest page: seq, record, age in milliseconds, …
 */
export const READ = redisScript(`${LIFE}
local epoch, seq = life(ARGV[1])
local after = {}
local first = epoch == ARGV[2] and ARGV[3] + 1 or ${BEGINNING} + 1
if ARGV[2] == '' then first = math.max(first, seq - ARGV[4] + 1) end
for _, entry in ipairs(redis.call('XRANGE', KEYS[2], string.format('%.0f', first) .. '-0', '+', 'COUNT', ARGV[4])) do
  after[#after + 1] = string.match(entry[1], '^%d+')
  after[#after + 1] = entry[2][2]
  after[#after + 1] = string.format('%.0f', now() - (entry[2][4] or 0))
end
return {epoch, string.format('%.0f', seq), after}
`);

/** One entry of the log. */
export interface LogEntry {
  readonly seq: number;
  /** As `writeRecord` made it. */
  readonly record: string;
  readonly ageMs: number;
}

export interface LogPage {
  readonly end: Position;
  readonly entries: readonly LogEntry[];
}

export function readPage(reply: unknown): LogPage {
  const [epoch, seq, after] = reply as [string, string, string[]];
  const entries = after.flatMap((text, at) => (at % 3 === 0 ? [{ seq: Number(text), record: after[at + 1] ?? "", ageMs: Number(after[at + 2]) }] : []));
  return { end: { epoch, seq: Number(seq) }, entries };
}

/** What a message on the bus' channel says. */
export function readMessage(message: string): { readonly epoch: string; readonly entry: LogEntry } | undefined {
  const [, epoch = "", seq, record = ""] = /^(\S+) (\d+) (.*)$/s.exec(message) ?? [];
  return seq === undefined ? undefined : { epoch, entry: { seq: Number(seq), record, ageMs: 0 } };
}

const UNLOGGED = "unlogged ";

/** A message on the bus' channel with records that the log has not taken. */
export function writeUnlogged(records: readonly string[]): string {
  return UNLOGGED + JSON.stringify(records);
}

/** The records of such a message; `undefined` for any other. */
export function readUnlogged(message: string): string[] | undefined {
  if (!message.startsWith(UNLOGGED)) return undefined;
  try {
    const records: unknown = JSON.parse(message.slice(UNLOGGED.length));
    return Array.isArray(records) ? records.filter((record) => typeof record === "string") : [];
  } catch {
    return [];
  }
}

/** What somebody published. `count` grows with each one of the same publisher: what comes with the same or a lower one was sent twice. */
export interface LogRecord {
  readonly publisher: string;
  readonly count: number;
  readonly invalidation: Invalidation;
}

export function writeRecord({ publisher, count, invalidation }: LogRecord): string {
  return JSON.stringify([publisher, count, invalidation]);
}

/** `undefined` for a record that is not ours to understand, such as the one that begins a life. */
export function readRecord(text: string): LogRecord | undefined {
  try {
    const [publisher, count, invalidation] = JSON.parse(text) as [unknown, unknown, unknown];
    if (typeof publisher !== "string" || typeof count !== "number" || !isInvalidation(invalidation)) return undefined;
    return { publisher, count, invalidation };
  } catch {
    return undefined;
  }
}

function isInvalidation(value: unknown): value is Invalidation {
  if (typeof value !== "object" || value === null) return false;
  const { all, groups, key } = value as { all?: unknown; groups?: unknown; key?: unknown };
  if (all === true) return true;
  const areStrings = (list: unknown): boolean => Array.isArray(list) && list.every((item) => typeof item === "string");
  return Array.isArray(groups) && groups.every(areStrings) && (key === undefined || typeof key === "string");
}
