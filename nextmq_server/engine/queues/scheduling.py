"""From one run of a job scheduler to the next: bullmq's JobScheduler over our connection."""

from __future__ import annotations

import logging
import typing as t

from bullmq import job_scheduler as bullmq_scheduler
from bullmq import scripts as bullmq_packers

from nextmq_handler.rules.cron import InvalidSchedule, next_run
from nextmq_handler.rules.schedules import Template

from ...redis.connection import ConnectionLost, RedisError
from ..scripts.scripts import QueueScripts, ScriptRunner, as_function
from .job import EngineJob, short_names
from .jobs import WrongState

logger = logging.getLogger("nextmq_server.engine")

SCRIPT = "nextmqUpsertScheduler"

_TAKEN, _BUSY = -10, -11
_MAX_TRIES = 32
_NO_SLOT = "has had jobs at its next times already: remove those, or choose another id"

_class: t.Callable[..., t.Any] = t.cast("t.Any", bullmq_scheduler).JobScheduler

# BullMQ's script, and what it leaves to chance. Its own keys and arguments, then whether it shall run immediately.
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
  -- It starts anew, as it does where `every` is another one; an offset is of the `every` that it was made for.
  if is_moved then redis.call('HDEL', key, 'every') end
  if is_moved or tonumber(held[3]) ~= wanted['every'] then redis.call('HDEL', key, 'offset') end
else
  local same = same_start and held[1] == wanted['pattern'] and (held[2] or nil) == wanted['tz']
  if next_millis and same and ARGV[10] == '0' and is_pending(job_at(next_millis)) then
    -- Only the template is new: a run that is due, and waits, must not be put off to the next time.
    local opts = cmsgpack.unpack(ARGV[6])
    opts['prevMillis'] = tonumber(next_millis)
    ARGV[1], ARGV[6] = next_millis, cmsgpack.pack(opts)
  elseif ARGV[1] ~= next_millis and redis.call('EXISTS', prefix .. job_at(ARGV[1])) == 1 then
    return -10 -- this time has had its run
  end
end
return addJobScheduler(KEYS, ARGV)
"""
)


class NotAdvanced(Exception):
    """A scheduler's next job cannot be made at the moment."""

    def __init__(self, id: str, reason: RedisError) -> None:
        super().__init__(f"job scheduler {id} waits with its job, as the next one cannot be made: {reason}")


async def add(
    runner: ScriptRunner, prefix: str, queue: str, id: str, repeat: dict[str, t.Any], template: Template
) -> None:
    """Make a scheduler with its next job, or give one that is there other times and another template.

    Raises InvalidSchedule, WrongState, RedisError or ConnectionLost.
    """
    adding = _Adding(runner, immediately=bool(repeat.get("immediately")))
    packers: t.Any = t.cast("t.Any", bullmq_packers).Scripts(prefix, queue, adding)
    opts = short_names(template.opts)
    after = 0
    for _ in range(_MAX_TRIES):
        scheduler = _class(_Queue(packers), _repeat_strategy(after))
        try:
            added = await scheduler.upsertJobScheduler(id, repeat, template.name, template.data, opts)
        except _SlotTaken as exc:
            after = exc.millis
            continue
        if added is None:
            raise InvalidSchedule("endDate: no run would come before it")
        return
    raise WrongState(_NO_SLOT)


async def advance(scripts: QueueScripts, job: EngineJob) -> None:
    """Have the scheduler that made `job` make its next one, as BullMQ's workers do when they have fetched one.

    Does nothing where that was done before: only the scheduler's newest job makes another. Raises NotAdvanced
    where Redis takes no writes now, or ConnectionLost; what no other try would change is said in the log.
    """
    assert job.scheduler_id is not None
    repeat: dict[str, t.Any] = job.opts.get("repeat") or {}
    try:
        if _is_past_end(job, repeat):
            return
        await _class(_Queue(scripts.pack), _repeat_strategy(0)).upsertJobScheduler(
            job.scheduler_id,
            repeat,
            job.name,
            None,  # the scheduler's own template has the data
            short_names(job.opts),
            override=False,
            producer_id=job.id,
        )
    except ConnectionLost:
        raise
    except Exception as exc:  # another client may have written anything
        if isinstance(exc, RedisError) and not _is_for_good(exc):
            raise NotAdvanced(job.scheduler_id, exc) from exc
        logger.error(
            "queue %s: job scheduler %s has stopped, as its next job cannot be made: %s; make it anew",
            scripts.queue,
            job.scheduler_id,
            exc,
        )


def _is_past_end(job: EngineJob, repeat: dict[str, t.Any]) -> bool:
    """Whether the next of a scheduler with `every` comes after its end: BullMQ's class looks at now alone."""
    every, end, due = repeat.get("every"), repeat.get("endDate"), job.id.rpartition(":")[2]
    return bool(every and end and due.isdecimal() and int(due) + every > end)


def _is_for_good(exc: RedisError) -> bool:
    """Whether a script failed for what it was given, and not for the state that Redis is in."""
    return str(exc).startswith(("ERR", "WRONGTYPE")) and "OOM" not in str(exc)


def _repeat_strategy(after: int) -> t.Callable[[int, dict[str, t.Any]], int | None]:
    """What bullmq's class asks for the next time of a pattern: one after `after`, ms since the epoch, too."""

    def next_millis(now: int, repeat: dict[str, t.Any]) -> int | None:
        if repeat.get("immediately"):
            return now
        run = next_run(repeat["pattern"], repeat.get("tz"), max(now, after, repeat.get("startDate") or 0))
        return None if repeat.get("endDate") and run > repeat["endDate"] else run

    return next_millis


class _SlotTaken(Exception):
    """There is a job of this time, which was made before."""

    def __init__(self, millis: int) -> None:
        super().__init__(millis)
        self.millis = millis


class _Adding:
    """Stands in for bullmq's RedisConnection: adds schedulers by our script."""

    conn = None

    def __init__(self, runner: ScriptRunner, *, immediately: bool) -> None:
        self.commands = {"addJobScheduler": self._add}
        self._runner = runner
        self._immediately = immediately

    async def _add(self, keys: t.Sequence[str], args: t.Sequence[t.Any]) -> t.Any:
        answer = await self._runner.run_composed(SCRIPT, _LUA, keys, [*args, int(self._immediately)])
        if answer == _TAKEN:
            raise _SlotTaken(int(args[0]))
        if answer == _BUSY:
            raise WrongState(_NO_SLOT)
        return answer


class _Queue:
    """What bullmq's JobScheduler reads of a queue: its packers take the place of the backend that calls them."""

    def __init__(self, packers: t.Any) -> None:
        self.opts: dict[str, t.Any] = {}
        self.backend = packers
        self.qualifiedName = packers.keys[""].rstrip(":")
