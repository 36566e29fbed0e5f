-- One camera's batch: compare the stored cursor with the one the writer built on, then write all or nothing.
--
-- KEYS  1 cursor hash   2 detections   3 events   4 inspections   5 readers hash     (one hash tag: one slot on a cluster)
-- ARGV  1 prev ('' = none)   2 new   3 '1' if a checkpoint comes   4 checkpoint
--       5 capture time of the frame at `new`, Unix seconds ('' = unknown)   6 hard limit in MAXLENs
--       7-9 MAXLEN of the streams   10-12 number of entries for each   then message_id, data for each entry
-- Answers {'WRITTEN', new, then stream, group for each that lost entries unread} | {'ALREADY', stored}
--       | {'CONFLICT', stored or ''}

local function split(cursor)
  return string.match(cursor, '^(.*)|(%d+)|(%d+)$')
end

-- Zero-padded digits as numbers: Lua's doubles would lose the last digits of a long one.
local function compare(a, b)
  if #a ~= #b then
    a = string.rep('0', #b - #a) .. a
    b = string.rep('0', #a - #b) .. b
  end
  if a == b then return 0 end
  return a < b and -1 or 1
end

local prev, new = ARGV[1], ARGV[2]
local source, major, minor = split(new)
if not source then
  return redis.error_reply('RAYLINE cursor is not source|major|minor')
end

-- A script is not rolled back: what could fail half-way must be found before the first write.
for i = 1, 5 do
  local kind = redis.call('TYPE', KEYS[i]).ok
  if kind ~= 'none' and kind ~= ((i == 1 or i == 5) and 'hash' or 'stream') then
    return redis.error_reply('RAYLINE ' .. KEYS[i] .. ' holds a ' .. kind)
  end
end

local stored = redis.call('HGET', KEYS[1], 'cursor') or ''
local stored_source, stored_major, stored_minor = split(stored)
if stored_source == source then
  local by_major = compare(stored_major, major)
  if by_major > 0 and source == 'live' then
    return {'CONFLICT', stored} -- an older epoch: this writer was replaced, nothing of its has landed
  end
  if by_major > 0 or (by_major == 0 and compare(stored_minor, minor) >= 0) then
    return {'ALREADY', stored}
  end
end
if stored ~= prev then
  return {'CONFLICT', stored}
end

redis.call('HSET', KEYS[1], 'cursor', new, 'captured_at', ARGV[5])
if ARGV[3] == '1' then
  redis.call('HSET', KEYS[1], 'checkpoint', ARGV[4], 'checkpoint_at', new)
end
local answer = {'WRITTEN', new}
local at = 13
for stream = 1, 3 do
  local key, maxlen, entries = KEYS[stream + 1], tonumber(ARGV[6 + stream]), tonumber(ARGV[9 + stream])
  for _ = 1, entries do
    redis.call('XADD', key, '*', 'message_id', ARGV[at], 'data', ARGV[at + 1])
    at = at + 2
  end
  local cut = entries > 0 and trim(key, KEYS[5], maxlen, maxlen * tonumber(ARGV[6]))
  if cut then
    answer[#answer + 1] = key
    answer[#answer + 1] = cut
  end
end
return answer
