"""From one run of a job scheduler to the next, with bullmq's JobScheduler."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import logging
import typing as t

from nextmq_handler.rules.cron import InvalidSchedule
from nextmq_handler.rules.log_text import one_line
from nextmq_handler.rules.scheduling import MAX_TRIES, NO_RUN, NO_TIME, Template, next_of_pattern

from ...redis.connection import ConnectionLost, RedisError
from ..scripts.packers import RepeatStrategy, job_scheduler, packers, short_names
from ..scripts.scripts import QueueScripts, as_function
from .job import EngineJob
from .jobs import WrongState

logger = logging.getLogger("nextmq_server.engine")

LAST_RUNS = "last-runs"
"""The name of the queue's key that holds for each scheduler the id of the job that was started last."""

_TAKEN, _BUSY = -10, -11

# BullMQ's script, with answers to the cases that it leaves open.
# KEYS: the 11 of addJobScheduler. ARGV: the 9 of addJobScheduler, then 1 to run the scheduler immediately or 0;
# what the keys of the queue's snapshots begin with.
_LUA = (
    as_function("addJobScheduler")
    + """
local id, prefix, wanted = ARGV[3], ARGV[8], cmsgpack.unpack(ARGV[2])
local key = KEYS[1] .. ':' .. id
local next_millis = redis.call('ZSCORE', KEYS[1], id)
local held = redis.call('HMGET', key, 'pattern', 'tz', 'every', 'offset', 'startDate')

local function job_at(millis) return 'repeat:' .. id .. ':' .. millis end
local function is_pending(job)
  if redis.call('ZSCORE', KEYS[2], job) or redis.call('ZSCORE', KEYS[6], job) then return true end
  local waiting = redis.call('HEXISTS', KEYS[5], 'paused') == 1 and KEYS[4] or KEYS[3]
  return redis.call('LPOS', waiting, job) and true
end

local same_start = tonumber(held[5]) == wanted['startDate']
if wanted['every'] then
  local is_moved = not same_start or (wanted['offset'] and tonumber(held[4]) ~= wanted['offset'])
  -- It starts again, as with another `every`. An offset belongs to the `every` that it was made for.
  if is_moved then redis.call('HDEL', key, 'every') end
  if is_moved or tonumber(held[3]) ~= wanted['every'] then redis.call('HDEL', key, 'offset') end
else
  local same = same_start and held[1] == wanted['pattern'] and (held[2] or nil) == wanted['tz']
  if next_millis and same and ARGV[10] == '0' and is_pending(job_at(next_millis)) then
    -- Only the template is new: a run that is due and waits must not move to the next time.
    local opts = cmsgpack.unpack(ARGV[6])
    opts['prevMillis'] = tonumber(next_millis)
    ARGV[1], ARGV[6] = next_millis, cmsgpack.pack(opts)
  elseif ARGV[1] ~= next_millis and redis.call('EXISTS', prefix .. job_at(ARGV[1])) == 1 then
    return -10 -- there was a run at this time before
  end
end
local answer = addJobScheduler(KEYS, ARGV)
-- What an earlier job at this time ended with is not this one's.
if type(answer) == 'table' then redis.call('DEL', ARGV[11] .. answer[1]) end
return answer
"""
)


class NotAdvanced(Exception):
    """Redis does not take a scheduler's next job at the moment."""


async def add(scripts: QueueScripts, id: str, repeat: dict[str, t.Any], template: Template) -> None:
    """Add a scheduler with its next job, or change the times and the template of an existing one.

    Raises InvalidSchedule, WrongState, RedisError or ConnectionLost.
    """

    async def add_scheduler(keys: t.Sequence[str], args: t.Sequence[t.Any]) -> t.Any:
        own = 1 if repeat.get("immediately") else 0, scripts.own_key("result", "")
        answer = await scripts.run_composed(_LUA, keys, [*args, *own])
        if answer == _TAKEN:
            raise _TimeTaken(int(args[0]))
        if answer == _BUSY:
            raise WrongState(NO_TIME)
        return answer

    packed = packers(scripts.prefix, scripts.queue, {"addJobScheduler": add_scheduler})
    opts = short_names(template.opts)
    after = 0
    for _ in range(MAX_TRIES):
        scheduler = job_scheduler(packed, _repeat_strategy(after))
        try:
            added = await scheduler.upsertJobScheduler(id, repeat, template.name, template.data, opts)
        except _TimeTaken as exc:
            [after] = exc.args
            continue
        if added is None:
            raise InvalidSchedule(NO_RUN)
        return
    raise WrongState(NO_TIME)


async def advance(scripts: QueueScripts, job: EngineJob) -> None:
    """Add the next job of the scheduler that added `job`, as BullMQ's workers do when they have fetched a job.

    Notes that `job` is the last one started. Adds nothing if it is not the scheduler's newest job. Raises
    NotAdvanced if Redis takes no writes now, or ConnectionLost. Logs an error if no other try can succeed.
    """
    id = job.scheduler_id
    assert id is not None
    opts = copy.deepcopy(job.opts)  # bullmq may change them
    repeat: dict[str, t.Any] = opts.get("repeat") or {}
    try:
        works = [_note_run(scripts, id, job)]
        if not _is_past_end(job, repeat):
            scheduler = job_scheduler(scripts.pack, _repeat_strategy(0))
            data = None  # the scheduler's own template has it
            following = scheduler.upsertJobScheduler(
                id, repeat, job.name, data, short_names(opts), override=False, producer_id=job.id
            )
            works.append(following)
        await asyncio.gather(*works)  # one round trip
    except ConnectionLost:
        raise
    except Exception as exc:  # another client may have written anything
        if isinstance(exc, RedisError) and not _is_for_good(exc):
            raise NotAdvanced(
                f"job scheduler {one_line(id)}: the job is retried later, as its next job cannot be added: {exc}"
            ) from exc
        logger.error(
            "queue %s: job scheduler %s has stopped, as its next job cannot be added: %s; add the scheduler again",
            scripts.queue,
            one_line(id),
            exc,
        )


async def _note_run(scripts: QueueScripts, id: str, job: EngineJob) -> None:
    """Note that `job` is the last one of the scheduler `id` that was started, if it starts for the first time."""
    if job.attempts_started == 1:
        with contextlib.suppress(RedisError):  # it is for people to see: the job runs without it
            await scripts.connection.execute("HSET", scripts.own_key(LAST_RUNS), id, job.id)


def _is_past_end(job: EngineJob, repeat: dict[str, t.Any]) -> bool:
    """Return whether the next run of an `every` scheduler comes after its end. BullMQ only looks at now."""
    every, end, due = repeat.get("every"), repeat.get("endDate"), job.id.rpartition(":")[2]
    return bool(every and end and due.isdecimal() and int(due) + every > end)


def _is_for_good(exc: RedisError) -> bool:
    """Return whether a script failed because of its arguments, and not because of the state of Redis."""
    return str(exc).startswith(("ERR", "WRONGTYPE")) and "OOM" not in str(exc)


def _repeat_strategy(after: int) -> RepeatStrategy:
    """Return what bullmq's class calls for the next time of a pattern: a time later than `after` (ms) too."""

    def next_millis(now: int, repeat: dict[str, t.Any]) -> int | None:
        if repeat.get("immediately"):
            return now
        run = next_of_pattern(repeat, max(now, after))
        return None if repeat.get("endDate") and run > repeat["endDate"] else run

    return next_millis


class _TimeTaken(Exception):
    """The scheduler had a job at this time (the argument, ms since the epoch) before."""
