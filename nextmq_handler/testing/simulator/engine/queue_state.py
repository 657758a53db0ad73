"""One queue: which of its jobs are in which state, and which comes next."""

from __future__ import annotations

import bisect
import typing as t
from collections import deque

from .job import SimulatedJob

if t.TYPE_CHECKING:
    from ....workers.worker import Worker

SetState = t.Literal["active", "waiting-children", "completed", "failed"]

UNLIMITED = 2**53 - 1
"""The `max` of a rate without a limit."""

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
        self.waiting: deque[str] = deque()
        """The next job is the last."""
        self.prioritized: list[tuple[int, str]] = []
        self.delayed: list[tuple[int, str]] = []
        self.active: dict[str, None] = {}
        self._sets: dict[str, dict[str, None]] = {
            "active": self.active,
            "waiting-children": {},
            "completed": {},
            "failed": {},
        }
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
        return bound is not None and len(self.active) >= bound

    def take(self, now: int) -> SimulatedJob | None:
        """Start the next job and return it, None if no job may start at `now`. BullMQ: moveToActive."""
        if self.worker is None:
            return None
        self.promote_due(now)
        if self.starts.rest_left(self.rate.max, now) or self.is_paused or self.is_maxed:
            return None
        job_id = self._pop()
        if job_id is None:
            return None
        job = self.jobs[job_id]
        if job.deferred_failure is None:
            self.starts.note(self.rate.duration, now)
        self.enter(job, "active")
        job.processed_on = now
        job.attempts_started += 1
        return job

    def next_due(self, now: int) -> int | None:
        """Return the first time after `now` at which a job may start, or None."""
        if self.worker is None:
            return None
        due = [self.delayed[0][0] // _TIME_STEP] if self.delayed else []
        if (self.waiting or self.prioritized) and not self.is_paused:
            due.append(now + self.starts.rest_left(self.rate.max, now))
        return min((moment for moment in due if moment > now), default=None)

    def push(self, job: SimulatedJob, *, is_next: bool = False) -> None:
        """Queue a job: last, or first with `is_next`, among the jobs with the same priority."""
        if not job.priority:
            self.push_plain(job, is_next=is_next)
            return
        if not is_next:
            self._priority_counter += 1
        order = 0 if is_next else self._priority_counter
        job.state = "prioritized"
        bisect.insort(self.prioritized, (job.priority * _PRIORITY_STEP + order, job.id))

    def push_in_turn(self, job: SimulatedJob, *, is_next: bool = False) -> None:
        """Queue a job as `push` does; `is_next` counts only for jobs without a priority."""
        self.push(job, is_next=is_next and not job.priority)

    def push_plain(self, job: SimulatedJob, *, is_next: bool = False) -> None:
        """Queue a job among those without a priority."""
        job.state = "waiting"
        (self.waiting.append if is_next else self.waiting.appendleft)(job.id)

    def postpone(self, job: SimulatedJob, until: int, *, in_order: bool = True) -> None:
        """Delay a job until this time; with `in_order` behind those that are delayed until the same ms."""
        job.state = "delayed"
        score = until * _TIME_STEP
        if in_order:
            following = bisect.bisect_left(self.delayed, (score + _TIME_STEP, ""))
            last = self.delayed[following - 1][0] if following else -1
            score = max(score, min(last + 1, score + _TIME_STEP - 1))
        bisect.insort(self.delayed, (score, job.id))

    def promote_due(self, now: int) -> None:
        """Queue the delayed jobs that are due."""
        due = bisect.bisect_left(self.delayed, ((now + 1) * _TIME_STEP, ""))
        for _, job_id in self.delayed[:due]:
            job = self.jobs[job_id]
            job.delay = 0
            self.push(job)
        del self.delayed[:due]

    def enter(self, job: SimulatedJob, state: SetState) -> None:
        """Put a job into the set of this state."""
        job.state = state
        self._sets[state][job.id] = None

    def detach(self, job: SimulatedJob) -> None:
        """Take a job out of the list or set that its state names."""
        match job.state:
            case "waiting":
                self.waiting.remove(job.id)
            case "prioritized" | "delayed":
                scored = self.delayed if job.state == "delayed" else self.prioritized
                scored[:] = [pair for pair in scored if pair[1] != job.id]
            case state:
                self._sets[state].pop(job.id, None)

    def remove(self, job: SimulatedJob) -> None:
        """Remove a job from the queue."""
        self.detach(job)
        del self.jobs[job.id]
        job.is_removed = True

    def forget_settings(self) -> None:
        """Reset the pause, the limits and the ids."""
        self.is_paused = False
        self.global_concurrency = self.global_rate = None
        self._last_id = self._priority_counter = 0

    def ids(self, state: str) -> list[str]:
        """Return the ids of the jobs in `state`, the next or the oldest first."""
        match state:
            case "waiting":
                return [*reversed(self.waiting)]
            case "prioritized" | "delayed":
                return [job_id for _, job_id in (self.delayed if state == "delayed" else self.prioritized)]
            case _:
                return [*self._sets.get(state, ())]

    def _pop(self) -> str | None:
        if self.waiting:
            return self.waiting.pop()
        if self.prioritized:
            return self.prioritized.pop(0)[1]
        self._priority_counter = 0
        return None
