"""One queue: which of its jobs are in which state, and which comes next."""

from __future__ import annotations

import bisect
import typing as t
from collections import deque

from .job import Job, Key
from .rates import NO_RATE, Rate, StartCounter

if t.TYPE_CHECKING:
    from ....workers.worker import Worker

# BullMQ's scores: a priority, then the order of coming; a time in ms, then the same.
_PRIORITY_ROOM = 2**32
_TIME_ROOM = 2**12

FINISHED: tuple[t.Literal["completed", "failed"], ...] = ("completed", "failed")


class QueueState:
    """The lists and sets that BullMQ keeps of a queue. `worker` runs it, None where nothing does."""

    def __init__(self, name: str, worker: Worker | None) -> None:
        self.name = name
        self.worker = worker
        self.jobs: dict[str, Job] = {}
        self.waiting: deque[str] = deque()
        """The next one is the last."""
        self.prioritized: list[tuple[int, str]] = []
        self.delayed: list[tuple[int, str]] = []
        self.active: dict[str, None] = {}
        self.waiting_children: dict[str, None] = {}
        self.completed: dict[str, None] = {}
        self.failed: dict[str, None] = {}
        self.is_paused = False
        self.global_concurrency: int | None = None
        self.global_rate: Rate | None = None
        self.starts = StartCounter()
        self._last_id = 0
        self._priority_counter = 0

    def new_id(self) -> str:
        """The next of BullMQ's ids, counted up with every job that is added, whatever id it gets."""
        self._last_id += 1
        return str(self._last_id)

    @property
    def rate(self) -> Rate:
        """The rate limit in force: somebody's, or the worker's."""
        limiter = self.worker.options.get("limiter") if self.worker else None
        return self.global_rate or (Rate(**limiter) if limiter else NO_RATE)

    @property
    def concurrency(self) -> int | None:
        """How many jobs may be processed at once."""
        bounds = (self.global_concurrency, self.worker.options["concurrency"] if self.worker else None)
        return min((bound for bound in bounds if bound is not None), default=None)

    @property
    def is_maxed(self) -> bool:
        """Whether as many jobs are processed as may be."""
        return self.concurrency is not None and len(self.active) >= self.concurrency

    def take(self, now: int) -> Job | None:
        """The next job, active from here on; None where none may start at `now`. BullMQ: moveToActive."""
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
        self.active[job_id] = None
        job.state, job.processed_on = "active", now
        job.attempts_started += 1
        return job

    def next_due(self, now: int) -> int | None:
        """When a job may start that may not at `now`, without anybody's doing."""
        if self.worker is None:
            return None
        due = [self.delayed[0][0] // _TIME_ROOM] if self.delayed else []
        if (self.waiting or self.prioritized) and not self.is_paused:
            due.append(now + self.starts.rest_left(self.rate.max, now))
        return min((moment for moment in due if moment > now), default=None)

    def push(self, job: Job, *, is_next: bool = False) -> None:
        """Let a job wait: behind the others, or before them. With a priority it is among its equals."""
        if job.priority:
            self._prioritize(job, 0 if is_next else self._count_priority())
        else:
            self.push_plain(job, is_next=is_next)

    def push_in_turn(self, job: Job, *, is_next: bool = False) -> None:
        """As `push`, but `is_next` is for jobs without a priority alone."""
        self.push(job, is_next=is_next and not job.priority)

    def push_plain(self, job: Job, *, is_next: bool = False) -> None:
        """Let a job wait among those without a priority."""
        job.state = "waiting"
        (self.waiting.append if is_next else self.waiting.appendleft)(job.id)

    def postpone(self, job: Job, until: int, *, in_order: bool = True) -> None:
        """Delay a job until then; with `in_order` after those that are delayed until the same ms."""
        job.state = "delayed"
        score = until * _TIME_ROOM
        if in_order:
            following = bisect.bisect_left(self.delayed, (score + _TIME_ROOM, ""))
            last = self.delayed[following - 1][0] if following else -1
            score = max(score, min(last + 1, score + _TIME_ROOM - 1))
        bisect.insort(self.delayed, (score, job.id))

    def promote_due(self, now: int) -> None:
        """Let the delayed jobs wait whose time has come."""
        due = bisect.bisect_left(self.delayed, ((now + 1) * _TIME_ROOM, ""))
        for _, job_id in self.delayed[:due]:
            job = self.jobs[job_id]
            job.delay = 0
            self.push(job)
        del self.delayed[:due]

    def detach(self, job: Job) -> None:
        """Take a job out of whatever it is in."""
        match job.state:
            case "waiting":
                self.waiting.remove(job.id)
            case "prioritized":
                self.prioritized = [pair for pair in self.prioritized if pair[1] != job.id]
            case "delayed":
                self.delayed = [pair for pair in self.delayed if pair[1] != job.id]
            case "active":
                self.active.pop(job.id, None)
            case "waiting-children":
                del self.waiting_children[job.id]
            case "completed":
                del self.completed[job.id]
            case "failed":
                del self.failed[job.id]

    def remove(self, job: Job) -> None:
        """Have the job no more."""
        self.detach(job)
        del self.jobs[job.id]
        job.is_removed = True

    def forget_settings(self) -> None:
        """Be as new: its limits, its pause, its ids."""
        self.is_paused = False
        self.global_concurrency = self.global_rate = None
        self._last_id = self._priority_counter = 0

    def ids(self, state: str) -> list[str]:
        """The jobs in `state`: the next one first where they wait, the oldest first elsewhere."""
        match state:
            case "waiting":
                return [*reversed(self.waiting)]
            case "prioritized":
                return [job_id for _, job_id in self.prioritized]
            case "delayed":
                return [job_id for _, job_id in self.delayed]
            case "active":
                return [*self.active]
            case "waiting-children":
                return [*self.waiting_children]
            case "completed":
                return [*self.completed]
            case "failed":
                return [*self.failed]
            case _:
                return []

    def key(self, job_id: str) -> Key:
        """Where a job of this queue is."""
        return Key(self.name, job_id)

    def _pop(self) -> str | None:
        if self.waiting:
            return self.waiting.pop()
        if self.prioritized:
            return self.prioritized.pop(0)[1]
        self._priority_counter = 0
        return None

    def _prioritize(self, job: Job, order: int) -> None:
        job.state = "prioritized"
        bisect.insort(self.prioritized, (job.priority * _PRIORITY_ROOM + order, job.id))

    def _count_priority(self) -> int:
        self._priority_counter += 1
        return self._priority_counter
