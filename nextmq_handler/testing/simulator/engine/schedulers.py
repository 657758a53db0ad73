"""Job schedulers: each makes its next job when the one before it starts, as BullMQ's do."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ....errors import ConfigurationError
from .adding import NewJob, put
from .job import Job

if t.TYPE_CHECKING:
    from .store import Store

_MAX_TRIES = 32
_NO_SLOT = "has had jobs at its next times already: remove those, or choose another id"


class InvalidTimes(ValueError):
    """Times that cannot be: the message says what is wrong with which option."""


class NoSlotLeft(Exception):
    """The scheduler's next times have had their jobs already."""


@dataclass(slots=True)
class Scheduler:
    """A job scheduler. `repeat` has BullMQ's names; `next` is when its newest job is due, ms since the epoch."""

    queue: str
    id: str
    name: str
    data: t.Any
    opts: dict[str, t.Any]
    repeat: dict[str, t.Any]
    next: int = 0
    iterations: int = 1

    @property
    def newest_job(self) -> str:
        """The id of the job that it made last."""
        return f"repeat:{self.id}:{self.next}"


class Schedulers:
    """The job schedulers of all queues."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._by_queue: dict[str, dict[str, Scheduler]] = {}

    def of(self, queue: str) -> dict[str, Scheduler]:
        """The schedulers of a queue, by their ids."""
        return self._by_queue.setdefault(queue, {})

    def pending(self, scheduler: Scheduler) -> Job | None:
        """The scheduler's newest job, None where it has ended: another follows when it starts."""
        job = self._store.queue(scheduler.queue).jobs.get(scheduler.newest_job)
        return job if job is not None and job.finished_on is None else None

    def upsert(self, new: Scheduler) -> Scheduler:
        """Make a scheduler with its next job, or change it; one that is the same already is left alone.

        Raises InvalidTimes or NoSlotLeft.
        """
        held = self.of(new.queue).get(new.id)
        if held is not None and _is_same(held, new) and (self.pending(held) or self._has_ended(held)):
            return held
        end = new.repeat.get("endDate")
        if end is not None and self._now > end:
            raise InvalidTimes("endDate: no run would come before it")
        if held is not None:
            new.iterations = held.iterations
        if new.repeat.get("every"):
            self._begin_every(new, held)
        else:
            self._begin_pattern(new, held)
        new.repeat.pop("immediately", None)
        self.of(new.queue)[new.id] = new
        self._make_job(new, count=1)
        return new

    def advance(self, job: Job) -> None:
        """Make the job that follows, where this is a scheduler's newest one."""
        scheduler = self.of(job.key.queue).get(job.scheduler_id) if job.scheduler_id else None
        if scheduler is None or job.id != scheduler.newest_job:
            return
        repeat: dict[str, t.Any] = job.opts["repeat"]
        count, limit, end = repeat["count"] + 1, repeat.get("limit"), repeat.get("endDate")
        if limit is not None and count > limit:
            return
        following = self._following(scheduler, repeat, max(self._now, scheduler.next))
        if following is None or (end is not None and following > end):
            return
        scheduler.next = following
        if scheduler.newest_job not in self._store.queue(scheduler.queue).jobs:
            scheduler.iterations += 1
            self._make_job(scheduler, count=count)

    def remove(self, queue: str, id: str) -> bool:
        """Remove a scheduler with its delayed job; whether there was one. A job that is due already still runs."""
        scheduler = self.of(queue).pop(id, None)
        if scheduler is None:
            return False
        job = self.pending(scheduler)
        if job is not None and job.state == "delayed":
            self._store.remove(job)
        return True

    @property
    def _now(self) -> int:
        return self._store.clock.ms

    def _has_ended(self, scheduler: Scheduler) -> bool:
        limit, end = scheduler.repeat.get("limit"), scheduler.repeat.get("endDate")
        return bool((limit and scheduler.iterations >= limit) or (end and self._now > end))

    def _following(self, scheduler: Scheduler, repeat: dict[str, t.Any], after: int) -> int | None:
        if scheduler.repeat.get("every"):
            return _next_every(scheduler.next, scheduler.repeat, self._now)
        return _next_of_pattern(repeat, after)

    def _begin_every(self, new: Scheduler, held: Scheduler | None) -> None:
        repeat, before = new.repeat, held.repeat if held else {}
        is_moved = repeat.get("startDate") != before.get("startDate") or (
            repeat.get("offset") is not None and repeat["offset"] != before.get("offset")
        )
        goes_on = held is not None and before.get("every") == repeat["every"] and not is_moved
        new.next = _next_every(held.next if held and goes_on else None, repeat, self._now)
        replaces = held is not None and self._drop_pending(held)
        if replaces and goes_on and held:
            new.next = held.next
        if repeat.get("offset") is None and goes_on and "offset" in before:
            repeat["offset"] = before["offset"]
        elif not repeat.get("offset"):
            repeat["offset"] = new.next % repeat["every"]
        for _ in range(_MAX_TRIES):
            if new.newest_job not in self._store.queue(new.queue).jobs:
                return
            new.next += repeat["every"]
        raise NoSlotLeft(_NO_SLOT)

    def _begin_pattern(self, new: Scheduler, held: Scheduler | None) -> None:
        names = ("startDate", "pattern", "tz")
        is_same = held is not None and all(held.repeat.get(name) == new.repeat.get(name) for name in names)
        was_pending = held is not None and self._drop_pending(held)
        if held is not None and is_same and was_pending and not new.repeat.get("immediately"):
            new.next = held.next  # only the template is new: a run that is due must not be put off
            return
        after = self._now
        for _ in range(_MAX_TRIES):
            following = self._now if new.repeat.get("immediately") else _next_of_pattern(new.repeat, after)
            end = new.repeat.get("endDate")
            if following is None or (end is not None and following > end):
                raise InvalidTimes("endDate: no run would come before it")
            new.next = after = following
            if new.newest_job not in self._store.queue(new.queue).jobs:
                return
        raise NoSlotLeft(_NO_SLOT)

    def _drop_pending(self, scheduler: Scheduler) -> bool:
        job = self.pending(scheduler)
        # Of a paused queue BullMQ looks for it where no job waits any more.
        is_hidden = self._store.queue(scheduler.queue).is_paused and job is not None and job.state == "waiting"
        if job is None or job.state == "active" or is_hidden:
            return False
        self._store.remove(job)
        return True

    def _make_job(self, scheduler: Scheduler, *, count: int) -> None:
        delay = max(0, scheduler.next - self._now)
        opts = {
            **scheduler.opts,
            "delay": delay,
            "jobId": scheduler.newest_job,
            "prevMillis": scheduler.next,
            "repeat": {**scheduler.repeat, "count": count},
            "repeatJobKey": scheduler.id,
            "timestamp": self._now,
        }
        self._store.queue(scheduler.queue).new_id()
        data: t.Any = {} if scheduler.data is None else scheduler.data
        new = NewJob(scheduler.queue, scheduler.name, data, opts, self._now)
        put(self._store, new, scheduler.newest_job, scheduler_id=scheduler.id)


def _is_same(held: Scheduler, new: Scheduler) -> bool:
    names = ("every", "pattern", "tz", "limit", "startDate", "endDate")
    if any(held.repeat.get(name) != new.repeat.get(name) for name in names):
        return False
    if new.repeat.get("offset") is not None and held.repeat.get("offset") != new.repeat["offset"]:
        return False
    return (held.name, held.data, held.opts) == (new.name, new.data, new.opts)


def _next_every(previous: int | None, repeat: dict[str, t.Any], now: int) -> int:
    """BullMQ: getJobSchedulerEveryNextMillis."""
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


def _next_of_pattern(repeat: dict[str, t.Any], after: int) -> int | None:
    from ....rules.cron import InvalidSchedule, next_run

    try:
        return next_run(repeat["pattern"], repeat.get("tz"), max(after, repeat.get("startDate") or 0))
    except ModuleNotFoundError:
        raise ConfigurationError(
            "cron patterns need croniter, which comes with the server: pip install 'nextmq-handler[server]', or "
            "croniter alone, beside the tests"
        ) from None
    except InvalidSchedule as exc:
        raise InvalidTimes(str(exc)) from None
