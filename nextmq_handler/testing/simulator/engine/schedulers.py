"""Job schedulers: each adds its next job when the previous one starts, as BullMQ's do."""

from __future__ import annotations

import itertools
import typing as t
from dataclasses import dataclass

from ....errors import ConfigurationError
from ....rules.cron import InvalidSchedule
from ....rules.refusals import wrong_scheduler_state
from ....rules.scheduling import (
    MAX_TRIES,
    NO_RUN,
    NO_TIME,
    Template,
    has_ended,
    is_same_scheduler,
    next_of_pattern,
    overdue_by,
)
from .job import NewSimulatedJob, SimulatedJob

if t.TYPE_CHECKING:
    from ....rules.views import LastRunView
    from .store import Store


@dataclass(slots=True)
class SimulatedScheduler:
    """A job scheduler. `repeat` has BullMQ's names. `next` is when the newest job is due, ms since the epoch."""

    queue: str
    id: str
    repeat: dict[str, t.Any]
    template: Template
    next: int = 0
    iterations: int = 1
    last_job: str | None = None
    """The id of the job that was started last."""

    @property
    def newest_job(self) -> str:
        """The id of the job that the scheduler added last."""
        return f"repeat:{self.id}:{self.next}"


class SimulatedSchedulers:
    """The job schedulers of all queues."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._by_queue: dict[str, dict[str, SimulatedScheduler]] = {}

    def of(self, queue: str) -> dict[str, SimulatedScheduler]:
        """Return the schedulers of a queue by their ids."""
        return self._by_queue.setdefault(queue, {})

    def of_newest(self, job: SimulatedJob) -> SimulatedScheduler | None:
        """Return the scheduler whose newest job this is, if any."""
        scheduler = self.of(job.key.queue).get(job.repeat_job_key) if job.repeat_job_key else None
        return scheduler if scheduler is not None and scheduler.newest_job == job.id else None

    def pending(self, scheduler: SimulatedScheduler) -> SimulatedJob | None:
        """Return the newest job of a scheduler, None if it has finished."""
        job = self._store.queue(scheduler.queue).jobs.get(scheduler.newest_job)
        return job if job is not None and job.finished_on is None else None

    def last(self, scheduler: SimulatedScheduler) -> LastRunView | None:
        """Return what became of the job that was started last."""
        if scheduler.last_job is None:
            return None
        job = self._store.queue(scheduler.queue).jobs.get(scheduler.last_job)
        state, finished_on = (job.state, job.finished_on) if job else ("unknown", None)
        return {"jobId": scheduler.last_job, "state": state, "finishedOn": finished_on}

    def overdue_by(self, scheduler: SimulatedScheduler) -> int | None:
        """Return for how many ms the next job should have started; None if it is not overdue."""
        job = self.pending(scheduler)
        is_waiting = job is not None and job.processed_on is None
        return overdue_by(scheduler.next, self._store.now) if is_waiting else None

    def upsert(self, new: SimulatedScheduler) -> SimulatedScheduler:
        """Add or change a scheduler, with its next job. An equal scheduler stays as it is.

        Raises InvalidSchedule, or Refusal if there were jobs at its next times already.
        """
        held = self.of(new.queue).get(new.id)
        if (
            held is not None
            and is_same_scheduler(held.repeat, held.template, new.repeat, new.template)
            and (self.pending(held) or has_ended(held.repeat, held.iterations, self._store.now))
        ):
            return held
        end = new.repeat.get("endDate")
        if end is not None and self._store.now > end:
            raise InvalidSchedule(NO_RUN)
        if held is not None:
            new.iterations, new.last_job = held.iterations, held.last_job
        times = self._times_of_every(new, held) if new.repeat.get("every") else self._times_of_pattern(new, held)
        for new.next in itertools.islice(times, MAX_TRIES):
            if new.newest_job not in self._store.queue(new.queue).jobs:
                break
        else:
            raise wrong_scheduler_state(new.queue, new.id, NO_TIME)
        new.repeat.pop("immediately", None)
        self.of(new.queue)[new.id] = new
        self._add_job(new, count=1)
        return new

    def advance(self, job: SimulatedJob) -> None:
        """Note that the job starts. Add the next job, if this is the newest job of a scheduler."""
        started = self.of(job.key.queue).get(job.repeat_job_key) if job.repeat_job_key else None
        if started is not None and job.attempts_started == 1:
            started.last_job = job.id
        scheduler = self.of_newest(job)
        if scheduler is None:
            return
        repeat: dict[str, t.Any] = job.opts["repeat"]
        count, limit, end = repeat["count"] + 1, repeat.get("limit"), repeat.get("endDate")
        if limit is not None and count > limit:
            return
        if scheduler.repeat.get("every"):
            following = _next_every(scheduler.next, scheduler.repeat, self._store.now)
        else:
            following = _next_of_pattern(repeat, max(self._store.now, scheduler.next))
        if end is not None and following > end:
            return
        scheduler.next = following
        if scheduler.newest_job not in self._store.queue(scheduler.queue).jobs:
            scheduler.iterations += 1
            self._add_job(scheduler, count=count)

    def remove(self, queue: str, id: str) -> bool:
        """Remove a scheduler and its delayed job; return whether it existed. A job that is due still runs."""
        scheduler = self.of(queue).pop(id, None)
        if scheduler is None:
            return False
        job = self.pending(scheduler)
        if job is not None and job.state == "delayed":
            self._store.remove(job)
        return True

    def _times_of_every(self, new: SimulatedScheduler, held: SimulatedScheduler | None) -> t.Iterator[int]:
        repeat, before = new.repeat, held.repeat if held else {}
        is_moved = repeat.get("startDate") != before.get("startDate") or (
            repeat.get("offset") is not None and repeat["offset"] != before.get("offset")
        )
        continues = before.get("every") == repeat["every"] and not is_moved
        previous = held.next if held and continues else None
        first = _next_every(previous, repeat, self._store.now)
        if held and self._drop_pending(held) and previous is not None:
            first = previous
        if repeat.get("offset") is None and continues and "offset" in before:
            repeat["offset"] = before["offset"]
        elif not repeat.get("offset"):
            repeat["offset"] = first % repeat["every"]
        return itertools.count(first, repeat["every"])

    def _times_of_pattern(self, new: SimulatedScheduler, held: SimulatedScheduler | None) -> t.Iterator[int]:
        repeat, names = new.repeat, ("startDate", "pattern", "tz")
        is_same = held is not None and all(held.repeat.get(name) == repeat.get(name) for name in names)
        was_pending = held is not None and self._drop_pending(held)
        if held is not None and is_same and was_pending and not repeat.get("immediately"):
            yield held.next  # only the template is new: a run that is due must not be put off
        after, end = self._store.now, repeat.get("endDate")
        while True:
            following = self._store.now if repeat.get("immediately") else _next_of_pattern(repeat, after)
            if end is not None and following > end:
                raise InvalidSchedule(NO_RUN)
            yield (after := following)

    def _drop_pending(self, scheduler: SimulatedScheduler) -> bool:
        job = self.pending(scheduler)
        # BullMQ does not find a waiting job while the queue is paused.
        is_hidden = self._store.queue(scheduler.queue).is_paused and job is not None and job.state == "waiting"
        if job is None or job.state == "active" or is_hidden:
            return False
        self._store.remove(job)
        return True

    def _add_job(self, scheduler: SimulatedScheduler, *, count: int) -> None:
        delay = max(0, scheduler.next - self._store.now)
        opts = {
            **scheduler.template.opts,
            "delay": delay,
            "jobId": scheduler.newest_job,
            "prevMillis": scheduler.next,
            "repeat": {**scheduler.repeat, "count": count},
            "repeatJobKey": scheduler.id,
            "timestamp": self._store.now,
        }
        self._store.queue(scheduler.queue).new_id()
        data: t.Any = {} if scheduler.template.data is None else scheduler.template.data
        new = NewSimulatedJob(scheduler.queue, scheduler.template.name, data, opts, self._store.now)
        self._store.put(new, scheduler.newest_job, scheduler_id=scheduler.id)


def _next_every(previous: int | None, repeat: dict[str, t.Any], now: int) -> int:
    """Return the next time of an `every`, ms since the epoch. BullMQ: getJobSchedulerEveryNextMillis."""
    every: int = repeat["every"]
    offset: int = repeat.get("offset") or 0
    if previous is None:
        if repeat.get("startDate"):
            return max(now, int(repeat["startDate"]))
        return _next_slot(every, offset, now) if offset else now
    following = previous + every
    return following if following >= now else _next_slot(every, offset, now)


def _next_slot(every: int, offset: int, now: int) -> int:
    slot = now // every * every + offset
    return slot if slot > now else slot + every


def _next_of_pattern(repeat: dict[str, t.Any], after: int) -> int:
    try:
        return next_of_pattern(repeat, after)
    except ModuleNotFoundError:
        raise ConfigurationError(
            "cron patterns need croniter: install it for your tests, or install the server, which brings it: "
            "pip install 'nextmq-handler[server]'"
        ) from None
