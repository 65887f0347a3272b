import { redisScript, type RedisScript } from "../../stores/redis/script.ts";

/** A window is this many slices: the oldest counts whole, and one more stands for the way from Redis to whoever asked, since the provider sees the call only then. */
export const SLICES = 242;
export const MINUTE_SLICE_MS = 250;
export const HOUR_SLICE_MS = 15_000;
/** Who waits asks again within this time, and who was granted something says as often that it lives, milliseconds. */
export const HEARTBEAT_MS = 1_000;
/** A process that was not heard of for this long is dead, and its places are free, milliseconds. */
const LEASE_MS = 5_000;
/** After a loss nothing is granted until every process had the time to tell what it was granted before, milliseconds. */
const RECOVERY_MS = 1_500;
/** Whose turn it is stands aside when it does not come within this time, milliseconds. */
const GRACE_MS = 500;
/** Between processes, one step of priority weighs as much as this much waiting, milliseconds. */
const PRIORITY_MS = 5_000;
/** A limiter that nobody uses is forgotten after this time, which is longer than an hour's window, milliseconds. */
const KEPT_MS = 4_000_000;
/** How much faster than the quota calls may go, after a burst of a part of it. */
const HASTE = 1.05;
const BURST = 0.05;
const MINUTE_MS = 60_000;
const BURST_MS = (BURST * MINUTE_MS) / HASTE;
/** Slices that are read at once to find out when there is room. */
const PAGE = 16;

/**
 * The state is one string: a field for each number would take four times as long. Life, which is when it began in microseconds, time, shift, until when nothing is granted,
 * places that are taken, how many wait; then for requests, tokens and nano-USD: total, what the present slice has of it, and when all of it is earned.
 */
const FORMAT = "d".repeat(15);
const FINISH = `
redis.call('HSET', window, mine, held, 'state', struct.pack('${FORMAT}', life, now, now - clock, hold, busy, waiting, total[1], fresh[1], earned[1], total[2], fresh[2], earned[2], total[3], fresh[3], earned[3]))
`;

const TIME = `
local window, seen, row = KEYS[1], KEYS[2], KEYS[3]
local me, known, latest, beats, holds, corrections, demands = unpack(cjson.decode(ARGV[1]))
local mine, server, lost = 'p' .. me, redis.call('TIME'), false
local state, held = unpack(redis.call('HMGET', window, 'state', mine))
local clock = server[1] * 1000 + math.floor(server[2] / 1000)
if beats or not state then
  local info = redis.pcall('INFO', 'server')
  local run = type(info) == 'string' and string.match(info, 'run_id:(%w+)') or ''
  if not state or redis.call('HGET', window, 'run') ~= run then
    lost = state or known ~= 0
    redis.call('DEL', unpack(KEYS))
    redis.call('HSET', window, 'run', run)
    state, held = struct.pack('${FORMAT}', server[1] * 1000000 + server[2], clock, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), 0
  end
end
local life, last, shift, hold, busy, waiting, r, rs, ra, t, ts, ta, c, cs, ca = struct.unpack('${FORMAT}', state)
local total, fresh, earned = {r, t, c}, {rs, ts, cs}, {ra, ta, ca}
local now = clock + shift
if known == life then now = math.min(now, latest) end
if now < last then now = last end
local strange = known ~= 0 and known ~= life
if strange or lost then hold = math.max(hold, life / 1000 + ${RECOVERY_MS}) end
`;

const ADVANCE = `
local names, widths = {'r', 't', 'c'}, {${MINUTE_SLICE_MS}, ${MINUTE_SLICE_MS}, ${HOUR_SLICE_MS}}
if now - now % ${MINUTE_SLICE_MS} > last then
  for gauge = 1, 3 do
    local from, to = math.floor(last / widths[gauge]), math.floor(now / widths[gauge])
    if to > from then
      local name, leaving, gone = names[gauge], {}, {}
      if fresh[gauge] ~= 0 then redis.call('HSET', window, name .. from, fresh[gauge]) end
      for slice = from - ${SLICES} + 1, math.min(to - ${SLICES}, from) do leaving[#leaving + 1] = name .. slice end
      for at, amount in ipairs(redis.call('HMGET', window, unpack(leaving))) do
        if amount then
          total[gauge] = total[gauge] - amount
          gone[#gone + 1] = leaving[at]
        end
      end
      if #gone > 0 then redis.call('HDEL', window, unpack(gone)) end
      fresh[gauge] = 0
    end
  end
end
if strange then
  held = held or 0
  ${FINISH}
  return {life, now, 0, 0, 0, 'unknown'}
end
`;

const PROCESSES = `
busy = busy - (held or 0) + holds
held = holds
local processes = 0
if beats then
  redis.call('ZADD', seen, now, me)
  for _, dead in ipairs(redis.call('ZRANGEBYSCORE', seen, '-inf', now - ${LEASE_MS})) do
    busy = busy - (redis.call('HGET', window, 'p' .. dead) or 0)
    redis.call('HDEL', window, 'p' .. dead, 'n' .. dead, 'w' .. dead)
    redis.call('ZREM', seen, dead)
    redis.call('ZREM', row, dead)
  end
  processes = redis.call('ZCARD', seen)
  for _, key in ipairs(KEYS) do redis.call('PEXPIRE', key, ${KEPT_MS}) end
end
`;

const CORRECTIONS = `
if corrections then
  local number = table.remove(corrections, 1)
  if tonumber(redis.call('HGET', window, 'n' .. me)) ~= number then
    for _, correction in ipairs(corrections) do
      local gauge, slice, amount = unpack(correction)
      local present = math.floor(now / widths[gauge])
      if slice > present - ${SLICES} then
        if slice >= present then fresh[gauge] = fresh[gauge] + amount else redis.call('HINCRBY', window, names[gauge] .. slice, amount) end
        total[gauge] = total[gauge] + amount
        if steps[gauge] then earned[gauge] = math.min(math.max(earned[gauge], now) + amount * steps[gauge], math.max(earned[gauge], now + ${BURST_MS})) end
      end
    end
    redis.call('HSET', window, 'n' .. me, number)
  end
end
`;

const WAIT = `
local function wait(want, ahead)
  if hold > now then return math.ceil(hold - now), 'recovery' end
  local longest, reason = 0, ''
  for gauge = 1, 3 do
    local amount, limit, step = want[gauge], limits[gauge], steps[gauge]
    if limit and amount > 0 then
      if ahead then amount = amount + ahead[gauge] end
      local over, needed = total[gauge] + amount - limit, 0
      if step then needed = earned[gauge] - now - math.max(0, ${BURST_MS} - amount * step) end
      if over > 0 then
        local present = math.floor(now / widths[gauge])
        local slice = present - ${SLICES}
        while over > 0 and slice < present do
          local page = {}
          for at = slice + 1, math.min(slice + ${PAGE}, present) do page[#page + 1] = names[gauge] .. at end
          for _, left in ipairs(redis.call('HMGET', window, unpack(page))) do
            slice = slice + 1
            over = over - (left or 0)
            if over <= 0 then break end
          end
        end
        needed = math.max(needed, (slice + ${SLICES}) * widths[gauge] - now)
      end
      if needed > longest then longest, reason = needed, names[gauge] end
    end
  end
  if places and want[4] > 0 and busy + want[4] + (ahead and ahead[4] or 0) > places then longest, reason = math.max(longest, ${HEARTBEAT_MS}), 'places' end
  return math.ceil(longest), reason
end
`;

const DEMANDS = `
local first, process, ahead
if waiting > 0 then
  first = function()
    while true do
      local process = redis.call('ZRANGE', row, 0, 0)[1]
      if not process or process == me then return process end
      local packed = redis.call('HGET', window, 'w' .. process)
      local want = packed and cmsgpack.unpack(packed)
      if want and want[6] + ${GRACE_MS} >= now then return process, want end
      redis.call('ZREM', row, process)
      redis.call('HDEL', window, 'w' .. process)
    end
  end
  process, ahead = first()
end
local granted, longest, reason = 0, 0, ''
for _, want in ipairs(demands) do
  longest, reason = wait(want, want[4] > 0 and ahead)
  if longest > 0 then
    local packed = redis.call('HGET', window, 'w' .. me)
    local since = packed and granted == 0 and cmsgpack.unpack(packed)[7] or now
    want[6], want[7] = now + math.min(longest, ${HEARTBEAT_MS}), since
    redis.call('ZADD', row, since + want[5] * ${PRIORITY_MS}, me)
    redis.call('HSET', window, 'w' .. me, cmsgpack.pack(want))
    waiting = redis.call('ZCARD', row)
    break
  end
  for gauge = 1, 3 do
    local amount, step = want[gauge], steps[gauge]
    total[gauge], fresh[gauge] = total[gauge] + amount, fresh[gauge] + amount
    if step and amount > 0 then earned[gauge] = math.max(earned[gauge], now) + amount * step end
  end
  busy, held, granted = busy + want[4], held + want[4], granted + 1
end
if first then
  if longest == 0 and redis.call('ZREM', row, me) == 1 then redis.call('HDEL', window, 'w' .. me) end
  local called, want = first()
  if want and want[6] > now and wait(want) == 0 then
    want[6] = now
    redis.call('HSET', window, 'w' .. called, cmsgpack.pack(want))
    redis.pcall('PUBLISH', seen .. ':' .. called, '')
  end
  waiting = redis.call('ZCARD', row)
end
${FINISH}
if longest == 0 and life == known and not beats then return now end
return {life, now, processes, granted, longest, reason, unpack(beats and total or {})}
`;

/** What a limiter keeps to; absent = no such limit. */
export interface SharedLimits {
  readonly requests: number | undefined;
  readonly tokens: number | undefined;
  readonly nanoUsd: number | undefined;
  readonly places: number | undefined;
}

/**
 * One message of a process to those who share a limiter, and the answer. The limits are part of the script, and the message is one argument: each costs Redis and ioredis time.
 *
 * Time is the server's, made steady by a shift, so that it neither goes back nor further ahead than it can be for the process that asks.
 * A window is a running total, and a field for each slice, which is subtracted as it leaves; besides, calls are spaced out by the generic cell rate algorithm
 * (ITU-T I.371), for which a gauge keeps when all that was taken is earned.
 * A process tells how many places it holds and not how that changed, so that whatever was lost is right after the next message. Corrections have a number and count once.
 * Processes that wait stand in a row: nobody takes what the first of them waits for, and it is called when that is there.
 * A life of all this ends when it is missing (flushed, evicted) or when another server has taken over, whose copy may be old: each process then tells its part anew.
 *
 * KEYS: window (hash), processes by when they were heard (sorted set), those who wait (sorted set).
 * ARGV: JSON of process, known life or 0, the latest that it can be for the process, whether this is a heartbeat, places that the process holds, corrections as
 * `[number, [gauge, slice, difference], …]` or false, demands as `[[requests, tokens, nano-USD, places, priority], …]`.
 * Gives life, time, processes (0 except to a heartbeat), how many demands are granted, for the next one how long to wait in milliseconds and for what, and to a heartbeat
 * the totals; where all demands are granted and there is nothing else to say, the time alone. For what: `r`equests, `t`okens, `c`ost, `places`, `recovery` after a loss; `unknown` = another life than the known one, and nothing was done.
 */
export function exchangeScript({ requests, tokens, nanoUsd, places }: SharedLimits): RedisScript {
  const steps = [requests, tokens].map((limit) => (limit === undefined ? "false" : `${MINUTE_MS / HASTE / limit}`));
  const limits = `
local limits, steps, places = {${[requests, tokens, nanoUsd].map((limit) => limit ?? "false").join(", ")}}, {${steps.join(", ")}, false}, ${places ?? "false"}
`;
  return redisScript([TIME, ADVANCE, PROCESSES, limits, CORRECTIONS, WAIT, DEMANDS].join(""));
}
