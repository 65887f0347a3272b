import { redisScript } from "./script.ts";

/** Messages that took longer are given up, milliseconds; it is more than senders wait, because they know the server's time but roughly. */
const GIVEN_UP_MS = 2_000;
/** Loads that were not posted again for this long are those of a dead process. */
const LOAD_MS = 3_000;

/**
 * Posts what a process has to say and gives what holds. All times are the server's, milliseconds.
 *
 * KEYS: hash of news, by `circuit:` or `aside:` and the deployment, as `[order, process, deployment, kind, until, reason]`; hash of loads, by process, as
 * `[postedAt, { deployment: requests }]`. ARGV: process, the channel of news, and a message `[sentAt, { deployment: requests }, [[deployment, kind, forMs, reason], …]]`.
 * A message that was long on its way was given up, and does nothing; `sentAt` is 0 where the server's time was not known. Each news goes to the channel as it is kept,
 * with the time left in place of the end. Later news of a field has a higher order, whatever the clock does.
 *
 * Reply: the time and, unless the message did nothing, the news that holds, in the form in which it is published, and the loads of others, as deployment and requests,
 * alternating.
 */
export const POST = redisScript(`
local process, channel = ARGV[1], ARGV[2]
local sentAt, loads, news = unpack(cjson.decode(ARGV[3]))
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local lateMs = sentAt > 0 and math.max(0, now - sentAt) or 0
if lateMs > ${GIVEN_UP_MS} then return { now } end

local function read(text, length)
  local ok, value = pcall(cjson.decode, text)
  if ok and type(value) == 'table' and #value == length then return value end
end

local standing = {}
local flat = redis.call('HGETALL', KEYS[1])
for at = 1, #flat, 2 do
  local kept = read(flat[at + 1], 6)
  if kept and type(kept[1]) == 'number' and type(kept[5]) == 'number' and kept[5] > now then standing[flat[at]] = kept
  else redis.call('HDEL', KEYS[1], flat[at]) end
end

local function published(kept)
  return cjson.encode({ kept[1], kept[2], kept[3], kept[4], kept[5] - now, kept[6] })
end

for _, told in ipairs(news) do
  local deployment, kind, forMs, reason = unpack(told)
  local field = (kind == 'aside' and 'aside:' or 'circuit:') .. deployment
  local before = standing[field]
  local kept = { math.max(now, before and before[1] + 1 or 0), process, deployment, kind, now + forMs - lateMs, reason }
  if forMs > lateMs then
    standing[field] = kept
    redis.call('HSET', KEYS[1], field, cjson.encode(kept))
    redis.call('PUBLISH', channel, published(kept))
  end
end

local list, last = {}, 0
for _, kept in pairs(standing) do
  list[#list + 1] = published(kept)
  last = math.max(last, kept[5])
end
if last > 0 then redis.call('PEXPIREAT', KEYS[1], last) end

if next(loads) then
  redis.call('HSET', KEYS[2], process, cjson.encode({ now, loads }))
  redis.call('PEXPIRE', KEYS[2], ${LOAD_MS})
else redis.call('HDEL', KEYS[2], process) end

local others, sums = redis.call('HGETALL', KEYS[2]), {}
for at = 1, #others, 2 do
  local kept = read(others[at + 1], 2)
  if not kept or type(kept[1]) ~= 'number' or type(kept[2]) ~= 'table' or kept[1] < now - ${LOAD_MS} then redis.call('HDEL', KEYS[2], others[at])
  elseif others[at] ~= process then
    for deployment, requests in pairs(kept[2]) do sums[deployment] = (sums[deployment] or 0) + (tonumber(requests) or 0) end
  end
end
local totals = {}
for deployment, requests in pairs(sums) do
  totals[#totals + 1] = tostring(deployment)
  totals[#totals + 1] = requests
end
return { now, list, totals }`);
