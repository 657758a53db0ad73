"""What alerts are judged by: the overview's look at each queue, and its schedules."""

from __future__ import annotations

import typing as t

from ..engine.queues.jobs import Jobs
from ..overview.overview import Overview
from ..workers.registry import Registry

AT_ONCE = 100
"""Of how many queues one script reads the schedules."""

# KEYS: the schedules of each queue. Returns by how many ms the first of each is overdue; less than 0 if it is not.
_OVERDUE = """
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local found = {}
for i, key in ipairs(KEYS) do
  local read, first = pcall(redis.call, 'ZRANGE', key, 0, 0, 'WITHSCORES')
  found[i] = read and first[2] and math.floor(now - first[2]) or -1
end
return found
"""


class QueueFacts(t.NamedTuple):
    """What holds of a queue at the moment. Ages are ms.

    `hold` is "held" or "disabled" if the queue is one of these, `held_for` how long that lasts. `overdue` is by
    how much its next schedule is late. `has_worker`: an app is registered, or a BullMQ worker connected.
    `is_of_dead_letters`: other queues send their dead letters here.
    """

    queue: str
    waiting: int
    delayed: int
    oldest_waiting: int | None
    is_paused: bool
    hold: str | None
    held_for: int
    overdue: int
    has_worker: bool = True
    is_of_dead_letters: bool = False


class QueueWatch:
    """Looks at all queues of a project."""

    def __init__(
        self,
        overview: Overview,
        jobs: Jobs,
        registry: Registry,
        queue_names: t.Callable[[], t.Awaitable[t.Sequence[str]]],
    ) -> None:
        self._overview = overview
        self._jobs = jobs
        self._registry = registry
        self._queue_names = queue_names

    async def look(self) -> tuple[int, list[QueueFacts]]:
        """Return Redis's time, ms since the epoch, and the facts of each queue.

        Raises RedisError or ConnectionLost.
        """
        names = await self._queue_names()
        now, rows = await self._overview.now(), await self._overview.rows(names)
        overdue = await self._overdue(names)
        return now, [
            self._facts(row, late, now=now)
            for row, late in zip(rows, overdue, strict=True)
            if row["state"] != "unknown"
        ]

    def _facts(self, row: t.Mapping[str, t.Any], overdue: int, *, now: int) -> QueueFacts:
        counts = row["counts"]
        hold = row["state"] if row["state"] in ("held", "disabled") else None
        return QueueFacts(
            queue=row["name"],
            waiting=counts["waiting"] + counts["paused"] + counts["prioritized"],
            delayed=counts["delayed"],
            oldest_waiting=row["oldestWaiting"],
            is_paused=row["isPaused"],
            hold=hold,
            held_for=now - row["since"] if hold else 0,
            overdue=overdue,
            has_worker=row["workers"] > 0 or self._registry.get(row["name"]) is not None,
            is_of_dead_letters=bool(row["deadLettersOf"]),
        )

    async def _overdue(self, names: t.Sequence[str]) -> list[int]:
        found = list[int]()
        for first in range(0, len(names), AT_ONCE):
            some = [self._jobs.scripts(name) for name in names[first : first + AT_ONCE]]
            found += await some[0].run_composed(_OVERDUE, [scripts.keys["repeat"] for scripts in some], [])
        return found
