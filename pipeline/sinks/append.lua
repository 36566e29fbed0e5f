-- Messages that no frame stands behind, to one stream.
--
-- KEYS  1 stream   2 readers hash      ARGV  1 MAXLEN   2 hard limit   then message_id, data for each entry
-- Answers the group that lost entries unread, or nil

for i = 1, 2 do
  local kind = redis.call('TYPE', KEYS[i]).ok
  if kind ~= 'none' and kind ~= (i == 2 and 'hash' or 'stream') then
    return redis.error_reply('RAYLINE ' .. KEYS[i] .. ' holds a ' .. kind)
  end
end
for at = 3, #ARGV, 2 do
  redis.call('XADD', KEYS[1], '*', 'message_id', ARGV[at], 'data', ARGV[at + 1])
end
return trim(KEYS[1], KEYS[2], tonumber(ARGV[1]), tonumber(ARGV[2]))
