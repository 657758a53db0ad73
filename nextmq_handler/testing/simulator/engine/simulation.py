"""One LocalNextMQ: the queues, their clock, the app, and the loop that starts jobs."""

from __future__ import annotations

import itertools
import threading
import typing as t

from ....errors import NextMQError
from ....protocol.wire import Failed, Outcome
from ....rules.attempts import MAX_FREE_STARTS, too_many_starts
from ....rules.delivery_log import delivery_entry, with_entry
from ....workers.worker import schedules_of
from .delivering import LocalApp, LocalDelivery, run_awaited, run_here
from .faults import Fault, take_fault
from .finishing import Finisher
from .schedulers import SimulatedScheduler, SimulatedSchedulers
from .snapshots import Snapshots
from .store import Store

if t.TYPE_CHECKING:
    from ....workers.worker import Worker
    from .clock import VirtualClock
    from .job import SimulatedJob

T = t.TypeVar("T")
Steps = t.Generator[LocalDelivery, None, T]
"""Yields the deliveries whose processors the caller runs."""

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
        self.snapshots: Snapshots = Snapshots()
        self.faults: list[Fault] = []
        """The faults that the test asked for and that have not happened yet."""
        self.schedulers: SimulatedSchedulers = SimulatedSchedulers(self.store)
        self.replies: dict[str, tuple[bytes, bytes]] = {}
        """The request and the answer of each idempotency key."""
        self._finisher = Finisher(self.store, self.snapshots, rand)
        self._numbers = itertools.count(1)
        for worker in workers:
            for declared in schedules_of(worker):
                self.schedulers.upsert(_scheduler(worker.name, declared))

    def drive(self, steps: Steps[T]) -> T:
        """Take the steps in this thread; return their result."""
        while True:
            try:
                with self.lock:
                    delivery = next(steps)
            except StopIteration as end:
                return t.cast(T, end.value)
            run_here(delivery)

    async def drive_awaited(self, steps: Steps[T]) -> T:
        """Take the steps on the running loop; return their result. Raises NextMQError unless it is asyncio's."""
        import anyio

        _check_loop()
        limiter = anyio.CapacityLimiter(1)
        while True:
            try:
                with self.lock:
                    delivery = next(steps)
            except StopIteration as end:
                return t.cast(T, end.value)
            await run_awaited(delivery, limiter)

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
        delivery = self._begin(job, None)
        yield delivery
        outcome, _ = self.app.judge(delivery)
        job.delivery_id = None
        return outcome

    def _next_due(self) -> int | None:
        due = [queue.next_due(self.clock.ms) for queue in self.store.queues.values()]
        return min((moment for moment in due if moment is not None), default=None)

    def _run(self, limit: int, *, until: int | None, awaited: SimulatedJob | None = None) -> Steps[int]:
        started = 0
        while True:
            while (job := self._take()) is not None:
                if started >= limit:
                    self._put_back(job)
                    raise NotIdleError(f"more jobs are due after {limit} deliveries: {self._open()}")
                started += yield from self._deliver(job)
            due = self._next_due()
            is_done = awaited is not None and awaited.finished_on is not None
            if due is None or is_done or (until is not None and due > until):
                return started
            self.clock.ms = due

    def _take(self) -> SimulatedJob | None:
        for queue in self.store.queues.values():
            job = queue.take(self.clock.ms)
            if job is not None:
                return job
        return None

    def _put_back(self, job: SimulatedJob) -> None:
        queue = self.store.queue(job.queue_name)
        queue.detach(job)
        job.attempts_started -= 1
        queue.push(job, is_next=True)

    def _deliver(self, job: SimulatedJob) -> Steps[int]:
        self.schedulers.advance(job)
        failure = _failure_before_delivery(job)
        if failure is not None:
            self._finisher.finish(job, failure, None)
            return 0
        delivery = self._begin(job, take_fault(self.faults, job))
        sent_at = self.clock.ms
        job.starts.append(sent_at)
        yield delivery
        seen, status = self.app.judge(delivery)
        detail = seen.reason if isinstance(seen, Failed) else None
        entry = delivery_entry(delivery.id, at=sent_at, status=status, ms=0, outcome=seen.outcome, detail=detail)
        job.deliveries = with_entry(job.deliveries, entry)
        if job.state == "active" and job.delivery_id == delivery.id:
            job.delivery_id = None
            self._finisher.finish(job, seen, status)
        return 1

    def _begin(self, job: SimulatedJob, fault: Fault | None) -> LocalDelivery:
        delivery = LocalDelivery(job, f"dlv_local{next(self._numbers)}", fault)
        job.delivery_id = delivery.id
        if fault is None or not fault.keeps_processor_out:
            self.app.open(delivery)
        return delivery

    def _open(self) -> str:
        states = ("waiting", "prioritized", "delayed", "active")
        queues = self.store.queues.values()
        counts = ((queue.name, state, len(queue.ids(state))) for queue in queues for state in states)
        return ", ".join(f"{name} has {count} {state}" for name, state, count in counts if count)


def _failure_before_delivery(job: SimulatedJob) -> Failed | None:
    free_starts = job.attempts_started - job.attempts_made - 1
    if job.deferred_failure is not None:
        return Failed("UnrecoverableError", job.deferred_failure, unrecoverable=True)
    if free_starts >= MAX_FREE_STARTS:
        return Failed("TooManyStarts", too_many_starts(free_starts), unrecoverable=True)
    return None


def _scheduler(queue: str, declared: dict[str, t.Any]) -> SimulatedScheduler:
    from ....rules.schedules import ScheduleModel  # it imports pydantic

    schedule = ScheduleModel.model_validate(declared)
    return SimulatedScheduler(queue, schedule.id, schedule.repeat(), schedule.template())


def _check_loop() -> None:
    import asyncio

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        raise NextMQError(
            "AsyncLocalNextMQ needs asyncio, as processors do, and this is another event loop: with anyio's "
            'plugin let the fixture anyio_backend return "asyncio"'
        ) from None
