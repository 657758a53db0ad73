"""Carry out a verdict: one BullMQ script each, which may hand back the next job (engine's hot path)."""

from __future__ import annotations

import json
import typing as t

from nextmq_handler.rules.backoff import Strategies, UnknownBackoff, backoff_delay
from nextmq_handler.rules.results import may_vanish

from ...timers import now_ms
from ..queues.dead_letters import Failure, letter_of
from ..queues.job import EngineJob
from ..queues.snapshots import snapshot_of
from ..scripts.holds import Holds
from ..scripts.scripts import QueueScripts, as_function, flat
from ..verdicts import Complete, Delay, Fail, Hold, LimitRate, Verdict, WaitForChildren
from .move_to_finished import Ending, Finishing

_JOB_GONE, _LOCK_GONE, _NOT_ACTIVE, _CHILDREN_OPEN, _OTHER_LOCK, _CHILD_FAILED = -1, -2, -3, -4, -6, -9

# ARGV: the 3 of moveJobFromActiveToWait, "1" where this start counts for nothing, fields to change with values.
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

_json = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode

_CHANGE = "if redis.call('EXISTS', KEYS[1]) == 1 then return redis.call('HSET', KEYS[1], unpack(ARGV)) end"


class LostJob(Exception):
    """The job is not ours to finish any more: removed, or its lock lost to another worker."""


class Refused(Exception):
    """The job's children do not let it go where the verdict says: it fails instead."""

    def __init__(self, failure: Fail) -> None:
        super().__init__(failure.reason)
        self.failure = failure


class Next(t.NamedTuple):
    """What a script handed back: the next job's fields and id, else when to look again (both in ms)."""

    fields: dict[str, str] | None = None
    job_id: str = ""
    limited_for: int = 0
    delayed_until: int = 0
    is_dry: bool = False
    """Whether a fetch found nothing that may run now: a marker changes that, or a delayed job's time."""

    @classmethod
    def of(cls, answer: list[t.Any] | int | None, *, fetched: bool = True) -> Next:
        """From the answer of a script, which has `fetched`, or done something else only."""
        if not isinstance(answer, list) or len(answer) < 4:
            return cls(is_dry=fetched)
        fields, job_id, limited_for, delayed_until = answer[:4]
        if fields:
            texts = iter(fields)
            return cls(dict(zip(texts, texts, strict=True)), str(job_id))
        return cls(None, "", int(limited_for or 0), int(delayed_until or 0), fetched and not limited_for)


class Finalizer:
    """Finishes the jobs of one queue.

    `dead_letter_queue` gives the queue for the letters of those that fail, `backoff_strategies` the worker's own.
    """

    def __init__(
        self,
        scripts: QueueScripts,
        *,
        dead_letter_queue: t.Callable[[], str | None],
        backoff_strategies: t.Callable[[], Strategies],
    ) -> None:
        self._scripts = scripts
        self._holds = Holds(scripts)
        self._finishing = Finishing(scripts)
        self._dead_letter_queue = dead_letter_queue
        self._backoff_strategies = backoff_strategies

    async def apply(self, job: EngineJob, verdict: Verdict, *, fetch_next: bool) -> Next:
        """Move the job where the verdict says. Raises Refused, LostJob, RedisError or ConnectionLost."""
        match verdict:
            case Complete():
                return await self._complete(job, verdict, fetch_next)
            case Fail():
                return await self._fail(job, verdict, fetch_next)
            case Delay():
                return await self._delay(job, max(0, verdict.timestamp - now_ms()), fetch_next)
            case LimitRate():
                await self._holds.limit(verdict.delay, now_ms())
                return Next(limited_for=await self._requeue(job))
            case WaitForChildren():
                return await self._wait_for_children(job)
            case Hold():
                await self._requeue(job, is_uncounted=True)  # the processor did not run
                return Next()

    async def release(self, job: EngineJob) -> None:
        """Hand an unfinished job back, uncounted: the server is stopping. Raises LostJob."""
        await self._requeue(job)

    async def _complete(self, job: EngineJob, verdict: Complete, fetch_next: bool) -> Next:
        keep = job.opts.get("removeOnComplete", False)
        ending = Ending("completed", _json(verdict.return_value), keep, now_ms())
        snapshot = None
        if may_vanish(keep):
            snapshot = snapshot_of(job, "completed", return_value=verdict.return_value, finished_on=ending.at)
        answer = await self._finishing.finish(job, ending, job.changes, fetch_next=fetch_next, snapshot=snapshot)
        if answer == _CHILDREN_OPEN:
            raise Refused(Fail("PendingDependencies", "the job cannot complete: it has open children"))
        if answer == _CHILD_FAILED:  # as it would on every attempt
            reason = "the job cannot complete: it has a child that failed"
            raise Refused(Fail("ChildFailed", reason, unrecoverable=True))
        return Next.of(_checked(answer), fetched=fetch_next)

    async def _fail(self, job: EngineJob, verdict: Fail, fetch_next: bool) -> Next:
        stacktrace = _stacktrace(job, verdict)
        fields = {**job.changes, "failedReason": verdict.reason, "stacktrace": json.dumps(stacktrace)}
        if not verdict.unrecoverable and job.attemptsMade + 1 < job.attempts:
            try:
                backoff = job.opts.get("backoff")
                delay = backoff_delay(backoff, job.attemptsMade + 1, self._backoff_strategies())
            except UnknownBackoff as exc:
                fields["failedReason"] = f"{verdict.reason} ({exc})"
            else:
                if delay:
                    return await self._delay(job, delay, fetch_next, fields=fields)
                keys, args = self._scripts.pack.retryJobArgs(
                    job.id, bool(job.opts.get("lifo")), job.token, {"fieldsToUpdate": fields}
                )
                return Next.of(_checked(await self._scripts.run("retryJob", keys, args)), fetched=False)
        reason, keep = fields["failedReason"], job.opts.get("removeOnFail", False)
        ending = Ending("failed", reason, keep, now_ms())
        snapshot = letter = None
        if may_vanish(keep):
            snapshot = snapshot_of(job, "failed", reason=reason, stacktrace=stacktrace, finished_on=ending.at)
        if queue := self._dead_letter_queue():
            failure = Failure(reason, stacktrace, verdict.status, ending.at)
            letter = letter_of(job, self._scripts, queue, failure)
        answer = await self._finishing.finish(
            job, ending, fields, fetch_next=fetch_next, snapshot=snapshot, letter=letter
        )
        return Next.of(_checked(answer), fetched=fetch_next)

    async def _delay(
        self, job: EngineJob, delay: int, fetch_next: bool, *, fields: dict[str, str] | None = None
    ) -> Next:
        """Delay for `delay` ms. With `fields` it is a failed attempt's backoff, without no attempt is burnt."""
        options = {
            "skipAttempt": fields is None,
            "fetchNext": fetch_next,
            "workerOpts": job.queue.opts,
            "fieldsToUpdate": job.changes if fields is None else fields,
        }
        keys, args = self._scripts.pack.moveToDelayedArgs(job.id, now_ms(), job.token, delay, options)
        answer = _checked(await self._scripts.run("moveToDelayed", keys, args))
        return Next.of(answer, fetched=False)  # it does not say whether a rate limit kept it from fetching

    async def _wait_for_children(self, job: EngineJob) -> Next:
        if job.changes:
            await self._scripts.connection.execute(
                "EVAL", _CHANGE, 1, self._scripts.key(job.id), *flat(job.changes)
            )
        keys, args = self._scripts.pack.moveToWaitingChildrenArgs(job.id, job.token)
        answer = await self._scripts.run("moveToWaitingChildren", keys, args)
        if answer == 1:  # none is open any more
            await self._requeue(job)
            return Next()
        if answer == _CHILD_FAILED:
            reason = "the job cannot wait: it has a child that failed"
            raise Refused(Fail("ChildFailed", reason, unrecoverable=True))
        _checked(answer)
        return Next()

    async def _requeue(self, job: EngineJob, *, is_uncounted: bool = False) -> int:
        """Queue the job again; the ms that the limiter's key lives, which may hold a mere count of starts."""
        keys = self._scripts.all_keys(
            "active", "wait", "stalled", "paused", "meta", "limiter", "prioritized", "marker", "events"
        )
        args = [job.id, job.token, self._scripts.key(job.id), int(is_uncounted), *flat(job.changes)]
        return int(_checked(await self._scripts.run_composed("nextmqRequeue", _REQUEUE, keys, args)))


def _checked(answer: t.Any) -> t.Any:
    if answer in (_JOB_GONE, _LOCK_GONE, _NOT_ACTIVE, _OTHER_LOCK):
        raise LostJob(
            {
                _JOB_GONE: "it was removed",
                _LOCK_GONE: "its lock expired",
                _NOT_ACTIVE: "it is not active any more",
                _OTHER_LOCK: "another worker holds its lock",
            }[answer]
        )
    return answer


def _stacktrace(job: EngineJob, verdict: Fail) -> list[str]:
    limit = job.opts.get("stackTraceLimit")
    stacktrace = [*job.stacktrace, verdict.stack or verdict.reason]
    return stacktrace if limit is None else stacktrace[-limit:] if limit > 0 else []
