"""One LocalNextMQ: the queues, their clock, the app, and the loop that starts jobs."""

from __future__ import annotations

import contextlib
import itertools
import threading
import typing as t

from ....errors import NextMQError
from ....protocol.outcomes import Failed, Outcome
from ....receiver.hooks import HookCall
from ....receiver.sync_driver import run_attempt
from ....rules.attempts import too_many_starts
from ....rules.delivery_log import delivery_entry, with_entry
from ....workers.worker import schedules_of
from .delivering import LocalApp, Steps, T
from .faults import Fault, take_fault
from .finishing import Finisher
from .schedulers import SimulatedScheduler, SimulatedSchedulers
from .store import Store

if t.TYPE_CHECKING:
    import anyio

    from ....receiver.attempt import Attempt
    from ....workers.worker import Worker
    from .clock import VirtualClock
    from .job import SimulatedJob


LIMIT = 10_000
"""The default limit of deliveries for one call."""


class NotIdleError(NextMQError):
    """There was always another job to run. The message names the queues that have jobs."""


class NeverFinishedError(NextMQError):
    """The test waits for a job that nothing will run. The message names the job and its state."""


class Simulation:
    """The queues and everything that works on them. Hold `lock` while you use any part."""

    def __init__(self, workers: t.Sequence[Worker], clock: VirtualClock, rand: t.Callable[[], float]) -> None:
        self.lock: t.ContextManager[bool] = threading.RLock()
        self.clock: VirtualClock = clock
        self.app: LocalApp = LocalApp(workers, clock)
        self.store: Store = Store(workers, clock)
        self.faults: list[Fault] = []
        """The faults that the test asked for and that have not happened yet."""
        self.schedulers: SimulatedSchedulers = SimulatedSchedulers(self.store)
        self.replies: dict[str, tuple[bytes, bytes]] = {}
        """The request and the answer of each idempotency key."""
        self._finisher = Finisher(self.store, rand)
        self._numbers = itertools.count(1)
        for worker in workers:
            for declared in schedules_of(worker):
                self.schedulers.upsert(_scheduler(worker.name, declared))

    def drive(self, steps: Steps[T]) -> T:
        """Take the steps in this thread; return their result."""
        with contextlib.closing(steps):
            while True:
                try:
                    with self.lock:
                        step = next(steps)
                except StopIteration as end:
                    return t.cast(T, end.value)
                if isinstance(step, HookCall):
                    step.call()
                else:
                    step.outcome = run_attempt(step)

    async def drive_awaited(self, steps: Steps[T]) -> T:
        """Take the steps on the running loop; return their result. Raises NextMQError unless it is asyncio's."""
        limiter: anyio.CapacityLimiter | None = None
        with contextlib.closing(steps):
            while True:
                try:
                    with self.lock:
                        step = next(steps)
                except StopIteration as end:
                    return t.cast(T, end.value)
                limiter = limiter or _one_thread()
                if isinstance(step, HookCall):
                    await step.call_awaited(limiter)
                else:
                    step.outcome = await _run_async(step, limiter)

    def run_until(self, moment: int | None, limit: int) -> Steps[int]:
        """Run what is due up to `moment` (ms since the epoch), in this order; it is that time then.

        None runs everything, however late it is due. Returns the number of deliveries. Raises NotIdleError after
        `limit` deliveries.
        """
        started = yield from self._run(limit, until=moment)
        if moment is not None:
            self.clock.ms = max(moment, self.clock.ms)
        return started

    def run_until_finished(self, awaited: SimulatedJob, moment: int) -> Steps[None]:
        """Run what is due up to `moment` as `run_until` does, but stop when `awaited` has finished.

        Raises NeverFinishedError if nothing will ever finish it.
        """
        yield from self._run(LIMIT, until=moment, awaited=awaited)
        if awaited.finished_on is not None:
            return
        self.clock.ms = max(moment, self.clock.ms)
        if not awaited.is_removed and self._next_due() is None:
            raise NeverFinishedError(
                f"job {awaited.id} of queue {awaited.queue_name} is {awaited.state}, and nothing that is due will "
                "finish it: is its worker in workers=[…], is the queue paused, does its own processor wait for it?"
            )

    def redeliver(self, job: SimulatedJob) -> Steps[Outcome]:
        """Deliver a job once more, whatever its state; return the outcome and leave the job as it is."""
        job.delivery_id = self._new_delivery_id()
        outcome, _ = yield from self.app.deliver(job, job.delivery_id, None)
        job.delivery_id = None
        return outcome

    def _next_due(self) -> int | None:
        due = [queue.next_due(self.clock.ms) for queue in self.store.queues.values()]
        return min((moment for moment in due if moment is not None), default=None)

    def _run(self, limit: int, *, until: int | None, awaited: SimulatedJob | None = None) -> Steps[int]:
        started = 0
        while True:
            while (job := self._next_job()) is not None:
                if started >= limit:
                    raise NotIdleError(f"more jobs are due after {limit} deliveries: {self._open()}")
                self.store.queue(job.queue_name).start(job, self.clock.ms)
                started += yield from self._deliver(job)
            due = self._next_due()
            is_done = awaited is not None and awaited.finished_on is not None
            if due is None or is_done or (until is not None and due > until):
                return started
            self.clock.ms = due

    def _next_job(self) -> SimulatedJob | None:
        ready = (queue.next_job(self.clock.ms) for queue in self.store.queues.values())
        return next((job for job in ready if job is not None), None)

    def _deliver(self, job: SimulatedJob) -> Steps[int]:
        self.store.take_letters(job)
        self.schedulers.advance(job)
        failure = _failure_before_delivery(job)
        if failure is not None:
            self._finisher.finish(job, failure, None)
            return 0
        delivery_id = job.delivery_id = self._new_delivery_id()
        sent_at = self.clock.ms
        job.starts.append(sent_at)
        seen, status = yield from self.app.deliver(job, delivery_id, take_fault(self.faults, job))
        entry = delivery_entry(
            delivery_id,
            at=sent_at,
            status=status,
            ms=0,
            outcome=seen.outcome,
            attempt=job.attempts_made + 1,
            is_signed=status == 200,
            detail=seen.reason if isinstance(seen, Failed) else None,
        )
        job.deliveries = with_entry(job.deliveries, entry)
        if job.state == "active" and job.delivery_id == delivery_id:
            job.delivery_id = None
            self._finisher.finish(job, seen, status)
        return 1

    def _new_delivery_id(self) -> str:
        return f"dlv_local{next(self._numbers)}"

    def _open(self) -> str:
        states = ("waiting", "prioritized", "delayed", "active")
        queues = self.store.queues.values()
        counts = ((queue.name, state, len(queue.by_state[state])) for queue in queues for state in states)
        return ", ".join(f"{name} has {count} {state}" for name, state, count in counts if count)


def _failure_before_delivery(job: SimulatedJob) -> Failed | None:
    if job.deferred_failure is not None:
        return Failed("UnrecoverableError", job.deferred_failure, unrecoverable=True)
    return too_many_starts(job.attempts_started, job.attempts_made)


def _scheduler(queue: str, declared: dict[str, t.Any]) -> SimulatedScheduler:
    from ....rules.schedules import ScheduleModel  # it imports pydantic

    schedule = ScheduleModel.model_validate(declared)
    return SimulatedScheduler(queue, schedule.id, schedule.repeat(), schedule.template())


def _one_thread() -> anyio.CapacityLimiter:
    """Return what lets one thread run at a time. Raises NextMQError unless asyncio's loop runs."""
    import asyncio

    import anyio

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        raise NextMQError(
            "AsyncLocalNextMQ needs asyncio, as processors do, and this is another event loop: with anyio's "
            'plugin let the fixture anyio_backend return "asyncio"'
        ) from None
    return anyio.CapacityLimiter(1)


async def _run_async(attempt: Attempt, limiter: anyio.CapacityLimiter) -> Outcome:
    from ....receiver.run_async import run_async  # it imports asyncio

    return await run_async(attempt, limiter)
