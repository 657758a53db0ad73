"""Carry out a verdict: one script each, which may fetch the next job too. The engine's hot path."""

from __future__ import annotations

import typing as t

from nextmq_handler.protocol.outcomes import Completed, Delayed, Failed, RateLimited, WaitingChildren
from nextmq_handler.protocol.strict_json import compact
from nextmq_handler.rules.attempts import CHILD_FAILED, OPEN_CHILDREN, next_attempt, stacktraces

from ...timers import now_ms
from ..queues.dead_letters import dead_letter_of
from ..queues.job import EngineJob
from ..queues.letters import FIELD as LETTERS_FIELD
from ..queues.letters import with_letter
from ..queues.snapshots import result_of
from ..scripts.fetching import fetch_unless_held
from ..scripts.holds import Holds
from ..scripts.scripts import QueueScripts, as_function, fields_of, flat, pack, unpack
from ..verdicts import Hold, Verdict
from .move_to_finished import Finishing
from .options import RunnerOptions

_LOST = {
    -1: "it was removed",
    -2: "its lock expired",
    -3: "it is not active any more",
    -6: "another worker holds its lock",
}
_UNLOCKED = -2
_CHILDREN_OPEN, _CHILD_FAILED = -4, -9

# KEYS: the 9 of moveJobFromActiveToWait. ARGV: its 3; 1 if this start does not count; fields to set, with values.
_REQUEUE = (
    as_function("moveJobFromActiveToWait")
    + """
local limiterLife = moveJobFromActiveToWait(KEYS, ARGV)
if limiterLife < 0 then return limiterLife end
if ARGV[4] == '1' then redis.call('HINCRBY', ARGV[3], 'ats', -1) end
if ARGV[5] then redis.call('HSET', ARGV[3], unpack(ARGV, 5)) end
return limiterLife
"""
)

# KEYS: the 11 of moveToDelayed, the hold. ARGV: its 9.
_DELAY = as_function("moveToDelayed") + fetch_unless_held("moveToDelayed", flag=8, hold=12) + "return answer\n"

# KEYS: the job. ARGV: fields to set, with values.
_CHANGE = "if redis.call('EXISTS', KEYS[1]) == 1 then return redis.call('HSET', KEYS[1], unpack(ARGV)) end"


class LostJob(Exception):
    """This process may not finish the job any more: it was removed, or another worker holds its lock.

    `is_unlocked` means that nobody holds its lock.
    """

    def __init__(self, why: str, *, is_unlocked: bool = False) -> None:
        super().__init__(why)
        self.is_unlocked = is_unlocked


class Refused(Exception):
    """The job's children do not allow the verdict. The job fails with `failure` instead."""

    def __init__(self, failure: Failed) -> None:
        super().__init__(failure.reason)
        self.failure = failure


class Next(t.NamedTuple):
    """What a script returned: the next job, or when to look again.

    `limited_for` is ms, `delayed_until` ms since the epoch. `is_dry`: a fetch found nothing that may run now, so
    only a marker or the time of a delayed job changes that.
    """

    fields: dict[str, str] | None = None
    job_id: str = ""
    limited_for: int = 0
    delayed_until: int = 0
    is_dry: bool = False

    @classmethod
    def of(cls, answer: list[t.Any] | int | None, *, fetched: bool = True) -> Next:
        """Read the answer of a script; `fetched` tells whether the script tried to fetch a job."""
        if not isinstance(answer, list) or len(answer) < 4:
            return cls(is_dry=fetched)
        fields, job_id, limited_for, delayed_until = answer[:4]
        if fields:
            return cls(fields_of(fields), str(job_id))
        return cls(None, "", int(limited_for or 0), int(delayed_until or 0), fetched and not limited_for)


class Finalizer:
    """Finishes the jobs of one queue. `options` returns those of the moment."""

    def __init__(self, scripts: QueueScripts, options: t.Callable[[], RunnerOptions]) -> None:
        self._scripts = scripts
        self._holds = Holds(scripts)
        self._hold = scripts.own_key("hold")
        self._finishing = Finishing(scripts, options)
        self._options = options

    async def apply(self, job: EngineJob, verdict: Verdict, *, fetch_next: bool) -> Next:
        """Carry out the verdict. Raises Refused, LostJob, RedisError or ConnectionLost."""
        match verdict:
            case Completed():
                return await self._complete(job, verdict, fetch_next)
            case Failed():
                return await self._fail(job, verdict, fetch_next)
            case Delayed():
                return await self._delay(job, max(0, verdict.timestamp - now_ms()), fetch_next)
            case RateLimited():
                await self._holds.limit(verdict.delay)
                return Next(limited_for=await self._requeue(job))
            case WaitingChildren():
                return await self._wait_for_children(job)
            case Hold():
                await self._requeue(job, is_uncounted=True)  # the processor did not run
                return Next()
            case _:
                t.assert_never(verdict)

    async def release(self, job: EngineJob) -> None:
        """Put an unfinished job back because the server stops. It uses no attempt. Raises LostJob."""
        await self._requeue(job)

    async def _complete(self, job: EngineJob, verdict: Completed, fetch_next: bool) -> Next:
        result = result_of(job, "completed", now_ms(), return_value=verdict.return_value)
        answer = await self._finishing.finish(job, result, job.changes, fetch_next=fetch_next)
        if answer == _CHILDREN_OPEN:
            raise Refused(Failed("PendingDependencies", OPEN_CHILDREN))
        if answer == _CHILD_FAILED:  # as it would on every attempt
            raise Refused(Failed("ChildFailed", CHILD_FAILED.format("complete"), unrecoverable=True))
        return Next.of(_checked(answer), fetched=fetch_next)

    async def _fail(self, job: EngineJob, verdict: Failed, fetch_next: bool) -> Next:
        delay, reason = None, verdict.reason
        if not verdict.unrecoverable:
            delay, reason = next_attempt(reason, job.opts, job.attempts_made, self._options().backoff_strategies)
        latest = verdict.stack or verdict.reason
        stacktrace = stacktraces(job.stacktrace, latest, job.opts.get("stackTraceLimit"))
        fields = {**job.changes, "failedReason": reason, "stacktrace": compact(stacktrace)}
        if delay:
            return await self._delay(job, delay, fetch_next, fields=fields)
        if delay is not None:
            keys, args = self._scripts.pack.retryJobArgs(
                job.id, bool(job.opts.get("lifo")), job.token, {"fieldsToUpdate": fields}
            )
            return Next.of(_checked(await self._scripts.run("retryJob", keys, args)), fetched=False)
        result = result_of(job, "failed", now_ms(), reason=reason, stacktrace=stacktrace)
        queue = self._options().dead_letter
        dead_letter = dead_letter_of(job, self._scripts, queue, result, verdict.status) if queue else None
        if dead_letter is not None:
            fields[LETTERS_FIELD] = with_letter(job, dead_letter)
        answer = await self._finishing.finish(job, result, fields, fetch_next=fetch_next, dead_letter=dead_letter)
        return Next.of(_checked(answer), fetched=fetch_next)

    async def _delay(
        self, job: EngineJob, delay: int, fetch_next: bool, *, fields: dict[str, str] | None = None
    ) -> Next:
        """Delay the job for `delay` ms. It uses an attempt only with `fields`, those of a failed attempt."""
        options = {
            "skipAttempt": fields is None,
            "fetchNext": fetch_next,
            "workerOpts": self._options().for_scripts(),
            "fieldsToUpdate": job.changes if fields is None else fields,
        }
        keys, args = self._scripts.pack.moveToDelayedArgs(job.id, now_ms(), job.token, delay, options)
        if fetch_next:
            args[-1] = pack({**unpack(args[-1]), "token": job.next_token})
        answer = _checked(await self._scripts.run_composed(_DELAY, [*keys, self._hold], args))
        return Next.of(answer, fetched=False)  # the answer does not say whether a rate limit prevented a fetch

    async def _wait_for_children(self, job: EngineJob) -> Next:
        if job.changes:
            await self._scripts.run_composed(_CHANGE, [self._scripts.key(job.id)], flat(job.changes))
        keys, args = self._scripts.pack.moveToWaitingChildrenArgs(job.id, job.token)
        answer = await self._scripts.run("moveToWaitingChildren", keys, args)
        if answer == 1:  # no child is open any more
            await self._requeue(job)
            return Next()
        if answer == _CHILD_FAILED:
            raise Refused(Failed("ChildFailed", CHILD_FAILED.format("wait"), unrecoverable=True))
        _checked(answer)
        return Next()

    async def _requeue(self, job: EngineJob, *, is_uncounted: bool = False) -> int:
        """Put the job back. Return for how many ms the limiter's key lives, which may only count starts."""
        keys = self._scripts.all_keys(
            "active", "wait", "stalled", "paused", "meta", "limiter", "prioritized", "marker", "events"
        )
        args = [job.id, job.token, self._scripts.key(job.id), int(is_uncounted), *flat(job.changes)]
        return int(_checked(await self._scripts.run_composed(_REQUEUE, keys, args)))


def _checked(answer: t.Any) -> t.Any:
    if isinstance(answer, int) and answer in _LOST:
        raise LostJob(_LOST[answer], is_unlocked=answer == _UNLOCKED)
    return answer
