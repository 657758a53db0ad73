"""Run one job that was fetched: deliver it and carry out the verdict."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import typing as t
from dataclasses import dataclass

from nextmq_handler.protocol.outcomes import Failed
from nextmq_handler.rules.log_text import one_line

from ...redis.connection import ConnectionLost, RedisError
from ..queues.job import EngineJob
from ..queues.letters import has_letters, take_letters
from ..queues.scheduling import NotAdvanced, advance
from ..scripts.scripts import QueueScripts
from ..verdicts import Hold, Verdict
from .finalize import Finalizer, LostJob, Next, Refused
from .gate import Gate
from .locks import take_again
from .options import RunnerOptions
from .slots import QueueSlots

logger = logging.getLogger("nextmq_server.engine")
failures = logging.getLogger("nextmq_server.failures")
"""One ERROR line for each job that failed for good."""

Process = t.Callable[[EngineJob], t.Awaitable[Verdict]]
"""Deliver a job and return its verdict. Cancelled when the job's lock is lost."""

ERROR_PAUSE = 0.5
"""How long (s) a queue rests after an error of Redis."""


@dataclass(slots=True)
class JobRun:
    """A job in flight: its slot, when its lock was renewed (monotonic s) and its life (ms), whether it is lost."""

    job: EngineJob
    renewed_at: float
    lock_duration: int
    slots: QueueSlots
    task: asyncio.Task[None] | None = None
    is_lost: bool = False
    is_finishing: bool = False

    def renewal_at(self, share: float) -> float:
        """Return when (monotonic s) this share of the life of its lock is over."""
        return self.renewed_at + share * self.lock_duration / 1000

    def abort(self) -> None:
        """Abort the delivery, unless it was answered or the job is being finished."""
        if self.task is not None and not (self.job.is_answered or self.is_finishing):
            self.task.cancel()


class JobRunner:
    """Runs the jobs of one queue, by the `options` of the moment.

    `may_fetch` tells whether finishing a job may fetch the next one.
    """

    def __init__(
        self,
        scripts: QueueScripts,
        gate: Gate,
        process: Process,
        options: t.Callable[[], RunnerOptions],
        may_fetch: t.Callable[[], bool],
    ) -> None:
        self._queue = scripts.queue
        self._scripts = scripts
        self._gate = gate
        self._finalizer = Finalizer(scripts, options)
        self._options = options
        self._process = process
        self._may_fetch = may_fetch

    async def run(self, run: JobRun) -> Next:
        """Run the job and finish it. Return the next job, if the script that finished this one fetched it."""
        job_id = run.job.id
        try:
            return await self._deliver_and_finish(run)
        except LostJob as exc:
            logger.error(
                "queue %s job %s: cannot finish it, %s; it may run again", self._queue, one_line(job_id), exc
            )
        except (RedisError, ConnectionLost) as exc:
            logger.error(
                "queue %s job %s: cannot finish it: %s; it will stall", self._queue, one_line(job_id), exc
            )
        except Exception:  # a bug here must not keep the next jobs waiting
            logger.exception("queue %s job %s: cannot finish it; it will stall", self._queue, one_line(job_id))
        return Next()

    async def _deliver_and_finish(self, run: JobRun) -> Next:
        try:
            verdict = await self._verdict(run.job)
        except asyncio.CancelledError:
            if run.is_lost:  # who noticed it has said so
                return Next()
            run.is_finishing = True
            await self._finalizer.release(run.job)
            return Next()
        run.is_finishing = True
        if isinstance(verdict, Hold) and not self._gate.is_held:
            self._gate.rest(verdict.seconds)
        try:
            return await self._finish(run, verdict)
        except Refused as exc:
            return await self._finish(run, exc.failure)

    async def _verdict(self, job: EngineJob) -> Verdict:
        try:
            if has_letters(job):
                with contextlib.suppress(RedisError):  # a redrive finds out too
                    await take_letters(self._scripts, job)
            if job.scheduler_id is not None:
                await advance(self._scripts, job)
            if job.fault:
                return Failed("InvalidOptions", job.fault, unrecoverable=True)
            if job.deferred_failure:
                return Failed("UnrecoverableError", job.deferred_failure, unrecoverable=True)
            return await self._process(job)
        except NotAdvanced as exc:
            logger.error("queue %s: %s", self._queue, exc)
            return Hold(ERROR_PAUSE, str(exc))
        except ConnectionLost:
            return Hold(0, "the connection to Redis was lost before the delivery")
        except Exception as exc:  # a bug here must not lose the job
            logger.exception("queue %s job %s: the dispatcher failed", self._queue, one_line(job.id))
            return Failed("InternalError", f"the queue server failed to deliver: {type(exc).__name__}")

    async def _finish(self, run: JobRun, verdict: Verdict) -> Next:
        job = run.job
        if isinstance(verdict, Failed) and job.is_last_attempt(verdict):
            job_id, name, reason = map(one_line, (job.id, job.name, verdict.reason))
            args = (self._queue, job_id, name, job.attempts_made + 1, reason)
            failures.error("queue %s job %s (%s) failed for good on attempt %d: %s", *args)
        retried = False
        while True:
            fetch_next = self._may_fetch() and not run.slots.is_wanted
            try:
                return await self._finalizer.apply(job, verdict, fetch_next=fetch_next)
            except ConnectionLost:
                await self._scripts.connection.ready()
                retried = True
            except LostJob as exc:
                if exc.is_unlocked and await self._take_again(job):
                    continue
                if retried:
                    return Next()  # the call whose answer was lost had done it, or the job stalled meanwhile
                raise

    async def _take_again(self, job: EngineJob) -> bool:
        """Take the lock, which ended while Redis was out of reach. Return False if others have the job by now."""
        try:
            return bool(await take_again(self._scripts, [job], self._options().lock_duration))
        except ConnectionLost:
            await self._scripts.connection.ready()
            return True  # perhaps: the next try finds out
