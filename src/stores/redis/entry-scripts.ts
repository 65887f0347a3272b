import { redisScript } from "./script.ts";

/**
 * Puts a member into the index of a label: a sorted set, scored by expiry in microseconds of the server's own clock, so that no client's clock matters and two
 * writes of one member differ. The set lives a minute longer than its longest-lived member. Each write removes up to two members that are long expired.
 */
const RECORD = `
local MARGIN_MS = 60000
local function record(index, member, ttl)
  local time = redis.call('TIME')
  local now = time[1] * 1000000 + time[2]
  local dead = redis.call('ZRANGEBYSCORE', index, '-inf', string.format('%.0f', now - MARGIN_MS * 1000), 'LIMIT', 0, 2)
  for _, one in ipairs(dead) do redis.call('ZREM', index, one) end
  if ttl == '' then
    redis.call('ZADD', index, '+inf', member)
    redis.call('PERSIST', index)
    return
  end
  redis.call('ZADD', index, string.format('%.0f', now + ttl * 1000), member)
  local left = redis.call('PTTL', index)
  if (left >= 0 and left < ttl + MARGIN_MS) or (left == -1 and redis.call('ZCARD', index) == 1) then
    redis.call('PEXPIRE', index, string.format('%.0f', ttl + MARGIN_MS))
  end
end
`;

/** KEYS: entry, indices. ARGV: entry's name in the indices, value, time to live in ms or "". */
export const WRITE = redisScript(`${RECORD}
for at = 2, #KEYS do record(KEYS[at], ARGV[1], ARGV[3]) end
if ARGV[3] == '' then redis.call('SET', KEYS[1], ARGV[2]) else redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) end
`);

/** KEYS: index. ARGV: entry's name, time to live in ms or "". */
export const INDEX = redisScript(`${RECORD}
record(KEYS[1], ARGV[1], ARGV[2])
`);

/** KEYS: index. ARGV: cursor. Gives the next cursor, and members with scores. A script, because replicas, which may serve reads, lag behind. */
export const PAGE = redisScript(`return redis.call('ZSCAN', KEYS[1], ARGV[1], 'COUNT', 1000)`);

/** KEYS: index. ARGV: member, score, … Removes those that were not written again since they were read. */
export const FORGET = redisScript(`
for at = 1, #ARGV, 2 do
  local score = redis.call('ZSCORE', KEYS[1], ARGV[at])
  if score and tonumber(score) == tonumber(ARGV[at + 1]) then redis.call('ZREM', KEYS[1], ARGV[at]) end
end
`);

/**
 * KEYS: entries. ARGV: number of groups; for each its size and its labels. Deletes the entries that carry at least one label of each group.
 * Gives for each entry 0 = it is not there, 1 = deleted, 2 = it stays.
 */
export const DROP = redisScript(`
local groups, at = {}, 2
for group = 1, tonumber(ARGV[1]) do
  local size = tonumber(ARGV[at])
  groups[group] = {}
  for label = at + 1, at + size do groups[group][ARGV[label]] = true end
  at = at + size + 1
end

local function labels(key)
  local head = redis.pcall('GETRANGE', key, 0, 511)
  if type(head) ~= 'string' or string.sub(head, 1, 4) ~= 'LCP1' or #head < 10 then return nil end
  local size, count = struct.unpack('>I4I2', head, 5)
  if size > #head then head = redis.call('GETRANGE', key, 0, size - 1) end
  if size > #head then return nil end
  local found, from = {}, 11
  for label = 1, count do
    local length = struct.unpack('>I2', head, from)
    found[label] = string.sub(head, from + 2, from + 1 + length)
    from = from + 2 + length
  end
  return found
end

local function carriesAll(found)
  for _, group in ipairs(groups) do
    local carries = false
    for _, label in ipairs(found) do carries = carries or group[label] end
    if not carries then return false end
  end
  return true
end

local results = {}
for index, key in ipairs(KEYS) do
  local found = #groups > 0 and labels(key)
  if #groups == 0 or (found and carriesAll(found)) then
    results[index] = redis.call('UNLINK', key)
  else
    results[index] = found and 2 or redis.call('EXISTS', key) * 2
  end
end
return results
`);

/** KEYS: hits. ARGV: how many members to keep, then weight, member, … */
export const TOUCH = redisScript(`
for at = 2, #ARGV, 2 do redis.call('ZINCRBY', KEYS[1], ARGV[at], ARGV[at + 1]) end
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -1 - ARGV[1])
`);

/** KEYS: hits. ARGV: first rank, last rank. */
export const HOTTEST = redisScript(`return redis.call('ZREVRANGE', KEYS[1], ARGV[1], ARGV[2])`);
