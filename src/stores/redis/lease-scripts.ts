import { redisScript } from "./script.ts";

/** Frames that one read gives at most. */
export const FRAMES_PAGE = 64;

/**
 * A lease is a hash that expires when it is not renewed: token, id, mode, state, since, until, at, frames. The answer is a stream of its own for each token, with ids
 * `<number>-0`, so that what a leader writes who has lost the lease could reach nobody, even if it got so far; the last frame of a whole answer has a field `e`.
 * Times are the server's: the clocks of processes differ.
 */
const NOW = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
`;

/** KEYS: lease. ARGV: token, id, mode, duration, largest age or -1. Gives `lead`, `alone`, or `follow`, token, id, mode, and for how long it has been whole. */
export const JOIN = redisScript(`${NOW}
local token, id, mode, state, since, til, at = unpack(redis.call('HMGET', KEYS[1], 'token', 'id', 'mode', 'state', 'since', 'until', 'at'))
if token == ARGV[1] then return {'lead'} end
if token then
  local oldest = tonumber(ARGV[5])
  local current = oldest < 0 or now - since < oldest
  local followable = state == 'open' or (state == 'done' and now < tonumber(til))
  local age = state == 'done' and now - (at or since) or 0
  if current and followable then return {'follow', token, id, mode, age} end
  if state ~= 'done' then return {'alone'} end
end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'token', ARGV[1], 'id', ARGV[2], 'mode', ARGV[3], 'state', 'open', 'since', now, 'until', 0, 'frames', 0)
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return {'lead'}
`);

/** KEYS: lease, live. ARGV: token, number, frame or "", state, for how long all is kept, for how long newcomers may follow, channel. Gives 1, or 0 when the lease is lost. */
export const ADD = redisScript(`${NOW}
if redis.call('HGET', KEYS[1], 'token') ~= ARGV[1] then return 0 end
local last, number = tonumber(redis.call('HGET', KEYS[1], 'frames')), tonumber(ARGV[2])
local done = ARGV[4] == 'done'
if number > last + 1 then return 0 end
if number == last + 1 and (done or ARGV[3] ~= '') then
  if done then redis.call('XADD', KEYS[2], ARGV[2] .. '-0', 'f', ARGV[3], 'e', '1') else redis.call('XADD', KEYS[2], ARGV[2] .. '-0', 'f', ARGV[3]) end
  redis.call('HSET', KEYS[1], 'frames', number)
end
redis.call('HSET', KEYS[1], 'state', ARGV[4], 'until', now + ARGV[6], 'at', now)
if ARGV[4] == 'unshared' then redis.call('DEL', KEYS[2]) end
redis.call('PEXPIRE', KEYS[1], ARGV[5])
redis.call('PEXPIRE', KEYS[2], ARGV[5])
redis.pcall('PUBLISH', ARGV[7], '')
return 1
`);

/** KEYS: lease, live. ARGV: token, duration. Gives 1, or 0 when the lease is lost. */
export const RENEW = redisScript(`
if redis.call('HGET', KEYS[1], 'token') ~= ARGV[1] then return 0 end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
redis.call('PEXPIRE', KEYS[2], ARGV[2])
return 1
`);

/** KEYS: lease, live. ARGV: token, channel. */
export const RELEASE = redisScript(`
if redis.call('HGET', KEYS[1], 'token') ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[1], KEYS[2])
redis.pcall('PUBLISH', ARGV[2], '')
return 1
`);

/** KEYS: lease, live. ARGV: token, number of the first wanted frame. Gives the state and the frames. */
export const READ = redisScript(`
local entries = redis.call('XRANGE', KEYS[2], ARGV[2] .. '-0', '+', 'COUNT', ${FRAMES_PAGE})
local token, state = unpack(redis.call('HMGET', KEYS[1], 'token', 'state'))
if #entries == 0 then
  if token ~= ARGV[1] or state == 'done' then return {'gone'} end
  return {state == 'unshared' and state or 'open'}
end
if entries[1][1] ~= ARGV[2] .. '-0' then return {'gone'} end
local reply = {#entries[#entries][2] == 4 and 'done' or 'open'}
for at, entry in ipairs(entries) do reply[at + 1] = entry[2][2] end
return reply
`);
