"""Suspects: jobs that the endpoint refused, perhaps for what is in them. A held queue is probed with other jobs.

A job is a suspect from its refusal until another delivery gets through. If it is refused again after that, the
refusal is about the job, not about the endpoint. Times are microseconds of Redis's clock, so that two differ.
"""

from __future__ import annotations

from nextmq_handler.rules.limits import DAY_MS

PATIENCE = 16
"""So many different jobs are probes before the pauses of a hold grow: each may be refused for its content."""

_MAX_SUSPECTS = 100
"""How many suspects a queue has at most. Older ones are forgotten and may be probes again."""

_LIFE = 2 * DAY_MS
"""How long (ms) suspects are remembered after the last refusal."""

# `suspect` makes a job a suspect. Returns whether it was none yet, whether the refusal is about the job, and how
# many suspects there are. `reached_ago` is ms, as one process knows it; the key `reached` is what all know.
SUSPECTS = f"""
local function suspect(suspects, reached, job, reached_ago)
  local micros = clock[1] * 1000000 + clock[2]
  local last = tonumber(redis.call('ZSCORE', suspects, job))
  local through = tonumber(redis.call('GET', reached)) or 0
  if reached_ago then through = math.max(through, micros - reached_ago * 1000) end
  local isAnother = not last or last < through
  if isAnother then
    redis.call('ZADD', suspects, string.format('%.0f', micros), job)
    redis.call('ZREMRANGEBYRANK', suspects, 0, -{_MAX_SUSPECTS + 1})
    redis.call('PEXPIRE', suspects, {_LIFE})
  end
  local others = redis.call('ZCOUNT', suspects, string.format('(%.0f', through), '+inf')
  return isAnother, last and last < through, others
end
"""

# `got_through` notes that another job's delivery had an outcome. Nothing is written if there are no suspects.
FORGET = f"""
local function got_through(suspects, reached, job)
  if redis.call('EXISTS', suspects) == 0 then return end
  redis.call('ZREM', suspects, job)
  redis.call('SET', reached, string.format('%.0f', clock[1] * 1000000 + clock[2]), 'PX', {_LIFE})
end
"""

# `probe_others` fetches a job that is not a suspect, or else, if `orSuspect`, the first suspect. The suspects are
# set aside within the script and keep their places in front: a hold does not change the order.
PROBE_OTHERS = """
local function probe_others(fetch, KEYS, orSuspect)
  local wait, prioritized, counter, suspects, reached = KEYS[1], KEYS[3], KEYS[10], KEYS[13], KEYS[14]
  local through = redis.call('GET', reached) or '0'
  local ids = redis.call('ZREVRANGEBYSCORE', suspects, '+inf', '(' .. through)
  local aside, count = {}, redis.call('GET', counter)
  for _, id in ipairs(ids) do
    local score = redis.call('ZSCORE', prioritized, id)
    if score then
      redis.call('ZREM', prioritized, id)
      aside[#aside + 1] = {id, score}
    elseif redis.call('LREM', wait, -1, id) == 1 then
      aside[#aside + 1] = {id}
    else
      redis.call('ZREM', suspects, id)  -- it does not wait any more
    end
  end
  local found = fetch()
  for _, job in ipairs(aside) do
    if job[2] then redis.call('ZADD', prioritized, job[2], job[1]) else redis.call('RPUSH', wait, job[1]) end
  end
  -- moveToActive removes the counter of priorities if no job has one.
  if count and redis.call('EXISTS', prioritized) == 1 then redis.call('SET', counter, count, 'NX') end
  if found[1] == 0 and orSuspect and #aside > 0 then return fetch() end
  return found
end
"""
