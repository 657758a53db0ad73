"""The schedules of all queues: when they run, and whether they did."""

from __future__ import annotations

import asyncio
import typing as t

from starlette.responses import Response

from ...projects.roles import Role
from ..visits import Visit, needs
from ..words import schedule_text

MAX_SCHEDULES = 500
"""How many schedules a page shows."""

OVERDUE_AFTER = 30_000
"""A schedule is overdue from so many ms on."""


class Row(t.NamedTuple):
    """A schedule as the page shows it."""

    queue: str
    view: dict[str, t.Any]
    words: str
    is_declared: bool


@needs(Role.VIEWER)
async def page(visit: Visit) -> Response:
    """Show the schedules, those that are overdue first."""
    schedulers = visit.service.schedulers
    names = await visit.service.queue_names()
    counts = await asyncio.gather(*(schedulers.count(name) for name in names))
    rows: list[Row] = []
    for name, count in zip(names, counts, strict=True):
        room = MAX_SCHEDULES - len(rows)
        if count and room > 0:
            declared = {schedule.id for schedule in await visit.service.registry.declared(name)}
            rows += [
                _row(name, one.view, declared) for one in await schedulers.page(name, 0, room - 1, ascending=True)
            ]
    rows.sort(key=lambda row: (-(row.view["overdueBy"] or 0), row.view["next"] or 0, row.queue))
    return visit.page(
        "schedules.html",
        section="schedules",
        now=await visit.service.overview.now(),
        rows=rows,
        total=sum(counts),
        overdue=sum((row.view["overdueBy"] or 0) > OVERDUE_AFTER for row in rows),
        overdue_after=OVERDUE_AFTER,
    )


def _row(queue: str, view: dict[str, t.Any], declared: t.Collection[str]) -> Row:
    words = schedule_text(view["every"], view["pattern"], view["tz"])
    return Row(queue, view, words, view["id"] in declared)
