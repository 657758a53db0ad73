"""Carry out an outcome, as the server does with BullMQ's scripts."""

from __future__ import annotations

import dataclasses
import itertools
import typing as t

from ....protocol.outcomes import Completed, Delayed, Failed, Outcome, RateLimited, WaitingChildren
from ....rules.attempts import CHILD_FAILED, OPEN_CHILDREN, next_attempt, stacktraces
from ....rules.backoff import Strategies
from ....rules.results import RESULT_LIFE, may_vanish
from .adding import add_all
from .job import Key, NewSimulatedJob

if t.TYPE_CHECKING:
    from ....rules.dead_letters import DeadLetter
    from .job import SimulatedJob
    from .queue_state import QueueState
    from .store import Store

_BATCH = 1000


class Finisher:
    """Carries out the outcomes of active jobs. `rand` returns numbers from 0 to 1, for the jitter of backoffs."""

    def __init__(self, store: Store, rand: t.Callable[[], float]) -> None:
        self._store = store
        self._rand = rand

    def finish(self, job: SimulatedJob, outcome: Outcome, status: int | None) -> None:
        """Carry out an outcome. `status` is that of the app's HTTP answer, for the dead letter."""
        outcome, queue = _forbidden_by_children(job, outcome) or outcome, self._queue(job)
        match outcome:
            case Completed():
                job.return_value = outcome.return_value
                self._end(job, "completed")
            case Failed():
                self._fail(job, outcome, status)
            case RateLimited():
                queue.starts.rest(outcome.delay, self._store.now)
                queue.push(job, is_next=True)
            case Delayed():
                self._postpone(job, max(0, outcome.timestamp - self._store.now))
            case WaitingChildren() if job.open_children:
                queue.enter(job, "waiting-children")
            case WaitingChildren():
                queue.push(job, is_next=True)
            case _:
                t.assert_never(outcome)

    def _queue(self, job: SimulatedJob) -> QueueState:
        return self._store.queue(job.key.queue)

    def _fail(self, job: SimulatedJob, failure: Failed, status: int | None) -> None:
        reason = failure.reason
        job.stacktrace = stacktraces(job.stacktrace, failure.stack or reason, job.opts.get("stackTraceLimit"))
        job.failed_reason = reason
        if not failure.unrecoverable:
            worker = self._queue(job).worker
            strategies: Strategies = worker.options.get("backoffStrategies", {}) if worker else {}
            delay, job.failed_reason = next_attempt(
                reason, job.opts, job.attempts_made, strategies, rand=self._rand
            )
            if delay is not None:
                self._try_again(job, delay)
                return
        self._end(job, "failed")
        self._send_dead_letter(job, status)

    def _try_again(self, job: SimulatedJob, delay: int) -> None:
        job.attempts_made += 1
        job.waits.append(delay)
        if delay:
            self._postpone(job, delay)
            return
        queue = self._queue(job)
        queue.promote_due(self._store.now)
        queue.push_in_turn(job, is_next=bool(job.opts.get("lifo")))

    def _postpone(self, job: SimulatedJob, delay: int) -> None:
        job.delay = delay
        self._queue(job).postpone(job, self._store.now + delay)

    def _end(self, job: SimulatedJob, state: t.Literal["completed", "failed"]) -> None:
        queue, now = self._queue(job), self._store.now
        self._add_following(job)
        job.finished_on = now
        job.attempts_made += 1
        queue.enter(job, state)
        if state == "completed":
            self._store.child_completed(job)
        else:
            self._store.child_failed(job, job.failed_reason or "")
            job.deferred_failure = None
        keep = job.opts.get("removeOnComplete" if state == "completed" else "removeOnFail", False)
        if may_vanish(keep):
            self._store.results[job.key] = (now + RESULT_LIFE, job.result)
            for finished in _to_remove(queue, state, keep, now):
                self._store.remove(finished)

    def _add_following(self, job: SimulatedJob) -> None:
        following = self._store.deduplicators[job.key.queue].finished(job, self._store.now)
        if following is not None:
            new, job_id = following
            self._queue(job).new_id()
            self._store.put(dataclasses.replace(new, timestamp=self._store.now), job_id)

    def _send_dead_letter(self, job: SimulatedJob, status: int | None) -> None:
        queue = self._queue(job)
        target = queue.worker.options.get("deadLetter") if queue.worker else None
        if target is None:
            return
        from ....rules.dead_letters import dead_letter_id  # it imports pydantic

        failed_at, existing = self._store.now, self._store.queue(target).jobs
        while (id := dead_letter_id(queue.name, job.id, failed_at)) in existing:
            failed_at += 1  # the job failed before at this time: virtual time stands still
        data: DeadLetter = {
            "queue": queue.name,
            "id": job.id,
            "name": job.name,
            "data": job.data,
            "opts": job.opts,
            "attemptsMade": job.attempts_made,
            "reason": job.failed_reason or "",
            "stacktrace": job.stacktrace,
            "status": status,
            "failedAt": failed_at,
        }
        add_all(self._store, [NewSimulatedJob(target, job.name, data, {}, failed_at, id)])
        job.letters.append(Key(target, id))


def _forbidden_by_children(job: SimulatedJob, outcome: Outcome) -> Failed | None:
    """Return how the job fails instead, if its children do not allow the outcome."""
    match outcome:
        case Completed() if job.open_children:
            return Failed("PendingDependencies", OPEN_CHILDREN)
        case Completed() if job.failed_children:
            return Failed("ChildFailed", CHILD_FAILED.format("complete"), unrecoverable=True)
        case WaitingChildren() if job.failed_children:
            return Failed("ChildFailed", CHILD_FAILED.format("wait"), unrecoverable=True)
        case _:
            return None


def _to_remove(queue: QueueState, state: str, keep: t.Any, now: int) -> list[SimulatedJob]:
    """Return the finished jobs to remove by `keep`, a removeOnComplete or removeOnFail that is not False."""
    bounds = t.cast("dict[str, int]", keep if isinstance(keep, dict) else {"count": 0 if keep is True else keep})
    count, age, jobs = bounds.get("count"), bounds.get("age"), queue.by_state[state]
    if count == 0:
        return jobs[-1:]
    surplus = len(jobs) - count if count else 0
    if age is not None:
        since = now - age * 1000
        aged = itertools.takewhile(lambda job: (job.finished_on or 0) <= since, jobs[:_BATCH])
        surplus = max(surplus, sum(1 for _ in aged))
    return jobs[: max(0, surplus)]
