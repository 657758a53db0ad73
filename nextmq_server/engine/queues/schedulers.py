"""Job schedulers: add, change, read and remove them. `scheduling` adds each next job."""

from __future__ import annotations

import asyncio
import typing as t

from nextmq_handler.rules.scheduling import Template, has_ended, is_same_scheduler, overdue_by
from nextmq_handler.rules.views import LastRunView, scheduler_view

from ...timers import now_ms
from ..scripts.packers import long_names
from ..scripts.scripts import QueueScripts, fields_of
from .job import whole
from .jobs import Jobs, decoded
from .scheduling import LAST_RUNS, add


class NoSuchScheduler(Exception):
    """The job scheduler does not exist."""


class NextJob(t.NamedTuple):
    """The next job of a scheduler: it waits, runs or is delayed for `delay` ms more."""

    id: str
    delay: int


class SchedulerState(t.NamedTuple):
    """A job scheduler: what the API shows, and its next job if it has one."""

    view: dict[str, t.Any]
    next_job: NextJob | None

    @property
    def has_ended(self) -> bool:
        """Whether the scheduler's limit or end is reached."""
        return has_ended(self.view, self.view["iterationCount"], now_ms())

    @property
    def template(self) -> Template:
        """What its jobs are made of."""
        return Template(self.view["name"], **self.view["template"])

    def is_same(self, repeat: dict[str, t.Any], template: Template) -> bool:
        """Return whether these times and this template would not change the scheduler."""
        return is_same_scheduler(self.view, self.template, repeat, template)


class JobSchedulers:
    """The job schedulers of all queues under one BullMQ prefix.

    Each method raises RedisError or ConnectionLost too.
    """

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs

    async def upsert(self, queue: str, id: str, repeat: dict[str, t.Any], template: Template) -> SchedulerState:
        """Add a scheduler or change it. Does nothing if it is the same already, even if it has ended.

        `repeat` has BullMQ's names: `every` ms or a cron `pattern` in the time zone `tz` (UTC), `limit`, `offset`
        ms, `startDate` and `endDate` ms since the epoch, `immediately`. Raises InvalidSchedule; WrongState if its
        next times have had their jobs already; or NoSuchScheduler if it is removed in the meantime.
        """
        held = await self.find(queue, id)
        if held is None or not held.is_same(repeat, template) or not (held.next_job or held.has_ended):
            await add(self._jobs.scripts(queue), id, repeat, template)
        return await self.get(queue, id)

    async def get(self, queue: str, id: str) -> SchedulerState:
        """Return a scheduler. Raises NoSuchScheduler."""
        found = await self.find(queue, id)
        if found is None:
            raise NoSuchScheduler(id)
        return found

    async def find(self, queue: str, id: str) -> SchedulerState | None:
        """Return a scheduler, if it exists."""
        scripts = self._jobs.scripts(queue)
        key = scripts.keys["repeat"]
        execute = scripts.connection.execute
        flat, millis, last_id = await asyncio.gather(
            execute("HGETALL", f"{key}:{id}"),
            execute("ZSCORE", key, id),
            execute("HGET", scripts.own_key(LAST_RUNS), id),
        )
        if not flat or millis is None:
            return None
        job_id, due, now = f"repeat:{id}:{millis}", int(millis), now_ms()
        (timestamp, started_on, finished_on), last = await asyncio.gather(
            execute("HMGET", scripts.key(job_id), "timestamp", "processedOn", "finishedOn"),
            _run_of(scripts, last_id),
        )
        is_next = timestamp is not None and finished_on is None
        view = _view(
            id,
            fields_of(flat),
            due if is_next else None,
            last=last,
            overdue=overdue_by(due, now) if is_next and started_on is None else None,
        )
        return SchedulerState(view, NextJob(job_id, max(0, due - now)) if is_next else None)

    async def page(self, queue: str, start: int, end: int, *, ascending: bool) -> list[SchedulerState]:
        """Return the schedulers from `start` to `end`; if `ascending`, the one that runs next first."""
        command = "ZRANGE" if ascending else "ZREVRANGE"
        ids: list[str] = await self._jobs.scripts(queue).execute(command, "repeat", start, end)
        found = await asyncio.gather(*(self.find(queue, id) for id in ids))
        # The others were removed just now, or are repeatable jobs of a BullMQ without job schedulers.
        return [scheduler for scheduler in found if scheduler is not None]

    async def count(self, queue: str) -> int:
        """Return the number of schedulers in the queue."""
        return int(await self._jobs.scripts(queue).execute("ZCARD", "repeat"))

    async def remove(self, queue: str, id: str) -> bool:
        """Remove a scheduler and its delayed job. Return whether it existed. A job that is due still runs."""
        scripts = self._jobs.scripts(queue)
        was_there = bool(await scripts.pack.removeJobScheduler(id) == 0)
        await scripts.connection.execute("HDEL", scripts.own_key(LAST_RUNS), id)
        return was_there


async def _run_of(scripts: QueueScripts, job_id: str | None) -> LastRunView | None:
    """Return what became of a scheduler's job."""
    if job_id is None:
        return None
    state: str = await scripts.pack.getState(job_id)
    [finished_on] = await scripts.fields(job_id, "finishedOn")
    return {"jobId": job_id, "state": state, "finishedOn": whole(finished_on) or None}


def _view(
    id: str, fields: dict[str, str], next_millis: int | None, *, last: LastRunView | None, overdue: int | None
) -> dict[str, t.Any]:
    numbers = ("every", "limit", "startDate", "endDate", *(["offset"] if "every" in fields else []))
    repeat: dict[str, t.Any] = {name: fields.get(name) for name in ("pattern", "tz")}
    repeat |= {name: whole(fields.get(name)) for name in numbers}
    data, opts = decoded(fields.get("data", "{}")), long_names(decoded(fields.get("opts")))
    template = Template(fields.get("name", id), data, opts)
    return scheduler_view(
        id,
        template,
        repeat,
        next=next_millis,
        iteration_count=whole(fields.get("ic")) or 0,
        last=last,
        overdue_by=overdue,
    )
