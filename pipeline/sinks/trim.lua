-- Trimming a stream to about `maxlen`, never past a registered reader until the stream holds `hard` entries.
-- Stands in front of the scripts that write. Of a line's readers hash a field is `KIND|GROUP` (the group reads every
-- stream of the kind) or `KIND:CAMERA|GROUP`; its value is the last entry the group is completely through with.

local SLACK = 100 -- entries over `maxlen` before anything is done: most writes ask for the length and no more
local UNREAD = '0-0'

local function is_earlier(a, b)
  local a_ms, a_seq = string.match(a, '^(%d+)%-(%d+)$')
  local b_ms, b_seq = string.match(b, '^(%d+)%-(%d+)$')
  if a_ms ~= b_ms then return tonumber(a_ms) < tonumber(b_ms) end
  return tonumber(a_seq) < tonumber(b_seq)
end

-- The entry that all registered groups are through with, and the group that holds it; nil where nobody is registered.
local function slowest(key, readers)
  local stream = string.match(key, '}:(.*)$')
  local kind = string.match(stream, '^[^:]*')
  local floors = {}
  local fields = redis.call('HGETALL', readers)
  for i = 1, #fields, 2 do
    local of, group = string.match(fields[i], '^([^|]*)|(.*)$')
    if of == stream then
      floors[group] = string.match(fields[i + 1], '^%d+%-%d+$') or UNREAD
    elseif of == kind and not floors[group] then
      floors[group] = UNREAD
    end
  end
  local floor, holder
  for group, through in pairs(floors) do
    if not floor or is_earlier(through, floor) then
      floor, holder = through, group
    end
  end
  return floor, holder
end

-- The group that lost entries it was not through with, or nil.
local function trim(key, readers, maxlen, hard)
  local excess = redis.call('XLEN', key) - maxlen
  if excess < SLACK then return nil end
  local floor, holder = slowest(key, readers)
  if not floor then
    redis.call('XTRIM', key, 'MAXLEN', '~', maxlen)
    return nil
  end
  redis.call('XTRIM', key, 'MINID', '~', floor, 'LIMIT', excess)
  if redis.call('XLEN', key) <= hard then return nil end
  local unread = redis.call('XRANGE', key, '(' .. floor, '+', 'COUNT', 1)[1] -- what is read may still stand before it
  redis.call('XTRIM', key, 'MAXLEN', hard)
  local first = redis.call('XRANGE', key, '-', '+', 'COUNT', 1)[1]
  return unread and (not first or is_earlier(unread[1], first[1])) and holder or nil
end
