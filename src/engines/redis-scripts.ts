import { Script } from './redis-link.js'

/** The time, in milliseconds and microseconds, and numbers as texts without loss. */
const TIME = `
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local micros = clock[1] * 1000000 + clock[2]
local function text(number) return string.format('%.0f', number) end
`

/**
 * The state of a channel, begun anew when another server answers than the one that it was begun on.
 *
 * A promoted replica may lack what was acknowledged: with the old epoch it would use its offsets again.
 * KEYS: meta, stream. ARGV: a new epoch, Redis channel.
 */
const CHANNEL = `${TIME}
local meta, stream = KEYS[1], KEYS[2]
local server = string.match(redis.call('INFO', 'replication'), 'master_replid:(%w+)')
local state = redis.call('HMGET', meta, 'e', 's', 'g', 't', 'x')
if not state[1] or state[3] ~= server then
  redis.call('DEL', meta, stream)
  redis.call('HSET', meta, 'e', ARGV[1], 's', '0', 'g', server)
  state = { ARGV[1], '0', server, '0', '0' }
end
local epoch, top, last, life = state[1], tonumber(state[2]), tonumber(state[4] or 0), tonumber(state[5] or 0)
redis.call('PEXPIRE', meta, 2592000000)
`

/** Publishes. KEYS: also the idempotency key. ARGV: also payload, size, ttl or 0, key, its time to live. */
export const PUBLISH = new Script(
  `${CHANNEL}
local payload, size, ttl, key = ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6]
if key ~= '' then
  local used = redis.call('HMGET', KEYS[3], 'e', 's')
  if used[1] == epoch then return { epoch, tonumber(used[2]), 1 } end
end
local offset = top + 1
local time = text(math.max(now, last))
redis.call('HSET', meta, 's', text(offset), 't', time, 'x', text(ttl))
if offset == 1 or size == 0 then redis.call('DEL', stream) end
if size > 0 then
  redis.call('XADD', stream, 'MAXLEN', '=', text(size), text(offset) .. '-0', 'p', payload, 'k', key, 't', time)
  redis.call('PEXPIRE', stream, ttl > 0 and text(math.min(ttl, 2592000000)) or '2592000000')
end
if key ~= '' then
  redis.call('HSET', KEYS[3], 'e', epoch, 's', text(offset))
  redis.call('PEXPIRE', KEYS[3], ARGV[7])
end
local head = text(offset) .. ' ' .. epoch .. ' ' .. time .. ' ' .. #key .. '\\n'
redis.call('PUBLISH', ARGV[2], head .. key .. payload)
return { epoch, offset, 0 }`,
  3,
)

/**
 * Reads. ARGV: also the epoch and offset to read on from ('' for an end), limit, 'f' or 'b', 1 for the newest too.
 *
 * Replies with epoch, top, floor, then offset, payload, key and time of each entry, at most 8 MiB and one entry.
 */
export const READ = new Script(
  `${CHANNEL}
local limit, back = tonumber(ARGV[5]), ARGV[6] == 'b'
while life > 0 do
  local first = redis.call('XRANGE', stream, '-', '+', 'COUNT', 1)[1]
  if not first or tonumber(first[2][6]) + life > now then break end
  redis.call('XTRIM', stream, 'MINID', text(tonumber(string.match(first[1], '%d+')) + 1) .. '-0')
end
local first = redis.call('XRANGE', stream, '-', '+', 'COUNT', 1)[1]
local floor = first and tonumber(string.match(first[1], '%d+')) - 1 or top
local reply, bytes = { epoch, top, floor }, 0
local function add(entry)
  local fields = entry[2]
  for _, value in ipairs({ tonumber(string.match(entry[1], '%d+')), fields[2], fields[4], tonumber(fields[6]) }) do
    reply[#reply + 1] = value
  end
  bytes = bytes + #fields[2]
end
local same = ARGV[3] == epoch
local at = back and (same and tonumber(ARGV[4]) - 1 or top) or math.max(floor, same and tonumber(ARGV[4]) or 0)
while limit > 0 and bytes < 8388608 do
  local count = math.min(limit, 10)
  local part
  if back then
    if at < 1 then break end
    part = redis.call('XREVRANGE', stream, text(at) .. '-0', '-', 'COUNT', count)
  else
    part = redis.call('XRANGE', stream, text(at + 1) .. '-0', '+', 'COUNT', count)
  end
  for _, entry in ipairs(part) do
    add(entry)
    at = tonumber(string.match(entry[1], '%d+')) - (back and 1 or 0)
    if bytes >= 8388608 then break end
  end
  limit = limit - #part
  if #part < count then break end
end
if ARGV[7] == '1' and floor < top then add(redis.call('XREVRANGE', stream, '+', '-', 'COUNT', 1)[1]) end
return reply`,
  2,
)

/** Begins a new epoch. */
export const REMOVE = new Script(
  `${CHANNEL}
redis.call('DEL', stream)
redis.call('HSET', meta, 'e', ARGV[1], 's', '0')
redis.call('PUBLISH', ARGV[2], '0 ' .. ARGV[1] .. ' 0 0\\n')
return 1`,
  2,
)

/** What stands under a key. KEYS: entry, names, times. ARGV: name, then as each script says. */
const ENTRY = `${TIME}
local entry, names, times, name = KEYS[1], KEYS[2], KEYS[3], ARGV[1]
local state = redis.call('HMGET', entry, 'n', 'x', 'd')
local last, ends = tonumber(state[1] or 0), tonumber(state[2] or 0)
local standing = (state[1] and not state[3] and (ends == 0 or ends > now)) and last or 0
for _, over in ipairs(redis.call('ZRANGEBYSCORE', times, '-inf', text(now), 'LIMIT', 0, 8)) do
  redis.call('ZREM', times, over)
  redis.call('ZREM', names, over)
end
if ARGV[2] ~= '' and tonumber(ARGV[2]) ~= standing then return { 0, standing } end
`

/** Sets. ARGV: also the version wanted or '', value, ttl or 0. */
export const SET = new Script(
  `${ENTRY}
local version = math.max(last + 1, micros)
local ttl = tonumber(ARGV[4])
redis.call('DEL', entry)
redis.call('HSET', entry, 'n', text(version), 'v', ARGV[3])
redis.call('ZADD', names, 0, name)
redis.call('ZREM', times, name)
if ttl > 0 then
  redis.call('HSET', entry, 'x', text(now + ttl))
  redis.call('PEXPIREAT', entry, text(now + ttl + 86400000))
  redis.call('ZADD', times, text(now + ttl), name)
end
return { 1, version }`,
  3,
)

/** Deletes. What remains for a day is the version. */
export const DELETE = new Script(
  `${ENTRY}
if standing == 0 then return { 1, 0 } end
redis.call('DEL', entry)
redis.call('HSET', entry, 'n', text(last), 'd', '1')
redis.call('PEXPIRE', entry, 86400000)
redis.call('ZREM', names, name)
redis.call('ZREM', times, name)
return { 1, 1 }`,
  3,
)

export const GET = new Script(
  `${TIME}
local state = redis.call('HMGET', KEYS[1], 'n', 'v', 'x')
if not state[2] or (state[3] and tonumber(state[3]) <= now) then return false end
return { tonumber(state[1]), state[2] }`,
  1,
)

/** Lists. KEYS: names, times. ARGV: least, most, limit. */
export const KEYS = new Script(
  `${TIME}
while true do
  local over = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', text(now), 'LIMIT', 0, 1000)
  if #over == 0 then break end
  redis.call('ZREM', KEYS[2], unpack(over))
  redis.call('ZREM', KEYS[1], unpack(over))
end
return redis.call('ZRANGEBYLEX', KEYS[1], ARGV[1], ARGV[2], 'LIMIT', 0, ARGV[3])`,
  2,
)

/** Leases. KEYS: lease. ARGV: what to do, token, ttl, holder. */
export const LEASE = new Script(
  `${TIME}
local state = redis.call('HMGET', KEYS[1], 'n', 'h', 'x')
local last, ends = tonumber(state[1] or 0), tonumber(state[3] or 0)
local held = ends > now
local what, ttl = ARGV[1], tonumber(ARGV[3])
if what == 'current' then
  return held and { last, state[2], ends - now } or false
end
local token = tonumber(ARGV[2])
if what == 'acquire' then
  if held then return false end
  token = math.max(last + 1, micros)
elseif not held or last ~= token then return 0 end
if what == 'release' then ttl = 0 end
redis.call('HSET', KEYS[1], 'n', text(token), 'x', text(now + ttl))
if what == 'acquire' then redis.call('HSET', KEYS[1], 'h', ARGV[4]) end
redis.call('PEXPIREAT', KEYS[1], text(now + ttl + 2592000000))
return what == 'acquire' and token or 1`,
  1,
)

/** The generic cell rate algorithm. KEYS: limit. ARGV: milliseconds of a unit, burst, cost. */
export const LIMIT = new Script(
  `${TIME}
now = micros / 1000
local interval, burst, cost = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local whole = math.max(tonumber(redis.call('GET', KEYS[1]) or now), now)
local after = whole + cost * interval
local late = after - now - burst * interval
local allowed = late <= 0.001
if allowed and cost > 0 then
  redis.call('SET', KEYS[1], string.format('%.17g', after), 'PX', text(math.ceil(after - now) + 1))
end
local left = burst - ((allowed and after or whole) - now) / interval
return { allowed and 1 or 0, allowed and 0 or math.ceil(late - 0.001), math.max(0, math.floor(left + 0.001)) }`,
  1,
)

/** Members, without those whose time is over. KEYS: times, infos. ARGV: Redis channel, what to do, then its own. */
export const PRESENCE = new Script(
  `${TIME}
local times, infos, what, member = KEYS[1], KEYS[2], ARGV[2], ARGV[3]
local function tell(kind, who, info, ttl)
  redis.call('PUBLISH', ARGV[1], kind .. ' ' .. text(ttl) .. ' ' .. #who .. '\\n' .. who .. info)
end
local function drop(kind, who)
  local info = redis.call('HGET', infos, who)
  redis.call('ZREM', times, who)
  redis.call('HDEL', infos, who)
  tell(kind, who, info or '', 0)
end
for _, over in ipairs(redis.call('ZRANGEBYSCORE', times, '-inf', text(now))) do drop('E', over) end
local function extend(ttl)
  redis.call('ZADD', times, text(now + ttl), member)
  local latest = redis.call('ZREVRANGE', times, 0, 0, 'WITHSCORES')[2]
  -- Whoever watches must find them to tell that they have gone.
  for _, key in ipairs({ times, infos }) do redis.call('PEXPIREAT', key, text(tonumber(latest) + 300000)) end
end
if what == 'join' then
  local absent = redis.call('HSET', infos, member, ARGV[5])
  extend(tonumber(ARGV[4]))
  if absent == 1 then tell('J', member, ARGV[5], tonumber(ARGV[4])) end
  return absent
elseif what == 'refresh' then
  if not redis.call('ZSCORE', times, member) then return 0 end
  extend(tonumber(ARGV[4]))
  return 1
elseif what == 'leave' then
  if not redis.call('ZSCORE', times, member) then return 0 end
  drop('L', member)
  return 1
elseif what == 'count' then return redis.call('ZCARD', times)
elseif what == 'sweep' then
  local next = redis.call('ZRANGE', times, 0, 0, 'WITHSCORES')[2]
  return next and tonumber(next) - now or -1
end
local found, reply = {}, {}
for _, who in ipairs(redis.call('ZRANGE', times, 0, -1)) do
  if who > member then found[#found + 1] = who end
end
table.sort(found)
for i = 1, math.min(#found, tonumber(ARGV[4])) do
  reply[#reply + 1] = found[i]
  reply[#reply + 1] = redis.call('HGET', infos, found[i])
end
return reply`,
  2,
)

export const SCRIPTS = [PUBLISH, READ, REMOVE, SET, DELETE, GET, KEYS, LEASE, LIMIT, PRESENCE]
