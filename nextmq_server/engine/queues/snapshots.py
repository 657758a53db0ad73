"""Snapshots: the results of jobs that may be removed once they have finished, for those who wait for them."""

from __future__ import annotations

import typing as t

from nextmq_handler.rules.results import JobResult

from ..scripts.scripts import QueueScripts, as_function
from .job import EngineJob

# KEYS: the 2 of removeJob. ARGV: the 3 of removeJob; what the keys of the project's jobs begin with, and those of
# its snapshots.
REMOVE = (
    as_function("removeJob")
    + """
local prefix, snapshots = ARGV[4], ARGV[5]
local family = {KEYS[1]}
if ARGV[2] == '1' then
  local known, i = {[KEYS[1]] = true}, 1
  while family[i] do
    local job = family[i]
    for _, part in ipairs({'dependencies', 'processed', 'failed', 'unsuccessful'}) do
      local key, found = job .. ':' .. part, {}
      local kind = redis.call('TYPE', key).ok
      if kind == 'set' then found = redis.call('SMEMBERS', key) end
      if kind == 'hash' then found = redis.call('HKEYS', key) end
      if kind == 'zset' then found = redis.call('ZRANGE', key, 0, -1) end
      for _, child in ipairs(found) do
        if not known[child] then table.insert(family, child) end
        known[child] = true
      end
    end
    i = i + 1
  end
end
local removed = removeJob(KEYS, ARGV)
if removed ~= 1 then return removed end
for _, job in ipairs(family) do
  if job:sub(1, #prefix) == prefix then redis.call('DEL', snapshots .. job:sub(#prefix + 1)) end
end
return removed
"""
)
"""The script that removes a job and the snapshots of all jobs that go with it. Its call is `remove_call`."""


def snapshot_key(scripts: QueueScripts, job_id: str) -> str:
    """Return the key of the job's snapshot."""
    return scripts.own_key("result", job_id)


def result_of(
    job: EngineJob,
    state: t.Literal["completed", "failed"],
    finished_on: int,
    *,
    return_value: t.Any = None,
    reason: str | None = None,
    stacktrace: list[str] | None = None,
) -> JobResult:
    """Return what the API shows of a job that ends at `finished_on`, ms since the epoch."""
    # A completed job goes on to show how earlier attempts failed.
    return {
        "state": state,
        "returnValue": return_value,
        "failedReason": job.fields.get("failedReason") if reason is None else reason,
        "stacktrace": job.stacktrace if stacktrace is None else stacktrace,
        "finishedOn": finished_on,
    }


async def remove(scripts: QueueScripts, job_id: str, *, with_children: bool) -> int:
    """Remove a job by hand, and the snapshots of all jobs that go with it. Return the answer of removeJob.

    Raises RedisError or ConnectionLost.
    """
    call = remove_call(scripts, job_id, with_children=with_children)
    return int(await scripts.run_composed(REMOVE, *call))


def remove_call(scripts: QueueScripts, job_id: str, *, with_children: bool) -> tuple[list[str], list[str | int]]:
    """Return keys and arguments of REMOVE."""
    keys = [scripts.key(job_id), scripts.keys["repeat"]]
    snapshots = scripts.own_prefix("result")
    return keys, [job_id, int(with_children), scripts.keys[""], f"{scripts.prefix}:", snapshots]
