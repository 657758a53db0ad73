"""The first page: what needs attention, and all queues."""

from __future__ import annotations

import asyncio
import typing as t

from markupsafe import Markup
from starlette.responses import Response

from ...minutes.minutes import RANGES
from ...projects.roles import Role
from ..charts import minute_counts, strip
from ..visits import Visit, needs

MAX_STRIPS = 100
"""A page with more queues shows numbers for the last hour, no bars."""

MAX_ROWS = 1000
"""How many queues a page shows."""

ATTENTION = ("disabled", "held", "stuck", "no_worker", "dead_letters", "paused")
"""The states that need somebody, the most urgent first. Then a queue of which many jobs fail."""

FAILURES_AN_HOUR = 300
"""From so many failures in the last hour on, 5 a minute, a queue that runs needs somebody, too."""

_ORDER = {state: place for place, state in enumerate((*ATTENTION, "unknown", "rate_limited", "running", "idle"))}

_SORTS: dict[str, t.Callable[[dict[str, t.Any]], t.Any]] = {
    "state": lambda row: (_ORDER.get(row["state"], 0), row["name"]),
    "name": lambda row: row["name"],
    "waiting": lambda row: -waiting(row),
    "oldest": lambda row: -(row["oldestWaiting"] or 0),
    "failed": lambda row: -row["counts"].get("failed", 0),
}


class QueuesShown(t.NamedTuple):
    """What the page shows: the rows of this page, those that need somebody, and sums over all queues."""

    rows: list[dict[str, t.Any]]
    attention: list[dict[str, t.Any]]
    total: int
    matching: int
    sums: dict[str, int]


@needs(Role.VIEWER)
async def page(visit: Visit) -> Response:
    """Show the project's queues."""
    query = visit.request.query_params
    sort = query.get("sort", "state")
    sort = sort if sort in _SORTS else "state"
    wanted = query.get("name", "")
    number = _page_number(query.get("page", ""))
    rows = await all_rows(visit)
    shown = select(rows, sort=sort, wanted=wanted, page=number)
    now = await visit.service.overview.now()
    names = [row["name"] for row in shown.rows if not row["deadLettersOf"]]
    strips = await _strips(visit, names, now) if len(names) <= MAX_STRIPS else {}
    if not rows:
        return await _first_run(visit, now)
    return visit.page(
        "queues.html",
        section="queues",
        now=now,
        shown=shown,
        strips=strips,
        sort=sort,
        wanted=wanted,
        page=number,
        pages=max(1, -(-shown.matching // MAX_ROWS)),
    )


async def all_rows(visit: Visit) -> list[dict[str, t.Any]]:
    """Return a row of the overview for each queue."""
    return await visit.service.overview.rows(await visit.service.queue_names())


def select(rows: list[dict[str, t.Any]], *, sort: str, wanted: str, page: int) -> QueuesShown:
    """Return what a page shows of all rows."""
    matching = [row for row in rows if wanted.lower() in row["name"].lower()]
    matching.sort(key=_SORTS[sort])
    attention = sorted_by_trouble(filter(needs_attention, rows))
    sums = {
        "waiting": sum(map(waiting, rows)),
        "active": sum(row["counts"].get("active", 0) for row in rows),
        "failed": sum(row["counts"].get("failed", 0) for row in rows),
        "an hour": sum(row["completedLastHour"] for row in rows),
    }
    piece = matching[(page - 1) * MAX_ROWS : page * MAX_ROWS]
    return QueuesShown(piece, attention, len(rows), len(matching), sums)


def needs_attention(row: dict[str, t.Any]) -> bool:
    """Return whether somebody should look at a queue."""
    return row["state"] in ATTENTION or row["failedLastHour"] >= FAILURES_AN_HOUR


def sorted_by_trouble(rows: t.Iterable[dict[str, t.Any]]) -> list[dict[str, t.Any]]:
    """Return the rows, the most urgent first."""
    return sorted(rows, key=_SORTS["state"])


def waiting(row: dict[str, t.Any]) -> int:
    """Return how many jobs of a queue could run now."""
    return int(row["counts"].get("waiting", 0)) + int(row["counts"].get("prioritized", 0))


async def _strips(visit: Visit, names: t.Sequence[str], now: int) -> dict[str, Markup]:
    minutes = visit.service.minutes
    found = await asyncio.gather(*(minutes.read(name, RANGES["1h"]) for name in names))
    return {name: strip(minute_counts(steps), name, now) for name, steps in zip(names, found, strict=True)}


async def _first_run(visit: Visit, now: int) -> Response:
    host = visit.request.headers["host"]
    return visit.page(
        "first_run.html",
        section="queues",
        now=now,
        host=host,
        server=await visit.service.server.view(),
    )


def _page_number(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) <= 6 and int(text) > 0 else 1
