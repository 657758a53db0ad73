"""How many jobs a queue has, and about how much of Redis's memory they use."""

from __future__ import annotations

import typing as t

from .jobs import Jobs

SAMPLES = 8
"""How many jobs of each state are measured."""

# KEYS: the queue's prefix. ARGV: SAMPLES. Returns the number of jobs and an estimate of their bytes: in each state
# some jobs, spread evenly, are measured with their logs and children.
_LUA = """
local samples, jobs, bytes = tonumber(ARGV[1]), 0, 0
local function size(key)
  local sum = 0
  for _, part in ipairs({'', ':logs', ':processed', ':dependencies', ':failed'}) do
    sum = sum + (redis.call('MEMORY', 'USAGE', key .. part) or 0)
  end
  return sum
end
local function measure(count, id_at)
  local taken, sum = math.min(count, samples), 0
  for i = 1, taken do
    local position = taken == 1 and 0 or math.floor((i - 1) * (count - 1) / (taken - 1))
    sum = sum + size(KEYS[1] .. (id_at(position) or ''))
  end
  jobs = jobs + count
  if taken > 0 then bytes = bytes + sum / taken * count end
end
for _, state in ipairs({'wait', 'paused', 'active'}) do
  local key = KEYS[1] .. state
  measure(redis.call('LLEN', key), function(i) return redis.call('LINDEX', key, i) end)
end
for _, state in ipairs({'delayed', 'prioritized', 'waiting-children', 'completed', 'failed'}) do
  local key = KEYS[1] .. state
  measure(redis.call('ZCARD', key), function(i) return redis.call('ZRANGE', key, i, i)[1] end)
end
bytes = bytes + (redis.call('MEMORY', 'USAGE', KEYS[1] .. 'events') or 0)
return {jobs, math.floor(bytes)}
"""


class Usage(t.NamedTuple):
    """A number of jobs, and about how many bytes they have in Redis."""

    jobs: int
    bytes: int

    def plus(self, other: Usage) -> Usage:
        """Return both together."""
        return Usage(self.jobs + other.jobs, self.bytes + other.bytes)


async def usage_of(jobs: Jobs, queue: str) -> Usage:
    """Return what the jobs of a queue use. Raises RedisError or ConnectionLost."""
    scripts = jobs.scripts(queue)
    return Usage(*await scripts.run_composed(_LUA, [scripts.keys[""]], [SAMPLES]))
