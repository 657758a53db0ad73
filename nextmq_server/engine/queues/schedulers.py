"""Job schedulers: make, change, look at and remove them. How one goes on is in scheduling.py."""

from __future__ import annotations

import asyncio
import json
import typing as t

from nextmq_handler.rules.schedules import Template

from ...timers import now_ms
from ..scripts.scripts import QueueScripts, ScriptRunner
from .job import long_names, whole
from .jobs import decoded
from .scheduling import add


class NoSuchScheduler(Exception):
    """There is no such job scheduler."""


class NextJob(t.NamedTuple):
    """A scheduler's next job: it waits, runs or is delayed for `delay` ms more."""

    id: str
    delay: int


class SchedulerState(t.NamedTuple):
    """A job scheduler as it is now: what the API shows, and its next job where there is one."""

    view: dict[str, t.Any]
    next_job: NextJob | None

    @property
    def has_ended(self) -> bool:
        """Whether its limit or its end is reached."""
        limit, end = self.view["limit"], self.view["endDate"]
        return bool((limit and self.view["iterationCount"] >= limit) or (end and now_ms() > end))


class JobSchedulers:
    """The job schedulers of all queues under one BullMQ prefix.

    Each call raises RedisError or ConnectionLost too.
    """

    def __init__(self, runner: ScriptRunner, prefix: str) -> None:
        self._runner = runner
        self._prefix = prefix

    async def upsert(self, queue: str, id: str, repeat: dict[str, t.Any], template: Template) -> SchedulerState:
        """Make a scheduler, or change it. One that is the same already is left alone, also where it has ended.

        `repeat` has BullMQ's names: `every` ms or a cron `pattern` in the time zone `tz` (UTC), `limit`, `offset`
        ms, `startDate` and `endDate` ms since the epoch, `immediately`. Raises InvalidSchedule, WrongState where
        its next times have had their jobs already, or NoSuchScheduler where it is removed meanwhile.
        """
        scripts = self._scripts(queue)
        held = await _read(scripts, id)
        is_same = held is not None and _is_of(held.view, repeat, template)
        if held is None or not is_same or not (held.next_job or held.has_ended):
            await add(self._runner, self._prefix, queue, id, repeat, template)
        return await self.get(queue, id)

    async def get(self, queue: str, id: str) -> SchedulerState:
        """A scheduler. Raises NoSuchScheduler."""
        found = await _read(self._scripts(queue), id)
        if found is None:
            raise NoSuchScheduler(id)
        return found

    async def page(self, queue: str, start: int, end: int, *, ascending: bool) -> list[SchedulerState]:
        """The schedulers from `start` to `end`, the one that runs next first where `ascending`."""
        scripts = self._scripts(queue)
        command = "ZRANGE" if ascending else "ZREVRANGE"
        ids: list[str] = await scripts.connection.execute(command, scripts.keys["repeat"], start, end)
        found = await asyncio.gather(*(_read(scripts, id) for id in ids))
        # The others were removed just now, or are repeatable jobs of a BullMQ from before job schedulers.
        return [scheduler for scheduler in found if scheduler is not None]

    async def count(self, queue: str) -> int:
        """How many schedulers the queue has."""
        scripts = self._scripts(queue)
        return int(await scripts.connection.execute("ZCARD", scripts.keys["repeat"]))

    async def remove(self, queue: str, id: str) -> bool:
        """Remove a scheduler with its delayed job; whether there was one. A job that is due already still runs."""
        return bool(await self._scripts(queue).pack.removeJobScheduler(id) == 0)

    def _scripts(self, queue: str) -> QueueScripts:
        return QueueScripts(self._runner, queue, self._prefix)


async def _read(scripts: QueueScripts, id: str) -> SchedulerState | None:
    key = scripts.keys["repeat"]
    execute = scripts.connection.execute
    flat, millis = await asyncio.gather(execute("HGETALL", f"{key}:{id}"), execute("ZSCORE", key, id))
    if not flat or millis is None:
        return None
    fields: dict[str, str] = dict(zip(flat[::2], flat[1::2], strict=True))
    job_id = f"repeat:{id}:{millis}"
    timestamp, finished_on = await execute("HMGET", scripts.key(job_id), "timestamp", "finishedOn")
    next_job = None
    if timestamp is not None and finished_on is None:
        next_job = NextJob(job_id, max(0, int(millis) - now_ms()))
    return SchedulerState(_view(id, fields, int(millis) if next_job else None), next_job)


def _view(id: str, fields: dict[str, str], next_millis: int | None) -> dict[str, t.Any]:
    opts = long_names(decoded(fields.get("opts")))
    return {
        "id": id,
        "name": fields.get("name", id),
        "every": whole(fields.get("every")),
        "pattern": fields.get("pattern"),
        "tz": fields.get("tz"),
        "limit": whole(fields.get("limit")),
        "offset": whole(fields.get("offset")) if "every" in fields else None,
        "startDate": whole(fields.get("startDate")),
        "endDate": whole(fields.get("endDate")),
        "next": next_millis,
        "iterationCount": whole(fields.get("ic")) or 0,
        "template": {"data": decoded(fields.get("data", "{}")), "opts": opts},
    }


def _is_of(view: dict[str, t.Any], repeat: dict[str, t.Any], template: Template) -> bool:
    """Whether a scheduler is what these make. Without an offset in them it keeps the one that BullMQ gave it."""
    names = ("every", "pattern", "tz", "limit", "startDate", "endDate")
    if any(view[name] != repeat.get(name) for name in names):
        return False
    if repeat.get("offset") is not None and view["offset"] != repeat["offset"]:
        return False
    data: t.Any = {} if template.data is None else template.data
    wanted = {"data": data, "opts": template.opts}
    return view["name"] == template.name and _canonical(view["template"]) == _canonical(wanted)


def _canonical(value: t.Any) -> str:
    # In JSON 1 and 1.0 are one number, which Lua writes as 1; True is another value.
    return json.dumps(json.loads(json.dumps(value), parse_float=_number), sort_keys=True)


def _number(text: str) -> float:
    number = float(text)
    return int(number) if number.is_integer() else number
