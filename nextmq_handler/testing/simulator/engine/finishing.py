"""Carry out an outcome, as the queue server does with BullMQ's scripts."""

from __future__ import annotations

import dataclasses
import itertools
import typing as t

from ....protocol.wire import Completed, Delayed, Failed, Outcome, RateLimited
from ....rules.backoff import Strategies, UnknownBackoff, backoff_delay
from ....rules.dead_letters import dead_letter_id
from .adding import NewJob, add_all, put
from .delivery_log import reason_of
from .snapshots import may_vanish

if t.TYPE_CHECKING:
    from .job import Job
    from .queue_state import QueueState
    from .snapshots import Snapshots
    from .store import Store

_BATCH = 1000
_CHILD_FAILED = "the job cannot {}: it has a child that failed"


class Finisher:
    """Moves active jobs where their outcomes say. `rand` gives numbers from 0 to 1, for the jitter of backoffs."""

    def __init__(self, store: Store, snapshots: Snapshots, rand: t.Callable[[], float]) -> None:
        self._store = store
        self._snapshots = snapshots
        self._rand = rand

    def finish(self, job: Job, outcome: Outcome, status: int | None) -> None:
        """`status` is that of the app's HTTP answer, for the dead letter."""
        if isinstance(outcome, Completed):
            self._complete(job, outcome, status)
        elif isinstance(outcome, Failed):
            self._fail(job, outcome, status)
        elif isinstance(outcome, RateLimited):
            self._queue(job).starts.rest(outcome.delay, self._now)
            self._let_wait_first(job)
        elif isinstance(outcome, Delayed):
            self._postpone(job, max(0, outcome.timestamp - self._now))
        else:
            self._wait_for_children(job, status)

    @property
    def _now(self) -> int:
        return self._store.clock.ms

    def _queue(self, job: Job) -> QueueState:
        return self._store.queue(job.key.queue)

    def _complete(self, job: Job, outcome: Completed, status: int | None) -> None:
        if job.open_children:
            self._fail(job, Failed("PendingDependencies", "the job cannot complete: it has open children"), status)
        elif job.failed_children:
            self._fail(job, Failed("ChildFailed", _CHILD_FAILED.format("complete"), unrecoverable=True), status)
        else:
            job.return_value = outcome.return_value
            self._end(job, "completed")

    def _fail(self, job: Job, failure: Failed, status: int | None) -> None:
        reason = reason_of(failure)
        limit = job.opts.get("stackTraceLimit")
        stacktrace = [*job.stacktrace, failure.stack or reason]
        job.stacktrace = stacktrace if limit is None else stacktrace[-limit:] if limit else []
        job.failed_reason = reason
        worker = self._queue(job).worker
        if not failure.unrecoverable and job.attempts_made + 1 < job.attempts:
            try:
                strategies: Strategies = worker.options.get("backoffStrategies", {}) if worker else {}
                backoff = job.opts.get("backoff")
                delay = backoff_delay(backoff, job.attempts_made + 1, strategies, rand=self._rand)
            except UnknownBackoff as exc:
                job.failed_reason = f"{reason} ({exc})"
            else:
                self._try_again(job, delay)
                return
        self._end(job, "failed")
        self._send_letter(job, status)

    def _try_again(self, job: Job, delay: int) -> None:
        queue = self._queue(job)
        job.attempts_made += 1
        job.waits.append(delay)
        if delay:
            self._postpone(job, delay)
            return
        queue.promote_due(self._now)
        queue.detach(job)
        queue.push_in_turn(job, is_next=bool(job.opts.get("lifo")))

    def _postpone(self, job: Job, delay: int) -> None:
        queue = self._queue(job)
        queue.detach(job)
        job.delay = delay
        queue.postpone(job, self._now + delay)

    def _let_wait_first(self, job: Job) -> None:
        queue = self._queue(job)
        queue.detach(job)
        queue.push(job, is_next=True)

    def _wait_for_children(self, job: Job, status: int | None) -> None:
        if job.failed_children:
            self._fail(job, Failed("ChildFailed", _CHILD_FAILED.format("wait"), unrecoverable=True), status)
        elif job.open_children:
            queue = self._queue(job)
            queue.detach(job)
            job.state = "waiting-children"
            queue.waiting_children[job.id] = None
        else:
            self._let_wait_first(job)

    def _end(self, job: Job, state: t.Literal["completed", "failed"]) -> None:
        queue, now = self._queue(job), self._now
        queue.detach(job)
        self._add_following(job)
        job.state, job.finished_on = state, now
        job.attempts_made += 1
        if state == "completed":
            self._store.child_completed(job)
        else:
            self._store.child_failed(job, job.failed_reason or "")
            job.deferred_failure = None
        keep = job.opts.get("removeOnComplete" if state == "completed" else "removeOnFail", False)
        finished: dict[str, None] = getattr(queue, state)
        finished[job.id] = None
        if may_vanish(keep):
            self._snapshots.take(job, now)
            self._remove_old(finished, queue, keep, now)

    def _add_following(self, job: Job) -> None:
        deduplicator = self._store.deduplicators[job.key.queue]
        following = deduplicator.finished(job, self._now)
        if following is None:
            return
        new, job_id = following
        self._queue(job).new_id()
        deduplicator.adopt(new, job_id, self._now)
        put(self._store, dataclasses.replace(new, timestamp=self._now), job_id)

    def _remove_old(self, finished: dict[str, None], queue: QueueState, keep: t.Any, now: int) -> None:
        """`keep` is a removeOnComplete or removeOnFail: True, how many stay, or count and age (s)."""
        bounds = t.cast(
            "dict[str, int]", keep if isinstance(keep, dict) else {"count": 0 if keep is True else keep}
        )
        count, age = bounds.get("count"), bounds.get("age")
        if count == 0:
            gone = [next(reversed(finished))]
        else:
            aged = 0 if age is None else _count_until(finished, queue, now - age * 1000)
            gone = [*itertools.islice(finished, max(aged, len(finished) - count if count else 0))]
        for job_id in gone:
            self._store.remove(queue.jobs[job_id])

    def _send_letter(self, job: Job, status: int | None) -> None:
        queue = self._queue(job)
        target = queue.worker.options.get("deadLetter") if queue.worker else None
        if target is None:
            return
        failed_at, letters = self._now, self._store.queue(target).jobs
        while (letter_id := dead_letter_id(job.key.queue, job.id, failed_at)) in letters:
            failed_at += 1  # the same job failed at this time before: time stands still
        letter = {
            "queue": job.key.queue,
            "id": job.id,
            "name": job.name,
            "data": job.data,
            "opts": job.opts,
            "attemptsMade": job.attempts_made,
            "reason": job.failed_reason,
            "stacktrace": job.stacktrace,
            "status": status,
            "failedAt": failed_at,
        }
        add_all(self._store, [NewJob(target, job.name, letter, {}, failed_at, letter_id)])


def _count_until(finished: t.Iterable[str], queue: QueueState, moment: int) -> int:
    """How many of the finished jobs, the oldest first, had finished by `moment`."""
    old = itertools.takewhile(lambda id: (queue.jobs[id].finished_on or 0) <= moment, finished)
    return sum(1 for _ in itertools.islice(old, _BATCH))
