"""Retry finished jobs: in the same step they lose what their end left, its snapshot and its dead letter."""

from __future__ import annotations

from ..scripts.scripts import QueueScripts, as_function
from .letters import LETTERS
from .snapshots import snapshot_key

RETRY_KEYS = ("wait", "meta", "active", "marker", "prioritized", "pc")
"""The queue's keys that reprocessJob takes, after the job, the events and the set of finished jobs."""

RETRY = (
    LETTERS
    + as_function("reprocessJob")
    + """
local function retry(KEYS, ARGV, snapshot)
  local answer = reprocessJob(KEYS, ARGV)
  if answer ~= 1 then return answer end
  redis.call('DEL', snapshot)
  take_letters(KEYS[1])
  return answer
end
"""
)
"""The Lua function `retry`: reprocessJob, which then removes the job's snapshot and its dead letters."""

# KEYS: the 9 of reprocessJob, the snapshot. ARGV: the 6 of reprocessJob; the job's new data, if it gets any.
RETRY_ONE = (
    RETRY
    + """
local answer = retry(KEYS, ARGV, KEYS[10])
if answer == 1 and ARGV[7] then redis.call('HSET', KEYS[1], 'data', ARGV[7]) end
return answer
"""
)
"""The script that retries a job. Its keys are those of `retry_call`, and the job's snapshot."""

# KEYS: the 8 of moveJobsToWait. ARGV: the 3 of moveJobsToWait; what the keys of the queue's snapshots begin with.
RETRY_MANY = (
    LETTERS
    + as_function("moveJobsToWait")
    + """
local ids = redis.call('ZRANGEBYSCORE', KEYS[3], 0, ARGV[2], 'LIMIT', 0, ARGV[1])
local answer = moveJobsToWait(KEYS, ARGV)
for _, id in ipairs(ids) do
  redis.call('DEL', ARGV[4] .. id)
  take_letters(KEYS[1] .. id)
end
return answer
"""
)
"""The script that retries the jobs that ended in a state before a time. Its call is `retry_many_call`."""


def retry_call(
    scripts: QueueScripts, job_id: str, state: str, *, is_next: bool, resets: tuple[bool, bool]
) -> tuple[list[str], list[str | int]]:
    """Return keys and arguments of reprocessJob for a job that ended in `state`.

    `is_next` puts it before the other jobs; `resets`: whether its attempts, and its starts, count from 0 again.
    """
    keys = [scripts.key(job_id), *scripts.all_keys("events", state, *RETRY_KEYS)]
    result = "failedReason" if state == "failed" else "returnvalue"
    return keys, [job_id, "RPUSH" if is_next else "LPUSH", result, state, *map(int, resets)]


async def retry(
    scripts: QueueScripts,
    job_id: str,
    state: str,
    *,
    is_next: bool,
    resets: tuple[bool, bool],
    data: str | None = None,
) -> int:
    """Put a job that ended in `state` back, as `retry_call` says, with new `data` if that is given as JSON.

    Return the answer of reprocessJob. Raises RedisError or ConnectionLost.
    """
    keys, args = retry_call(scripts, job_id, state, is_next=is_next, resets=resets)
    changed = [] if data is None else [data]
    return int(await scripts.run_composed(RETRY_ONE, [*keys, snapshot_key(scripts, job_id)], [*args, *changed]))


async def retry_many(scripts: QueueScripts, state: str, before: int, limit: int) -> bool:
    """Put back up to `limit` jobs that ended in `state` before `before`, ms since the epoch.

    Return whether there may be more. Raises RedisError or ConnectionLost.
    """
    return bool(await scripts.run_composed(RETRY_MANY, *retry_many_call(scripts, state, before, limit)))


def retry_many_call(
    scripts: QueueScripts, state: str, before: int, limit: int
) -> tuple[list[str], list[str | int]]:
    """Return keys and arguments of RETRY_MANY, for what `retry_many` takes."""
    keys = scripts.all_keys("", "events", state, "wait", "paused", "meta", "active", "marker")
    return keys, [limit, before, state, scripts.own_key("result", "")]
