"""One queue: fetch jobs while slots are free, run each, know when to look again."""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
import typing as t

from ...redis.connection import ConnectionLost, RedisError
from ...timers import Timer
from ..queues.job import EngineJob
from ..scripts.scripts import QueueScripts
from .finalize import Next
from .gate import Gate
from .options import RunnerOptions
from .running import ERROR_PAUSE, JobRun, JobRunner, Process
from .slots import QueueSlots, Shortage

logger = logging.getLogger("nextmq_server.engine")

_BURSTS = (1, 1, 2, 4, 8, 16)
"""How many jobs a round trip fetches: more each time that it found as many. Often there is just one."""

FINISH_TIME = 5.0
"""How long (s) a stopping queue may take to put its jobs back."""


class QueueRunner:
    """Runs one queue in this process. Create it in a running event loop.

    `marker` is the key of the marker that says there is something to fetch.
    """

    def __init__(
        self,
        scripts: QueueScripts,
        options: RunnerOptions,
        process: Process,
        *,
        slots: QueueSlots,
        new_token: t.Callable[[], str],
        on_cold: t.Callable[[QueueRunner], None],
    ) -> None:
        self.name = scripts.queue
        self.scripts = scripts
        self.marker = scripts.keys["marker"]
        self.gate = Gate(scripts)
        self.options = options
        self.active: dict[str, JobRun] = {}
        self.fetched_at = 0.0
        self.is_cold = False
        self._slots = slots
        self._new_token = new_token
        self._on_cold = on_cold
        self._jobs = JobRunner(scripts, self.gate, process, lambda: self.options, self._may_fetch)
        self._fetching = False
        self._fetch_again = False
        self._timer = Timer(self.poke)
        self._paused = False
        self._stopped = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._reconnecting: asyncio.Task[None] | None = None

    @property
    def has_slot(self) -> bool:
        """Whether one more job of this queue may run here now."""
        return not (self._stopped or self._paused) and len(self.active) < self.options.concurrency

    @property
    def shortage(self) -> Shortage | None:
        """What is full while the queue waits for a slot of this process."""
        return self._slots.shortage

    def poke(self) -> None:
        """Fetch while slots are free: there may be jobs."""
        if self._fetching:
            self._fetch_again = True
        elif self.has_slot:
            self._fetching = True
            self.is_cold = False
            self._spawn(self._fetch())

    def poke_at(self, timestamp: float) -> None:
        """Call `poke` at `timestamp`, ms since the epoch: half a millisecond later, so the time has come."""
        self._timer.set_in(timestamp / 1000 - time.time() + 0.0005)

    def pause(self) -> None:
        """Stop fetching. Jobs in flight finish."""
        self._paused = True
        self._slots.give_up()

    def change(self, options: RunnerOptions, slots: QueueSlots) -> None:
        """Fetch with these options from now on. Jobs in flight keep the slots they hold."""
        options.global_rate_limit = self.options.global_rate_limit
        self.options = options
        self._slots.give_up()
        self._slots = slots
        self._paused = False
        self.poke()

    def look_again(self) -> None:
        """Fetch now: what the queue rested for has changed."""
        self.gate.look_again()
        self.poke()

    async def stop(self, grace: float) -> None:
        """Stop fetching, wait `grace` s for the jobs in flight, put the others back. They use no attempt."""
        self._stopped = True
        self._slots.give_up()
        self._timer.cancel()
        if self._reconnecting is not None:
            self._reconnecting.cancel()
        await self._settle(grace)
        self.abort_all()
        await self._settle(FINISH_TIME)

    def abort_all(self) -> None:
        """Abort the deliveries in flight: a stopped queue puts their jobs back."""
        for run in self.active.values():
            run.abort()

    def drop(self, job_id: str) -> None:
        """Abort the delivery of a job that lost its lock, and do not finish the job."""
        run = self.active.get(job_id)
        if run is not None:
            run.is_lost = True
            run.abort()

    async def _settle(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while self._tasks and (left := deadline - time.monotonic()) > 0:
            await asyncio.wait(self._tasks, timeout=left)

    def _may_fetch(self) -> bool:
        return self.gate.is_open and not (self._stopped or self._paused)

    def _spawn(self, coroutine: t.Coroutine[t.Any, t.Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _fetch(self) -> None:
        try:
            await self._fetch_while_slots_are_free()
        except ConnectionLost:
            await self._wait_for_connection()
            self._fetch_again = True
        except RedisError as exc:
            logger.error("queue %s: cannot fetch: %s", self.name, exc)
            self._timer.set_in(ERROR_PAUSE)
        except Exception:  # as of a job that cannot be read: the next ones must not wait for the sweep
            logger.exception("queue %s: cannot start a job; it will stall", self.name)
            self._timer.set_in(ERROR_PAUSE)
        finally:
            self._fetching = False
        if self._fetch_again and self.has_slot:
            self._fetch_again = False
            self.poke()
        else:
            self._turn_cold()

    def _turn_cold(self) -> None:
        if self.has_slot and not self.gate.rest_left:  # a timer ends a rest, not a marker
            self.is_cold = True
            self._on_cold(self)

    async def _wait_for_connection(self) -> None:
        """Wait until the connection is back or the queue is stopped."""
        if not self._stopped:
            self._reconnecting = asyncio.create_task(self.scripts.connection.ready())
            await asyncio.wait({self._reconnecting})

    async def _fetch_while_slots_are_free(self) -> None:
        bursts = itertools.chain(_BURSTS, itertools.repeat(_BURSTS[-1]))
        burst = next(bursts)
        while self.has_slot:
            if rest := self.gate.rest_left:
                self._timer.set_in(rest)
                return
            slots = self._slots
            wanted = min(burst, self.options.concurrency - len(self.active)) if self.gate.is_open else 1
            size = slots.take(wanted) or await self._take_turn(slots)
            if not size:
                continue
            self._fetch_again = False
            self.fetched_at = time.monotonic()
            found: list[Next] = []
            try:
                await self._fetch_burst(size, slots, found)
            finally:
                slots.release(size - len(found))
            if len(found) == size:
                burst = next(bursts)
            elif not (self._fetch_again or self.gate.is_unsure):
                return

    async def _take_turn(self, slots: QueueSlots) -> int:
        """Wait in line for a slot. Return 1, or 0 if the queue cannot use it any more."""
        if not await slots.take_turn():
            return 0
        if self.has_slot and not self.gate.rest_left:
            return 1
        slots.release()
        return 0

    async def _fetch_burst(self, size: int, slots: QueueSlots, found: list[Next]) -> None:
        """Fetch up to `size` jobs in one round trip and start them, each in one of the taken `slots`."""
        tokens = [self._new_token() for _ in range(size)]
        worker = self.options.for_scripts()
        fetches = (self.gate.fetch(token, worker) for token in tokens)
        answers = await asyncio.gather(*fetches, return_exceptions=True)
        errors: list[BaseException] = []
        for token, answer in zip(tokens, answers, strict=True):
            if isinstance(answer, BaseException):
                errors.append(answer)
            elif answer.fields is None:
                self._look_again_after(answer)
            else:
                run = self._begin(answer.job_id, answer.fields, token, slots)
                run.task = self._spawn(self._run(run))
                found.append(answer)
        if errors:
            raise errors[0]  # after what was fetched has been started

    def _begin(self, job_id: str, fields: dict[str, str], token: str, slots: QueueSlots) -> JobRun:
        job, lock_duration = EngineJob(job_id, fields, token), self.options.lock_duration
        run = self.active[job_id] = JobRun(job, time.monotonic(), lock_duration, slots)
        return run

    def _look_again_after(self, found: Next) -> None:
        if rest := self.gate.rest_left:
            self._timer.set_in(rest)
        elif found.delayed_until:
            self.poke_at(found.delayed_until)

    async def _run(self, run: JobRun) -> None:
        """Run a job, then those that the scripts hand back with each finished one."""
        try:
            while True:
                try:
                    found = await self._jobs.run(run)
                finally:
                    self.active.pop(run.job.id, None)
                if found.fields is None:
                    break
                # Task and slot go on to the next job.
                task, run = run.task, self._begin(found.job_id, found.fields, run.job.next_token, run.slots)
                run.task = task
        finally:
            run.slots.release()
        self.gate.note(found)
        self._look_again_after(found)
        if not found.is_dry:
            self.poke()
        elif not self._fetching:
            self._turn_cold()
