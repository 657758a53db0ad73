"""One queue: fetch jobs while there is room, run each, carry out its verdict, know when to look again."""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
import typing as t

from nextmq_handler.rules.log_text import one_line

from ...redis.connection import ConnectionLost, RedisError
from ..queues.job import ActiveJob
from ..queues.scheduling import NotAdvanced, advance
from ..scripts.scripts import QueueScripts
from ..verdicts import Fail, Hold, Verdict
from .finalize import Finalizer, LostJob, Next, Refused
from .gate import Gate
from .options import WorkerOptions
from .run import Run
from .slots import Room

logger = logging.getLogger("nextmq_server.engine")
failures = logging.getLogger("nextmq_server.failures")
"""One ERROR line for each job that failed for good."""

Process = t.Callable[[ActiveJob], t.Awaitable[Verdict]]
"""Deliver a job and say what becomes of it. Cancelled when the job's lock is lost."""

ERROR_PAUSE = 0.5

_BURSTS = (1, 1, 2, 4, 8, 16)
"""How many jobs are fetched in one round trip, each time that as many were there: often there is just one."""

FINISH_TIME = 5.0
"""How long, in s, a stopping queue may take to hand its jobs back."""


class QueueRunner:
    """The engine's state of one queue."""

    def __init__(
        self,
        scripts: QueueScripts,
        options: WorkerOptions,
        process: Process,
        *,
        room: Room,
        new_token: t.Callable[[], str],
        on_cold: t.Callable[[QueueRunner], None],
    ) -> None:
        self.name = scripts.queue
        self.scripts = scripts
        self.gate = Gate(scripts)
        self.options = options
        self.active: dict[str, Run] = {}
        self._room = room
        self.global_rate_limit: dict[str, int] | None = None
        self.fetched_at = 0.0
        self.is_cold = False
        self._process = process
        self._new_token = new_token
        self._on_cold = on_cold
        self._finalizer = Finalizer(
            scripts,
            dead_letter_queue=lambda: self.options.dead_letter,
            backoff_strategies=lambda: self.options.backoff_strategies,
        )
        self._fetching = False
        self._fetch_again = False
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due = 0.0
        self._paused = False
        self._stopped = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._reconnecting: asyncio.Task[None] | None = None

    @property
    def marker(self) -> str:
        """The key whose marker says that there is something to fetch."""
        return self.scripts.keys["marker"]

    @property
    def has_room(self) -> bool:
        """Whether one more job may run here now."""
        return not (self._stopped or self._paused) and len(self.active) < self.options.concurrency

    @property
    def opts(self) -> dict[str, t.Any]:
        """The worker options as bullmq's packers want them."""
        return self.options.for_scripts(self.global_rate_limit)

    def poke(self) -> None:
        """Something may be there to fetch: fetch while there is room."""
        if self._fetching:
            self._fetch_again = True
        elif self.has_room:
            self._fetching = True
            self.is_cold = False
            self._spawn(self._fetch())

    def poke_in(self, seconds: float) -> None:
        """`poke` in `seconds`, unless one is due sooner."""
        loop = asyncio.get_running_loop()
        when = loop.time() + max(0.0, seconds)
        if self._timer is not None:
            if self._timer_due <= when:
                return
            self._timer.cancel()
        # Noted here: uvloop's handle has no `when()` where the time has as good as come.
        self._timer, self._timer_due = loop.call_at(when, self._on_timer), when

    def poke_at(self, timestamp: float) -> None:
        """`poke` at `timestamp`, ms since the epoch: half a millisecond later, so that it has surely come."""
        self.poke_in(timestamp / 1000 - time.time() + 0.0005)

    def pause(self) -> None:
        """Fetch no more; jobs in flight finish."""
        self._paused = True
        self._room.give_up()

    def change(self, options: WorkerOptions, room: Room) -> None:
        """Fetch under these options, again or still; what is in flight keeps its place where it is."""
        self.options = options
        self._room.give_up()
        self._room = room
        self._paused = False
        self.poke()

    def look_again(self) -> None:
        """Fetch again now, whatever the queue rested for: that has changed."""
        self.gate.look_again()
        self.poke()

    async def stop(self, grace: float) -> None:
        """Fetch no more, wait `grace` s for the jobs in flight, hand the rest back uncounted."""
        self._stopped = True
        self._room.give_up()
        if self._timer is not None:
            self._timer.cancel()
        if self._reconnecting is not None:
            self._reconnecting.cancel()
        await self._settle(grace)
        self.abort_all()
        await self._settle(FINISH_TIME)

    def abort_all(self) -> None:
        """Abort the deliveries in flight: a stopped queue hands their jobs back."""
        for run in self.active.values():
            run.abort()

    async def _settle(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while self._tasks and (left := deadline - time.monotonic()) > 0:
            await asyncio.wait(self._tasks, timeout=left)

    def drop(self, job_id: str) -> None:
        """The lock of a job in flight is lost: abort its delivery and finish nothing."""
        run = self.active.get(job_id)
        if run is not None:
            run.is_lost = True
            run.abort()

    def _on_timer(self) -> None:
        self._timer = None
        self.poke()

    def _spawn(self, coroutine: t.Coroutine[t.Any, t.Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _fetch(self) -> None:
        try:
            await self._fetch_while_there_is_room()
        except ConnectionLost:
            await self._wait_for_connection()
            self._fetch_again = True
        except RedisError as exc:
            logger.error("queue %s: cannot fetch: %s", self.name, exc)
            self.poke_in(ERROR_PAUSE)
        except Exception:  # as of a job that cannot be read: the next ones must not wait for the sweep
            logger.exception("queue %s: cannot start a job; it will stall", self.name)
            self.poke_in(ERROR_PAUSE)
        finally:
            self._fetching = False
        if self._fetch_again and self.has_room:
            self._fetch_again = False
            self.poke()
        else:
            self._turn_cold()

    def _turn_cold(self) -> None:
        if self.has_room and not self.gate.rest_left:  # a timer ends a rest, not a marker
            self.is_cold = True
            self._on_cold(self)

    async def _wait_for_connection(self) -> None:
        """Wait until the connection stands again, or the queue is stopped: then nobody needs it to fetch."""
        if not self._stopped:
            self._reconnecting = asyncio.create_task(self.scripts.connection.ready())
            await asyncio.wait({self._reconnecting})

    async def _fetch_while_there_is_room(self) -> None:
        bursts = itertools.chain(_BURSTS, itertools.repeat(_BURSTS[-1]))
        burst = next(bursts)
        while self.has_room:
            if rest := self.gate.rest_left:
                self.poke_in(rest)
                return
            room = self._room
            wanted = min(burst, self.options.concurrency - len(self.active)) if self.gate.is_open else 1
            size = room.take(wanted)
            size = size or await self._take_turn(room)
            if not size:
                continue
            self._fetch_again = False
            self.fetched_at = time.monotonic()
            found: list[Next] = []
            try:
                await self._fetch_burst(size, room, found)
            finally:
                room.leave(size - len(found))
            if len(found) == size:
                burst = next(bursts)
            elif not (self._fetch_again or self.gate.is_unsure):
                return

    async def _take_turn(self, room: Room) -> int:
        """Wait in line for a place: 1, or 0 where it is of no use any more."""
        if not await room.take_turn():
            return 0
        if self.has_room and not self.gate.rest_left:
            return 1
        room.leave()
        return 0

    async def _fetch_burst(self, size: int, room: Room, found: list[Next]) -> None:
        """Fetch up to `size` jobs in one round trip and start them, each in one of the places taken in `room`."""
        tokens = [self._new_token() for _ in range(size)]
        fetches = (self.gate.fetch(token, self.opts) for token in tokens)
        answers = await asyncio.gather(*fetches, return_exceptions=True)
        errors: list[BaseException] = []
        for token, answer in zip(tokens, answers, strict=True):
            if isinstance(answer, BaseException):
                errors.append(answer)
            elif answer.fields is None:
                self._look_again(answer)
            else:
                self._start(answer, token, room)
                found.append(answer)
        if errors:
            raise errors[0]  # after what was fetched has been started

    def _start(self, found: Next, token: str, room: Room) -> None:
        run = self._take(found, token, room)
        run.task = self._spawn(self._run(run))

    def _take(self, found: Next, token: str, room: Room) -> Run:
        assert found.fields is not None
        job = ActiveJob(self, found.job_id, found.fields, token)
        run = self.active[job.id] = Run(job, renewed_at=time.monotonic(), room=room)
        return run

    def _look_again(self, found: Next) -> None:
        if rest := self.gate.rest_left:
            self.poke_in(rest)
        elif found.delayed_until:
            self.poke_at(found.delayed_until)

    async def _run(self, run: Run) -> None:
        """Run a job, and those that finishing it and its successors hands back."""
        try:
            found = await self._run_once(run)
            while found.fields is not None:
                # Task and place go on to the next job, and so does the token, as in BullMQ's own worker.
                following = self._take(found, run.job.token, run.room)
                following.task, run = run.task, following
                found = await self._run_once(run)
        finally:
            run.room.leave()
        self.gate.note(found)
        self._look_again(found)
        if not found.is_dry:
            self.poke()
        elif not self._fetching:
            self._turn_cold()

    async def _run_once(self, run: Run) -> Next:
        job = run.job
        try:
            return await self._run_and_finish(run)
        except LostJob as exc:
            logger.error(
                "queue %s job %s: cannot finish it, %s; it may run again", self.name, one_line(job.id), exc
            )
        except (RedisError, ConnectionLost) as exc:
            logger.error("queue %s job %s: cannot finish it: %s; it will stall", self.name, one_line(job.id), exc)
        except Exception:  # a bug of ours must not keep the next jobs waiting
            logger.exception("queue %s job %s: cannot finish it; it will stall", self.name, one_line(job.id))
        finally:
            self.active.pop(job.id, None)
        return Next()

    async def _run_and_finish(self, run: Run) -> Next:
        job = run.job
        try:
            verdict = await self._verdict(job)
        except asyncio.CancelledError:
            if run.is_lost:
                raise LostJob("its lock was lost while the delivery ran") from None
            run.is_finishing = True
            await self._finalizer.release(job)
            return Next()
        run.is_finishing = True
        if isinstance(verdict, Hold) and not self.gate.is_held:
            self.gate.rest(verdict.seconds)
        try:
            return await self._finish(run, verdict)
        except Refused as exc:
            return await self._finish(run, exc.failure)

    async def _verdict(self, job: ActiveJob) -> Verdict:
        try:
            if job.scheduler_id is not None:
                await advance(self.scripts, job)
            if job.fault:
                return Fail("InvalidOptions", job.fault, unrecoverable=True)
            if job.deferred_failure:
                return Fail("UnrecoverableError", job.deferred_failure, unrecoverable=True)
            return await self._process(job)
        except NotAdvanced as exc:
            logger.error("queue %s: %s", self.name, exc)
            return Hold(ERROR_PAUSE, str(exc))
        except ConnectionLost:
            return Hold(0, "the connection to Redis was lost before the delivery")
        except Exception as exc:  # a bug of ours must not lose the job
            logger.exception("queue %s job %s: the dispatcher failed", self.name, job.id)
            return Fail("InternalError", f"the queue server failed to deliver: {type(exc).__name__}")

    async def _finish(self, run: Run, verdict: Verdict) -> Next:
        job = run.job
        if isinstance(verdict, Fail) and job.is_last_attempt(verdict):
            job_id, name, reason = map(one_line, (job.id, job.name, verdict.reason))
            args = (self.name, job_id, name, job.attemptsMade + 1, reason)
            failures.error("queue %s job %s (%s) failed for good on attempt %d: %s", *args)
        retried = False
        while True:
            fetch_next = self.gate.is_open and not (self._stopped or self._paused or run.room.is_wanted)
            try:
                return await self._finalizer.apply(job, verdict, fetch_next=fetch_next)
            except ConnectionLost:
                await self.scripts.connection.ready()
                retried = True
            except LostJob:
                if retried:
                    return Next()  # the call whose answer was lost had done it, or the job stalled meanwhile
                raise
