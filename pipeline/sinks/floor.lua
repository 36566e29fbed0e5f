-- Notes in the line's readers hash how far a group has read a stream, so that no more than that is trimmed.
--
-- KEYS  1 stream   2 readers hash      ARGV  1 group   2 field of the hash
-- Answers {the last entry up to which all are acked, oldest and newest id of the stream,
--          entries behind the first or -1 where nobody counts}
--         | nil where the stream or the group is not there

if redis.call('TYPE', KEYS[1]).ok ~= 'stream' then return nil end

local function named(reply)
  local fields = {}
  for i = 1, #reply, 2 do fields[reply[i]] = reply[i + 1] end
  return fields
end

local group
for _, reply in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
  local info = named(reply)
  if info['name'] == ARGV[1] then group = info end
end
if not group then return nil end

local stream = named(redis.call('XINFO', 'STREAM', KEYS[1]))
local pending = redis.call('XPENDING', KEYS[1], ARGV[1])
local floor = group['last-delivered-id']
if pending[1] > 0 then
  -- The entry before the oldest that is still worked on; where there is none, all is to be kept.
  local before = redis.call('XREVRANGE', KEYS[1], '(' .. pending[2], '-', 'COUNT', 1)[1]
  floor = before and before[1] or '0-0'
end
redis.call('HSET', KEYS[2], ARGV[2], floor)

local behind = -1
if floor == stream['last-generated-id'] or stream['length'] == 0 then
  behind = 0
elseif floor == '0-0' then
  behind = stream['length']
elseif type(group['lag']) == 'number' then -- from 7.0 on, and not always
  behind = group['lag'] + pending[1]
elseif group['last-delivered-id'] == stream['last-generated-id'] then
  behind = pending[1]
end
local first = stream['length'] > 0 and stream['first-entry'][1] or stream['last-generated-id']
return {floor, first, stream['last-generated-id'], behind}
