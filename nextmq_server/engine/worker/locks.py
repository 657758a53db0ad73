"""Locks that ended while Redis was out of reach: taken again, unless somebody else has started the job."""

from __future__ import annotations

import typing as t

from ..queues.job import EngineJob
from ..scripts.scripts import QueueScripts

# KEYS: the active list, the stalled jobs. ARGV: the key of the queue, the life of a lock in ms; the id, the token,
# the number of starts and the start time (ms) of each job. Returns the ids of the jobs that their token locks now:
# those that are active without another lock, and that nobody has started since.
_TAKE = """
local taken = {}
for i = 3, #ARGV, 4 do
  local job = ARGV[1] .. ARGV[i]
  local started = redis.call('HMGET', job, 'ats', 'processedOn')
  if (redis.call('GET', job .. ':lock') or ARGV[i + 1]) == ARGV[i + 1]
    and started[1] == ARGV[i + 2]
    and started[2] == ARGV[i + 3]
    and redis.call('LPOS', KEYS[1], ARGV[i])
  then
    redis.call('SET', job .. ':lock', ARGV[i + 1], 'PX', ARGV[2])
    redis.call('SREM', KEYS[2], ARGV[i])
    taken[#taken + 1] = ARGV[i]
  end
end
return taken
"""


async def take_again(scripts: QueueScripts, jobs: t.Iterable[EngineJob], lock_duration: int) -> set[str]:
    """Take the locks of jobs that were fetched here and lost them, if nobody has started the jobs since.

    Return the ids of those whose lock was taken. `lock_duration` is ms. Raises RedisError or ConnectionLost.
    """
    starts = [part for job in jobs for part in (job.id, job.token, job.attempts_started, job.processed_on)]
    keys = scripts.all_keys("active", "stalled")
    return set(await scripts.run_composed(_TAKE, keys, [scripts.keys[""], lock_duration, *starts]))
