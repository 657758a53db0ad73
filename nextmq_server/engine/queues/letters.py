"""The dead letters of a job, in one more field of BullMQ's hash of the job: if it runs again, they go away."""

from __future__ import annotations

import json
import typing as t

from nextmq_handler.protocol.strict_json import compact

from ..scripts.scripts import QueueScripts, as_function
from .adding import JobToAdd
from .job import EngineJob

FIELD = "nextmq:letters"
"""The field of a job's hash that lists its dead letters, the newest last: what the keys of each one's queue begin
with, and its id.
"""

MAX_LETTERS = 10
"""How many dead letters a job lists. It has more than one only if another client retried it."""

LETTERS = (
    as_function("removeJob")
    + f"""
local function letters_of(job)
  local stored = redis.call('HGET', job, '{FIELD}')
  local is_json, letters = pcall(cjson.decode, stored or '[]')
  return is_json and type(letters) == 'table' and letters or {{}}
end

-- Remove the dead letters of a job that runs again. One that a worker processes stays.
local function take_letters(job)
  local kept = {{}}
  for _, letter in ipairs(letters_of(job)) do
    local queue, id = letter[1], letter[2]
    local is_busy = redis.call('EXISTS', queue .. id .. ':lock') == 1 or redis.call('LPOS', queue .. 'active', id)
    if is_busy or redis.call('ZSCORE', queue .. 'waiting-children', id) then
      table.insert(kept, letter)
    else
      removeJob({{queue .. id, queue .. 'repeat'}}, {{id, '0', queue}})
    end
  end
  if #kept > 0 then
    redis.call('HSET', job, '{FIELD}', cjson.encode(kept))
  else
    redis.call('HDEL', job, '{FIELD}')
  end
  return kept
end
"""
)
"""Lua functions over the dead letters of a job."""

# KEYS: the job.
_TAKE = f"{LETTERS}return cjson.encode(take_letters(KEYS[1]))"


def has_letters(job: EngineJob) -> bool:
    """Return whether the job has dead letters of earlier runs."""
    return FIELD in job.fields


def with_letter(job: EngineJob, dead_letter: JobToAdd) -> str:
    """Return the field of the job's hash with one more dead letter."""
    earlier: list[t.Any] = json.loads(job.fields.get(FIELD) or "[]")
    letter = [f"{dead_letter.prefix}:{dead_letter.queue}:", dead_letter.job_id]
    return compact([*earlier, letter][-MAX_LETTERS:])


async def take_letters(scripts: QueueScripts, job: EngineJob) -> None:
    """Remove the dead letters of a job that another client retried: the failure has been dealt with.

    Raises RedisError or ConnectionLost.
    """
    kept: str = await scripts.run_composed(_TAKE, [scripts.key(job.id)], [])
    job.fields[FIELD] = "[]" if kept == "{}" else kept  # Lua's empty table is either
