-- What one consumer group does with one stream, each command atomically: what is compared is what is then acted on.
--
-- KEYS  1 stream   2 for `bury`: the stream of dead letters
-- ARGV  1 command   2 group   then
--   open    start, later ('1': the stream was made after the group began)       -> last delivered id
--   take    consumer, count, known last id, id known to follow it                -> {'READ', last, next, entries}
--                                                                                   {'LOST', after, before, mark, ordinal}
--   settle  after, mark, ordinal: the loss told is behind the group              -> 1 if this call did it
--   claim   consumer, idle ms ('' = its own only), ids                           -> {{id, deliveries, fields or nothing}}
--   keep    consumer, ids: they are being worked on                              -> how many are still its own
--   release consumer, then id and deliveries to count for it, in turn: anybody may claim them at once
--   bury    consumer, maxlen, id, then field, value, ...: to the dead letters    -> 1 if it was still its own
--   leave   consumer, idle ms: forget it, and those idle for so long, where nothing is pending
-- And for one who reads without a group, which may be '':
--   peek    last id ('' = all kept, '$' = none of it), ordinal of it, id known to follow, count
--                                                                                -> {'READ', last, next, entries, ordinal}
--                                                                                   or LOST as above
-- Answers nothing (nil) where the stream or the group is not there.

local FOR_EVERYBODY_MS = 2592000000 -- 30 days: longer than anybody waits before he claims

local key, command, group = KEYS[1], ARGV[1], ARGV[2]

-- Ids are compared and counted as text: a sequence number may be longer than Lua's doubles can tell.
local function split(id)
  local ms, seq = string.match(id, '^(%d+)-(%d+)$')
  return ms or id, seq or '0'
end

local function longer(a, b)
  if #a ~= #b then return #a > #b end
  return a > b
end

local function above(a, b)
  local a_ms, a_seq = split(a)
  local b_ms, b_seq = split(b)
  if a_ms ~= b_ms then return longer(a_ms, b_ms) end
  return longer(a_seq, b_seq)
end

local function less_one(digits)
  local head, digit, zeros = string.match(digits, '^(%d-)([1-9])(0*)$')
  local text = head .. tostring(tonumber(digit) - 1) .. string.rep('9', #zeros)
  return (string.gsub(text, '^0+(%d)', '%1'))
end

local function before(id)
  local ms, seq = split(id)
  if seq ~= '0' then return ms .. '-' .. less_one(seq) end
  if ms == '0' then return '0-0' end
  return less_one(ms) .. '-18446744073709551615'
end

local function named(reply)
  local fields = {}
  for i = 1, #reply, 2 do fields[reply[i]] = reply[i + 1] end
  return fields
end

local function stream_now()
  if redis.call('TYPE', key).ok ~= 'stream' then return nil end
  local info = named(redis.call('XINFO', 'STREAM', key))
  return {
    length = info['length'],
    newest = info['last-generated-id'],
    first = info['length'] > 0 and info['first-entry'][1] or nil,
    added = info['entries-added'], -- nil before 7.0
  }
end

local function group_now()
  for _, reply in ipairs(redis.call('XINFO', 'GROUPS', key)) do
    local info = named(reply)
    if info['name'] == group then
      local read = info['entries-read']
      return {last = info['last-delivered-id'], read = read ~= false and read or nil}
    end
  end
end

-- The id behind which all that is kept stands, and how many entries ever stood before that.
local function edge(stream)
  local id = stream.first and before(stream.first) or stream.newest
  return id, stream.added and stream.added - stream.length
end

local function set(verb, id, read)
  local counted = read and {'ENTRIESREAD', read} or {}
  redis.call('XGROUP', verb, key, group, id, unpack(counted))
end

local function open(stream, start, later)
  local id, read = edge(stream)
  if start == '$' or start == stream.newest then
    id, read = stream.newest, stream.added
  elseif above(start, stream.newest) and later then
    if stream.added then id, read = '0-0', 0 end -- the stream began anew
  elseif above(start, id) then
    id, read = start, nil
  elseif later and stream.added and start ~= id then
    id, read = start, 0 -- what was trimmed is found lost when it is read
  end
  set('CREATE', id, read)
  return id
end

-- What was trimmed before the group had read it. From 7.0 on the server counts entries; before, it can only be told
-- that the one read last is gone too, and sometimes that the first one kept was known to follow it.
local function lost(stream, at, known_last, known_next)
  local mark, ordinal = edge(stream)
  if not above(mark, at.last) then return nil end
  if stream.added and (at.read or at.last == '0-0' or ordinal == 0) then
    if ordinal <= (at.read or 0) then return nil end
  elseif at.last == '0-0' or (at.last == known_last and stream.first == known_next) then
    return nil
  end
  return {'LOST', at.last, stream.first or '', mark, ordinal or ''}
end

-- The answer that holds the entries, and the id known to follow the last of them.
local function read(entries, last, count)
  last = #entries > 0 and entries[#entries][1] or last
  local following = #entries == tonumber(count) and redis.call('XRANGE', key, '(' .. last, '+', 'COUNT', 1)[1]
  return {'READ', last, following and following[1] or '', entries}
end

local function take(stream, at, consumer, count, known_last, known_next)
  local gone = lost(stream, at, known_last, known_next)
  if gone then return gone end
  local got = redis.call('XREADGROUP', 'GROUP', group, consumer, 'COUNT', count, 'STREAMS', key, '>')
  return read(got and got[1] and got[1][2] or {}, at.last, count)
end

local function peek(stream, last, ordinal, known_next, count)
  local at = {last = last, read = tonumber(ordinal)}
  if last == '' then at.last, at.read = edge(stream) end
  if last == '$' then at.last, at.read = stream.newest, stream.added end
  if above(at.last, stream.newest) then at.last, at.read = '0-0', 0 end -- the stream began anew
  if at.read and stream.added and at.read > stream.added then at.read = nil end
  local gone = lost(stream, at, last, known_next)
  if gone then return gone end
  local answer = read(redis.call('XRANGE', key, '(' .. at.last, '+', 'COUNT', count), at.last, count)
  local all = not above(stream.newest, answer[2])
  answer[5] = all and stream.added or at.read and at.read + #answer[4] or ''
  return answer
end

-- {owner, idle ms, deliveries}, or nil where it is not pending.
local function pending(id)
  local found = redis.call('XPENDING', key, group, id, id, 1)[1]
  return found and {owner = found[2], idle = found[3], deliveries = found[4]}
end

local function claim(consumer, idle, first)
  local claimed = {}
  for i = first, #ARGV do
    local id = ARGV[i]
    local held = pending(id)
    local due = held and (idle == '' and held.owner == consumer or idle ~= '' and held.idle >= tonumber(idle))
    if due then
      local entry = redis.call('XRANGE', key, id, id)[1]
      if entry then redis.call('XCLAIM', key, group, consumer, 0, id) end
      claimed[#claimed + 1] = {id, held.deliveries + 1, entry and entry[2]}
    end
  end
  return claimed
end

-- From 7.0 on XCLAIM forgets an entry that was trimmed: nobody would ever be told of it.
local function can_be_set(stream, id, consumer)
  local held = pending(id)
  return held and held.owner == consumer and (not stream.added or #redis.call('XRANGE', key, id, id) > 0)
end

local function keep(stream, consumer, first)
  local kept = 0
  for i = first, #ARGV do
    if can_be_set(stream, ARGV[i], consumer) then
      redis.call('XCLAIM', key, group, consumer, 0, ARGV[i], 'JUSTID')
      kept = kept + 1
    end
  end
  return kept
end

local function release(stream, consumer, first)
  for i = first, #ARGV, 2 do
    if can_be_set(stream, ARGV[i], consumer) then
      local counted = {'IDLE', FOR_EVERYBODY_MS, 'RETRYCOUNT', ARGV[i + 1], 'JUSTID'}
      redis.call('XCLAIM', key, group, consumer, 0, ARGV[i], unpack(counted))
    end
  end
end

local function bury(consumer, maxlen, id, fields)
  local held = pending(id)
  if not held or held.owner ~= consumer then return 0 end
  redis.call('XADD', KEYS[2], 'MAXLEN', '~', maxlen, '*', unpack(fields)) -- first: what can fail
  return redis.call('XACK', key, group, id)
end

local function leave(consumer, idle)
  for _, reply in ipairs(redis.call('XINFO', 'CONSUMERS', key, group)) do
    local info = named(reply)
    if info['pending'] == 0 and (info['name'] == consumer or info['idle'] > tonumber(idle)) then
      redis.call('XGROUP', 'DELCONSUMER', key, group, info['name'])
    end
  end
end

local stream = stream_now()
if not stream then return nil end
if command == 'peek' then
  return peek(stream, ARGV[3], ARGV[4], ARGV[5], ARGV[6])
end
local at = group_now()
if command == 'open' then
  return at and at.last or open(stream, ARGV[3], ARGV[4] == '1')
elseif not at then
  return nil
elseif command == 'take' then
  return take(stream, at, ARGV[3], ARGV[4], ARGV[5], ARGV[6])
elseif command == 'settle' then
  if at.last ~= ARGV[3] then return 0 end
  set('SETID', ARGV[4], ARGV[5] ~= '' and ARGV[5])
  return 1
elseif command == 'claim' then
  return claim(ARGV[3], ARGV[4], 5)
elseif command == 'keep' then
  return keep(stream, ARGV[3], 4)
elseif command == 'release' then
  return release(stream, ARGV[3], 4)
elseif command == 'bury' then
  return bury(ARGV[3], ARGV[4], ARGV[5], {unpack(ARGV, 6)})
elseif command == 'leave' then
  return leave(ARGV[3], ARGV[4])
end
