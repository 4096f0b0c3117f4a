"""What Redis does at one stroke. Times are microseconds, whole numbers, which a double holds until the year 2255.

Each takes `now` first: "" for the server's own clock, as those of nodes differ; a number in tests. Every key has a time
to live, so that what counts no more leaves by itself.
"""

_NOW = """
local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000000 + time[2]
end
local function live_until(key, at)  -- never shortened: the time to live is of the whole key
  local left = math.ceil((at - now) / 1000)
  if redis.call('PTTL', key) < left then redis.call('PEXPIRE', key, left) end
end
"""

# As `identity.throttle.admission` and MemoryCounters.reserve. KEYS: the index of live keys by their end, the mark of a
# history, which a server that lost its data has no more, then the logs.
# A log is a sorted set: `stamp:1` (a brake's gap was kept before it) or `stamp:0`, by when it was.
# ARGV: now, stamp, most keys, keys to sweep; for each log: first, longest and memory of its brake (0: none), how many
# windows, and the limit and length of each. Answers the wait (0 = reserved, -1 = there is no room), and the mark.
RESERVE = (
    _NOW
    + """
local index, stamp, most = KEYS[1], ARGV[2], tonumber(ARGV[3])
redis.call('SET', KEYS[2], stamp, 'NX')
local history = redis.call('GET', KEYS[2])
live_until(KEYS[2], now + 2592000000000)  -- thirty days without an attempt
for _, mark in ipairs({':0', ':1'}) do  -- sent again, as its answer was lost: it holds already
  if redis.call('ZSCORE', KEYS[3], stamp .. mark) then return {0, history} end
end
local dead = redis.call('ZRANGEBYSCORE', index, '-inf', now, 'LIMIT', 0, ARGV[4])
if #dead > 0 then redis.call('ZREM', index, unpack(dead)) end
local at, wait, fresh, marks, lives = 5, 0, 0, {}, {}
for n = 3, #KEYS do
  local first, longest, memory = tonumber(ARGV[at]), tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  local windows = tonumber(ARGV[at + 3])
  at = at + 4
  local uses = redis.call('ZRANGE', KEYS[n], 0, -1, 'WITHSCORES')
  local count, mine, life = #uses / 2, 0, 0
  for _ = 1, windows do
    local limit, length = tonumber(ARGV[at]), tonumber(ARGV[at + 1])
    at = at + 2
    if count >= limit then mine = math.max(mine, uses[2 * (count - limit + 1)] + length - now) end
    life = math.max(life, length)
  end
  local slowed = false
  if memory > 0 then
    local doublings = 0
    for i = 1, count do
      if string.sub(uses[2 * i - 1], -1) == '1' and uses[2 * i] + memory > now then doublings = doublings + 1 end
    end
    if mine > 0 or doublings > 0 then
      slowed = true
      local gap = math.min(first * 2 ^ math.min(doublings, 64), longest)
      mine = math.max(0, uses[2 * count] + gap - now)
    end
  end
  local ends = now + (slowed and memory or life)
  for i = 1, count do
    local its = uses[2 * i] + ((string.sub(uses[2 * i - 1], -1) == '1') and memory or life)
    if its <= now then redis.call('ZREM', KEYS[n], uses[2 * i - 1]) end
    ends = math.max(ends, its)
  end
  wait = math.max(wait, mine)
  marks[n], lives[n] = slowed and ':1' or ':0', ends
  if not redis.call('ZSCORE', index, KEYS[n]) then fresh = fresh + 1 end
end
if wait > 0 then return {wait, history} end
if fresh > 0 and redis.call('ZCARD', index) + fresh > most then return {-1, history} end
for n = 3, #KEYS do
  redis.call('ZADD', KEYS[n], now, stamp .. marks[n])
  redis.call('ZADD', index, lives[n], KEYS[n])
  live_until(KEYS[n], lives[n])
  live_until(index, lives[n])
end
return {0, history}
"""
)

# KEYS: the index, then the logs. ARGV: stamp.
GIVE_BACK = """
for n = 2, #KEYS do
  redis.call('ZREM', KEYS[n], ARGV[1] .. ':0', ARGV[1] .. ':1')
  if redis.call('EXISTS', KEYS[n]) == 0 then redis.call('ZREM', KEYS[1], KEYS[n]) end
end
return 0
"""

# KEYS: the index, then the logs.
CLEAR = """
for n = 2, #KEYS do
  redis.call('DEL', KEYS[n])
  redis.call('ZREM', KEYS[1], KEYS[n])
end
return 0
"""

# KEYS: an account's networks, by the last login there. ARGV: now, network, how many are kept, for how long.
REMEMBER = (
    _NOW
    + """
local last = redis.call('ZREVRANGE', KEYS[1], 0, 0, 'WITHSCORES')[2]
redis.call('ZADD', KEYS[1], last and math.max(now, last + 1) or now, ARGV[2])  -- the newest, whatever the clock says
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -1 - tonumber(ARGV[3]))
live_until(KEYS[1], now + tonumber(ARGV[4]))
return 0
"""
)

# KEYS, ARGV: as before. 1 where it is known.
KNOWS = (
    _NOW
    + """
local at = redis.call('ZSCORE', KEYS[1], ARGV[2])
return (at and at + tonumber(ARGV[4]) > now) and 1 or 0
"""
)

# KEYS: the calls of one quota's key. ARGV: now, stamp, limit, length of the window.
# Answers: 1 where the window is full, the calls in it, and the time until the oldest leaves it.
CALL = (
    _NOW
    + """
local limit, length = tonumber(ARGV[3]), tonumber(ARGV[4])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - length)
local count, full = redis.call('ZCARD', KEYS[1]), 1
if count < limit then
  redis.call('ZADD', KEYS[1], now, ARGV[2])
  live_until(KEYS[1], now + length)
  count, full = count + 1, 0
end
local oldest = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')[2]
return {full, count, oldest + length - now}
"""
)

# KEYS: the number of the last batch of this process; then uses of one limit, each a hash of counts by the number of a
# part of its window. ARGV: microseconds of a part; the number of this batch, higher than all before it, and the same
# when it is sent again, as its answer was lost; for each key: how many parts, and the number and count of each. Answers
# the time, and all counts of each key.
# A window has ten parts, and reaches into an eleventh; one node's clock may be a part ahead.
USES = """
local time = redis.call('TIME')
local now, part, number, at, found = time[1] * 1000000 + time[2], tonumber(ARGV[1]), tonumber(ARGV[2]), 3, {}
local oldest, life = math.floor(now / part) - 12, math.ceil(part * 13 / 1000)
local fresh = tonumber(redis.call('GET', KEYS[1]) or 0) < number
if fresh then redis.call('SET', KEYS[1], ARGV[2], 'PX', life) end
found[1] = {now}
for n = 2, #KEYS do
  local parts = tonumber(ARGV[at])
  at = at + 1
  for _ = 1, parts do
    if fresh then redis.call('HINCRBY', KEYS[n], ARGV[at], ARGV[at + 1]) end
    at = at + 2
  end
  redis.call('PEXPIRE', KEYS[n], life)
  local all, live = redis.call('HGETALL', KEYS[n]), {}
  for i = 1, #all, 2 do
    if tonumber(all[i]) < oldest then
      redis.call('HDEL', KEYS[n], all[i])
    else
      live[#live + 1], live[#live + 2] = tonumber(all[i]), tonumber(all[i + 1])
    end
  end
  found[n] = live
end
return found
"""

# KEYS: one that nobody else writes.
PROBE = """
redis.call('SET', KEYS[1], '1', 'PX', 1000)
return 1
"""
