"""One queue: which of its jobs are in which state, and which comes next."""

from __future__ import annotations

import bisect
import typing as t

from ....rules.limits import UNLIMITED
from ....rules.states import STORED_STATES
from .job import SimulatedJob, State

if t.TYPE_CHECKING:
    from ....workers.worker import Worker

# BullMQ's scores: a priority, then the order of adding; a time in ms, then the same.
_PRIORITY_STEP = 2**32
_TIME_STEP = 2**12


class Rate(t.NamedTuple):
    """A rate limit: at most `max` starts in each `duration` ms."""

    max: int
    duration: int


_NO_RATE = Rate(UNLIMITED, 1000)


class StartCounter:
    """Counts the starts in a window that begins with the first start, as BullMQ's limiter does."""

    __slots__ = ("_count", "_until")

    def __init__(self) -> None:
        self._count = 0
        self._until = 0

    def note(self, duration: int, now: int) -> None:
        """Count a start. If it opens a window, the window lasts `duration` ms."""
        if self._until <= now:
            self._count, self._until = 0, now + duration
        self._count += 1

    def rest(self, duration: int, now: int) -> None:
        """Block starts for `duration` ms."""
        self._count, self._until = UNLIMITED, now + duration

    def rest_left(self, limit: int, now: int) -> int:
        """Return the ms until the next start, if a window allows `limit` starts."""
        return max(0, self._until - now) if self._count >= limit else 0

    def forget(self, now: int) -> bool:
        """Reset the counter; return whether a window was open."""
        was_counting = self._until > now
        self._count = self._until = 0
        return was_counting


class QueueState:
    """The lists and sets that BullMQ keeps for a queue. `worker` processes its jobs, if the test has one."""

    def __init__(self, name: str, worker: Worker | None) -> None:
        self.name = name
        self.worker = worker
        self.jobs: dict[str, SimulatedJob] = {}
        self.by_state: dict[str, list[SimulatedJob]] = {state: [] for state in STORED_STATES}
        """The jobs in each state, the next or the oldest first."""
        self.is_paused: bool = False
        self.global_concurrency: int | None = None
        self.global_rate: Rate | None = None
        self.starts: StartCounter = StartCounter()
        self._last_id = 0
        self._priority_counter = 0

    def new_id(self) -> str:
        """Return the next of BullMQ's ids. Every add counts, also of a job with a custom id."""
        self._last_id += 1
        return str(self._last_id)

    @property
    def rate(self) -> Rate:
        """The global rate limit, or else the worker's."""
        limiter = self.worker.options.get("limiter") if self.worker else None
        return self.global_rate or (Rate(**limiter) if limiter else _NO_RATE)

    @property
    def concurrency(self) -> int | None:
        """How many jobs may be active at once."""
        bounds = (self.global_concurrency, self.worker.options["concurrency"] if self.worker else None)
        return min((bound for bound in bounds if bound is not None), default=None)

    @property
    def is_maxed(self) -> bool:
        """Whether as many jobs are active as may be."""
        bound = self.concurrency
        return bound is not None and len(self.by_state["active"]) >= bound

    def next_job(self, now: int) -> SimulatedJob | None:
        """Return the job that may start at `now`, if any."""
        if self.worker is None:
            return None
        self.promote_due(now)
        if self.starts.rest_left(self.rate.max, now) or self.is_paused or self.is_maxed:
            return None
        ready = self.by_state["waiting"] or self.by_state["prioritized"]
        if not ready:
            self._priority_counter = 0
            return None
        return ready[0]

    def start(self, job: SimulatedJob, now: int) -> None:
        """Start a job. BullMQ: moveToActive."""
        if job.deferred_failure is None:
            self.starts.note(self.rate.duration, now)
        self.enter(job, "active")
        job.processed_on = now
        job.attempts_started += 1

    def next_due(self, now: int) -> int | None:
        """Return the first time after `now` at which a job may start, or None."""
        if self.worker is None:
            return None
        due = [job.score // _TIME_STEP for job in self.by_state["delayed"][:1]]
        if (self.by_state["waiting"] or self.by_state["prioritized"]) and not self.is_paused:
            due.append(now + self.starts.rest_left(self.rate.max, now))
        return min((moment for moment in due if moment > now), default=None)

    def push(self, job: SimulatedJob, *, is_next: bool = False) -> None:
        """Queue a job: last, or first with `is_next`, among the jobs with the same priority."""
        if not job.priority:
            self.enter(job, "waiting", is_next=is_next)
            return
        if not is_next:
            self._priority_counter += 1
        order = 0 if is_next else self._priority_counter
        self._enter_by_score(job, "prioritized", job.priority * _PRIORITY_STEP + order)

    def push_in_turn(self, job: SimulatedJob, *, is_next: bool = False) -> None:
        """Queue a job as `push` does; `is_next` counts only for jobs without a priority."""
        self.push(job, is_next=is_next and not job.priority)

    def postpone(self, job: SimulatedJob, until: int, *, in_order: bool = True) -> None:
        """Delay a job until this time; with `in_order` behind those that are delayed until the same ms."""
        score = until * _TIME_STEP
        earlier = self._delayed_before(until + 1)
        if in_order and earlier:
            score = max(score, min(earlier[-1].score + 1, score + _TIME_STEP - 1))
        self._enter_by_score(job, "delayed", score)

    def promote_due(self, now: int) -> None:
        """Queue the delayed jobs that are due."""
        for job in self._delayed_before(now + 1):
            job.delay = 0
            self.push(job)

    def enter(self, job: SimulatedJob, state: State, *, is_next: bool = False) -> None:
        """Move a job to this state, behind the jobs that are in it, or before them with `is_next`."""
        self._leave(job)
        job.state = state
        jobs = self.by_state[state]
        jobs.insert(0 if is_next else len(jobs), job)

    def remove(self, job: SimulatedJob) -> None:
        """Remove a job from the queue."""
        self._leave(job)
        del self.jobs[job.id]
        job.is_removed = True

    def forget_settings(self) -> None:
        """Reset the pause, the limits and the ids."""
        self.is_paused = False
        self.global_concurrency = self.global_rate = None
        self._last_id = self._priority_counter = 0

    def _enter_by_score(self, job: SimulatedJob, state: State, score: int) -> None:
        self._leave(job)
        job.state, job.score = state, score
        bisect.insort(self.by_state[state], job, key=_rank)

    def _leave(self, job: SimulatedJob) -> None:
        if self.jobs.get(job.id) is job:  # a new job is in no state yet
            self.by_state[job.state].remove(job)

    def _delayed_before(self, moment: int) -> list[SimulatedJob]:
        delayed = self.by_state["delayed"]
        return delayed[: bisect.bisect_left(delayed, (moment * _TIME_STEP, ""), key=_rank)]


def _rank(job: SimulatedJob) -> tuple[int, str]:
    return job.score, job.id
