import { Script } from './redis-link.js'

/** The time, in milliseconds and microseconds, and numbers as texts without loss. */
const TIME = `
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local micros = clock[1] * 1000000 + clock[2]
local texts = {}
local function text(number)
  local known = texts[number]
  if not known then
    known = string.format('%.0f', number)
    texts[number] = known
  end
  return known
end
`

/**
 * Finds channels: begun anew when another server answers than the one that they were begun on.
 *
 * A promoted replica may lack what was acknowledged: with the old epoch it would use its offsets again. The state of a
 * channel is one text: server, epoch, top, time of the last entry, for how long entries are kept or 0. An entry is its time,
 * the length of its key, a line break, key and payload. ARGV: a new epoch.
 */
const CHANNEL = `${TIME}
local server = string.match(redis.call('INFO', 'replication'), 'master_replid:(%w+)')
local function find(meta, stream)
  local state = redis.call('GET', meta)
  if state then
    local at, epoch, top, last, life = string.match(state, '^(%w+) (%S+) (%d+) (%d+) (%d+)$')
    if at == server then return epoch, tonumber(top), tonumber(last), tonumber(life) end
  end
  redis.call('DEL', stream)
  return ARGV[1], 0, 0, 0
end
local function save(meta, epoch, top, last, life)
  local state = server .. ' ' .. epoch .. ' ' .. text(top) .. ' ' .. text(last) .. ' ' .. text(life)
  redis.call('SET', meta, state, 'PX', '2592000000')
end
`

/**
 * Publishes, to several channels at once.
 *
 * KEYS: state and stream of each channel, then the idempotency keys in use. ARGV: also a list of numbers, all keys and
 * payloads as one text, the time to live of a key. The numbers are how many channels; of each of them how many publications,
 * size, and ttl or 0; of each publication the lengths of key and payload. Replies, for each channel, with its epoch and the
 * offsets of its publications, below 0 for a duplicate. A channel gets one message: its epoch, a line break, and of each
 * entry offset, length, a line break and the entry.
 */
export const PUBLISH = new Script(
  `${CHANNEL}
local numbers, bytes = cjson.decode(ARGV[2]), ARGV[3]
local reply, at, byte, nextKey = {}, 2, 1, numbers[1] * 2 + 1
for channel = 1, numbers[1] do
  local meta, stream = KEYS[channel * 2 - 1], KEYS[channel * 2]
  local epoch, top, last = find(meta, stream)
  local count, size, life = numbers[at], numbers[at + 1], numbers[at + 2]
  at = at + 3
  last = math.max(now, last)
  reply[#reply + 1] = epoch
  local message, failed = { epoch .. '\\n' }
  for _ = 1, count do
    local keyLength, name, known = numbers[at]
    local length = keyLength + numbers[at + 1]
    if keyLength > 0 then
      name, nextKey = KEYS[nextKey], nextKey + 1
      local state = redis.call('GET', name)
      if state then
        local begun, offset = string.match(state, '^(%S+) (%d+)$')
        known = begun == epoch and tonumber(offset)
      end
    end
    if not known then
      top = top + 1
      local entry = text(last) .. ' ' .. text(keyLength) .. '\\n' .. string.sub(bytes, byte, byte + length - 1)
      if size > 0 then
        local added = redis.pcall('XADD', stream, 'MAXLEN', '=', text(size), text(top) .. '-0', 'e', entry)
        if type(added) == 'table' then failed = added break end
      end
      if name then redis.call('SET', name, epoch .. ' ' .. text(top), 'PX', ARGV[4]) end
      message[#message + 1] = text(top) .. ' ' .. text(#entry) .. '\\n' .. entry
    end
    reply[#reply + 1] = known and -known or top
    byte, at = byte + length, at + 2
  end
  -- Whatever failed, no offset is used twice.
  save(meta, epoch, top, last, life)
  if failed then return failed end
  if #message > 1 then
    if size == 0 then redis.call('DEL', stream)
    else redis.call('PEXPIRE', stream, life > 0 and text(math.min(life, 2592000000)) or '2592000000') end
    redis.call('PUBLISH', string.sub(meta, 1, -3), table.concat(message))
  end
end
return reply`,
  0,
)

/**
 * Reads. KEYS: state, stream. ARGV: also the epoch and offset to read on from ('' for an end), limit, 'f' or 'b', 1 for the
 * newest too.
 *
 * Replies with epoch, top, floor, then each offset and entry, at most 8 MiB and one entry.
 */
export const READ = new Script(
  `${CHANNEL}
local stream = KEYS[2]
local epoch, top, last, life = find(KEYS[1], stream)
save(KEYS[1], epoch, top, last, life)
local limit, back = tonumber(ARGV[4]), ARGV[5] == 'b'
while life > 0 do
  local first = redis.call('XRANGE', stream, '-', '+', 'COUNT', 1)[1]
  if not first or tonumber(string.match(first[2][2], '^%d+')) + life > now then break end
  redis.call('XTRIM', stream, 'MINID', text(tonumber(string.match(first[1], '%d+')) + 1) .. '-0')
end
local first = redis.call('XRANGE', stream, '-', '+', 'COUNT', 1)[1]
local floor = first and tonumber(string.match(first[1], '%d+')) - 1 or top
local reply, bytes = { epoch, top, floor }, 0
local function add(entry)
  reply[#reply + 1] = tonumber(string.match(entry[1], '%d+'))
  reply[#reply + 1] = entry[2][2]
  bytes = bytes + #entry[2][2]
end
local same = ARGV[2] == epoch
local at = back and (same and tonumber(ARGV[3]) - 1 or top) or math.max(floor, same and tonumber(ARGV[3]) or 0)
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
if ARGV[6] == '1' and floor < top then add(redis.call('XREVRANGE', stream, '+', '-', 'COUNT', 1)[1]) end
return reply`,
  2,
)

/** Begins a new epoch. KEYS: state, stream. ARGV: also the Redis channel, which hears of it as an entry with offset 0. */
export const REMOVE = new Script(
  `${CHANNEL}
local _, _, last, life = find(KEYS[1], KEYS[2])
redis.call('DEL', KEYS[2])
save(KEYS[1], ARGV[1], 0, last, life)
redis.call('PUBLISH', ARGV[2], ARGV[1] .. '\\n0 4\\n0 0\\n')
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

/**
 * Members, without those whose time is over.
 *
 * KEYS: times, infos and names of a channel, or of several to sweep. ARGV: what to do, then its own. Redis channels are the keys
 * of times without their ends. Under the empty name infos count what was told: from the microseconds of the first on, until
 * nobody is there. A sweep replies, for each channel, with the milliseconds to the next end, or -1, and that count or 0.
 */
export const PRESENCE = new Script(
  `${TIME}
local what, member = ARGV[1], ARGV[2]
local channel, times, infos, names
local function turnTo(first)
  times, infos, names = KEYS[first], KEYS[first + 1], KEYS[first + 2]
  channel = string.sub(times, 1, -3)
end
local function tell(kind, who, info, ttl)
  local count = redis.call('HINCRBY', infos, '', 1)
  if count == 1 then
    count = micros
    redis.call('HSET', infos, '', text(count))
  end
  local rest = redis.call('EXISTS', times)
  if rest == 0 then redis.call('DEL', infos) end
  local words = { kind, text(ttl), #who, text(count), rest }
  redis.call('PUBLISH', channel, table.concat(words, ' ') .. '\\n' .. who .. info)
end
local function drop(kind, who)
  local info = redis.call('HGET', infos, who)
  redis.call('ZREM', times, who)
  redis.call('ZREM', names, who)
  redis.call('HDEL', infos, who)
  tell(kind, who, info or '', 0)
end
local most = 1000
local function expire()
  local over = redis.call('ZRANGEBYSCORE', times, '-inf', text(now), 'LIMIT', 0, most)
  for _, who in ipairs(over) do drop('E', who) end
  most = most - #over
end
local function told() return tonumber(redis.call('HGET', infos, '') or 0) end
if what == 'sweep' then
  local reply = {}
  for first = 1, #KEYS, 3 do
    turnTo(first)
    expire()
    local next = redis.call('ZRANGE', times, 0, 0, 'WITHSCORES')[2]
    reply[#reply + 1] = next and math.max(0, tonumber(next) - now) or -1
    reply[#reply + 1] = told()
  end
  return reply
end
turnTo(1)
-- Renewals are many: whoever is over goes with what else is called, as with a sweep.
if what ~= 'refresh' then expire() end
if what == 'count' then return redis.call('ZCOUNT', times, '(' .. text(now), '+inf')
elseif what == 'members' then
  local limit = tonumber(ARGV[3])
  local page = redis.call('ZRANGEBYLEX', names, '(' .. member, '+', 'LIMIT', 0, limit)
  local listed = page
  -- More are over than were dropped.
  if most == 0 then
    listed = {}
    for _, who in ipairs(page) do
      if tonumber(redis.call('ZSCORE', times, who) or 0) > now then listed[#listed + 1] = who end
    end
  end
  local reply = { told(), #page == limit and page[limit] }
  if #listed == 0 then return reply end
  for at, info in ipairs(redis.call('HMGET', infos, unpack(listed))) do
    reply[#reply + 1] = listed[at]
    reply[#reply + 1] = info
  end
  return reply
end
local ends = tonumber(redis.call('ZSCORE', times, member) or 0)
local present = ends > now
if ends > 0 and not present then drop('E', member) end
if what == 'leave' then
  if present then drop('L', member) end
  return present and 1 or 0
end
local function extend(ttl)
  redis.call('ZADD', times, text(now + ttl), member)
  -- Whoever watches must find them to tell that they have gone. Set for longer, so as to be set seldom.
  if redis.call('PTTL', names) >= ttl + 300000 then return end
  for _, key in ipairs(KEYS) do redis.call('PEXPIREAT', key, text(now + ttl + 600000)) end
end
if what == 'join' then
  redis.call('HSET', infos, member, ARGV[4])
  redis.call('ZADD', names, 0, member)
  extend(tonumber(ARGV[3]))
  if not present then tell('J', member, ARGV[4], tonumber(ARGV[3])) end
  return present and 0 or 1
end
if present then extend(tonumber(ARGV[3])) end
return present and 1 or 0`,
  3,
)

/**
 * Who is in which places. KEYS: members by place, numbers by member, places of the member. ARGV: what to do, member, places or
 * a limit.
 *
 * Those in a place are a list, the owner first. Numbers are of places ('p' and the member) and of those owned ('o').
 */
export const OCCUPANCY = new Script(
  `
local places, counts, own, what, member = KEYS[1], KEYS[2], KEYS[3], ARGV[1], ARGV[2]
local reply = {}
local function add(to, text) to[#to + 1] = text end
local function count(kind, who, by)
  if redis.call('HINCRBY', counts, kind .. who, by) == 0 then redis.call('HDEL', counts, kind .. who) end
end
local function those(place)
  local packed = redis.call('HGET', places, place)
  return packed and cmsgpack.unpack(packed) or {}
end
local function enter(place)
  local there = those(place)
  if redis.call('SADD', own, place) == 1 then
    add(there, member)
    redis.call('HSET', places, place, cmsgpack.pack(there))
    count('p', member, 1)
    if #there == 1 then count('o', member, 1) end
  end
  if there[1] == member then add(reply, place) end
end
local function leave(place)
  if redis.call('SREM', own, place) == 0 then return end
  local there, rest = those(place), {}
  for _, who in ipairs(there) do
    if who ~= member then add(rest, who) end
  end
  if #rest == 0 then redis.call('HDEL', places, place)
  else redis.call('HSET', places, place, cmsgpack.pack(rest)) end
  count('p', member, -1)
  if there[1] ~= member then return end
  count('o', member, -1)
  if #rest == 0 then return end
  count('o', rest[1], 1)
  add(reply, place)
  add(reply, rest[1])
end
if what == 'enter' then
  for at = 3, #ARGV do enter(ARGV[at]) end
elseif what == 'leave' then
  for at = 3, #ARGV do leave(ARGV[at]) end
elseif what == 'evict' then
  for _, place in ipairs(redis.call('SRANDMEMBER', own, ARGV[3])) do leave(place) end
  table.insert(reply, 1, redis.call('SCARD', own))
else
  local numbers = {}
  local all = redis.call('HGETALL', counts)
  for at = 1, #all, 2 do numbers[all[at]] = all[at + 1] end
  for at = 1, #all, 2 do
    if string.sub(all[at], 1, 1) == 'p' then
      local who = string.sub(all[at], 2)
      add(reply, who)
      add(reply, all[at + 1])
      add(reply, numbers['o' .. who] or '0')
    end
  end
end
return reply`,
  3,
)

export const SCRIPTS = [PUBLISH, READ, REMOVE, SET, DELETE, GET, KEYS, LEASE, LIMIT, PRESENCE, OCCUPANCY]
