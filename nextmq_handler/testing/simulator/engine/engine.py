"""The loop of the queue in process: which job starts when. A generator asks its caller to run each processor."""

from __future__ import annotations

import itertools
import typing as t

from ....errors import NextMQError
from ....protocol.wire import Failed, Outcome
from .delivering import LocalDelivery
from .delivery_log import note

if t.TYPE_CHECKING:
    from .delivering import LocalApp
    from .faults import Fault, Faults
    from .finishing import Finisher
    from .job import Job
    from .schedulers import Schedulers
    from .store import Store

Steps = t.Generator[LocalDelivery, "Outcome | None", int]
"""Yields deliveries whose processors are to run, takes their outcomes, returns how many there were."""

MAX_FREE_STARTS = 100
"""After so many starts that burnt no attempt a job fails with TooManyStarts (protocol section 3)."""


class NotIdleError(NextMQError):
    """There was always another job to run: the message says which queues have jobs."""


class NeverFinishedError(NextMQError):
    """A job was waited for that nothing will run: the message says in which state it is."""


class Engine:
    """Starts jobs whose time has come, one at a time, and moves time from one to the next."""

    def __init__(
        self, store: Store, app: LocalApp, finisher: Finisher, faults: Faults, schedulers: Schedulers
    ) -> None:
        self._store = store
        self._app = app
        self._finisher = finisher
        self._faults = faults
        self._schedulers = schedulers
        self._numbers = itertools.count(1)

    def drain(self, limit: int) -> Steps:
        """Run all that may run now. Raises NotIdleError after `limit` deliveries."""
        return self._run(limit, until=self._store.clock.ms)

    def run_until(self, moment: int, limit: int, *, awaited: Job | None = None) -> Steps:
        """Run what falls due up to `moment`, ms since the epoch, in due order; it is that time then.

        It ends before where `awaited` has finished. Raises NotIdleError after `limit` deliveries.
        """
        started = yield from self._run(limit, until=moment, awaited=awaited)
        if awaited is None or awaited.finished_on is None:
            self._store.clock.ms = max(moment, self._store.clock.ms)
        return started

    def run_until_idle(self, limit: int) -> Steps:
        """Run what falls due, whenever that is, until nothing is. Raises NotIdleError after `limit` deliveries."""
        return self._run(limit, until=None)

    def redeliver(self, job: Job) -> t.Generator[LocalDelivery, Outcome | None, Outcome]:
        """Deliver a job once more, whatever its state, and leave it as it is; the outcome."""
        delivery = self._begin(job, None)
        outcome, _ = self._app.close(delivery, (yield delivery))
        job.delivery_id = None
        return outcome

    def next_due(self) -> int | None:
        """When something falls due that cannot run now, None where nothing will."""
        now = self._store.clock.ms
        due = [queue.next_due(now) for queue in self._store.queues.values()]
        return min((moment for moment in due if moment is not None), default=None)

    def _run(self, limit: int, *, until: int | None, awaited: Job | None = None) -> Steps:
        started = 0
        while True:
            while (job := self._take()) is not None:
                if started >= limit:
                    self._put_back(job)
                    raise NotIdleError(f"after {limit} deliveries there are more to make: {self._open()}")
                started += yield from self._deliver(job)
            due = self.next_due()
            is_done = awaited is not None and awaited.finished_on is not None
            if due is None or is_done or (until is not None and due > until):
                return started
            self._store.clock.ms = due

    def _take(self) -> Job | None:
        for queue in self._store.queues.values():
            job = queue.take(self._store.clock.ms)
            if job is not None:
                return job
        return None

    def _put_back(self, job: Job) -> None:
        queue = self._store.queue(job.key.queue)
        queue.detach(job)
        job.attempts_started -= 1
        queue.push(job, is_next=True)

    def _deliver(self, job: Job) -> t.Generator[LocalDelivery, Outcome | None, int]:
        self._schedulers.advance(job)
        failure = _certain_failure(job)
        if failure is not None:
            self._finisher.finish(job, failure, None)
            return 0
        delivery = self._begin(job, self._faults.next_for(job))
        sent_at = self._store.clock.ms
        job.starts.append(sent_at)
        outcome = yield delivery
        seen, status = self._judge(delivery, outcome)
        note(job, delivery.id, sent_at, seen, status)
        if job.state == "active" and job.delivery_id == delivery.id:
            job.delivery_id = None
            self._finisher.finish(job, seen, status)
        return 1

    def _begin(self, job: Job, fault: Fault | None) -> LocalDelivery:
        delivery = LocalDelivery(job, f"dlv_local{next(self._numbers)}", fault)
        job.delivery_id = delivery.id
        if fault is None or not fault.keeps_processor_out:
            self._app.open(delivery)
        return delivery

    def _judge(self, delivery: LocalDelivery, outcome: Outcome | None) -> tuple[Outcome, int | None]:
        fault = delivery.fault
        if fault is not None and fault.verdict is not None:
            return fault.verdict, fault.status
        return self._app.close(delivery, outcome)

    def _open(self) -> str:
        states = ("waiting", "prioritized", "delayed", "active")
        queues = self._store.queues.values()
        counts = ((queue.name, state, len(queue.ids(state))) for queue in queues for state in states)
        return ", ".join(f"{name} has {count} {state}" for name, state, count in counts if count)


def _certain_failure(job: Job) -> Failed | None:
    """Why the job fails without a delivery."""
    free_starts = job.attempts_started - job.attempts_made - 1
    if job.deferred_failure is not None:
        return Failed("UnrecoverableError", job.deferred_failure, unrecoverable=True)
    if free_starts >= MAX_FREE_STARTS:
        text = f"the job was started {free_starts} times without burning an attempt"
        return Failed("TooManyStarts", text, unrecoverable=True)
    return None
