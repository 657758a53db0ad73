"""A queue: how it stands, why nothing runs, and its jobs by state."""

from __future__ import annotations

import asyncio
import typing as t

from markupsafe import Markup
from starlette.responses import Response

from nextmq_handler.errors import ConfigurationError
from nextmq_handler.protocol.arguments import check_queue_name
from nextmq_handler.rules.search.redaction import Redaction
from nextmq_handler.rules.views import JobView

from ...minutes.counts import Counts
from ...minutes.minutes import RANGES
from ...projects.roles import Role
from ..charts import LARGE, minute_counts, strip
from ..visits import Visit, needs
from ..words import clock

JOBS_A_PAGE = 50
"""How many jobs a page lists."""

MAX_PAGE = 20_000
"""The last page that can be asked for: search finds what is further back."""

LATEST = "latest"
"""The tab of the jobs that changed last, whatever their state."""

TABS = ("waiting", "active", "delayed", "prioritized", "waiting-children", "completed", "failed")

_TIMES = {"waiting": "timestamp", "active": "processedOn", "completed": "finishedOn", "failed": "finishedOn"}
_REDACTION = Redaction()


class Pulse(t.NamedTuple):
    """The last hour of a queue: its strip, the time of day at each quarter, and the counts of all minutes."""

    strip: Markup
    ticks: list[str]
    hour: dict[str, t.Any]

    @classmethod
    def of(cls, queue: str, steps: t.Sequence[tuple[int, Counts]], now: int) -> Pulse:
        """Return what happened until `now`, ms since the epoch."""
        total = Counts()
        for _, counts in steps:
            total.take(counts.text())
        ticks = [clock(now - quarters * 15 * 60_000)[:5] for quarters in (4, 3, 2, 1)]
        return cls(strip(minute_counts(steps), queue, now, LARGE), ticks, total.view())


@needs(Role.VIEWER)
async def page(visit: Visit) -> Response:
    """Show the queue."""
    queue = visit.param("queue")
    try:
        check_queue_name(queue)
    except ConfigurationError as exc:
        return visit.missing(str(exc))
    query = visit.request.query_params
    state, number = query.get("state", LATEST), query.get("page", "1")
    state = state if state in TABS else LATEST
    at = min(int(number), MAX_PAGE) if number.isdecimal() and len(number) < 10 and int(number) else 1
    [view], jobs, why, steps = await asyncio.gather(
        visit.service.overview.views([queue]),
        _jobs(visit, queue, state, at),
        visit.service.why.ask(queue),
        visit.service.minutes.read(queue, RANGES["1h"]),
    )
    total = sum(view["counts"].get(tab, 0) for tab in TABS) if state == LATEST else view["counts"].get(state, 0)
    return visit.page(
        "queue.html",
        section="queues",
        now=why.at,
        queue=queue,
        view=view,
        pulse=Pulse.of(queue, steps, why.at),
        causes=[cause.view() for cause in why.causes],
        jobs=[(_REDACTION.job(job), time_of(job)) for job in jobs],
        has_reason=any(job["failedReason"] for job in jobs),
        tabs=TABS,
        state=state,
        page=at,
        first=(at - 1) * JOBS_A_PAGE + 1,
        total=total,
        has_more=len(jobs) == JOBS_A_PAGE and state != LATEST,
    )


def time_of(job: JobView) -> int:
    """Return the time of a job that its state is about, ms since the epoch."""
    return t.cast("int | None", job.get(_TIMES.get(job["state"], ""))) or job["timestamp"]


async def _jobs(visit: Visit, queue: str, state: str, page: int) -> list[JobView]:
    start = (page - 1) * JOBS_A_PAGE
    wanted = ("active", "waiting", "failed", "completed") if state == LATEST else (state,)
    if "waiting" in wanted:
        wanted = (*wanted, "paused")  # where BullMQ keeps the waiting jobs of a paused queue
    found = await asyncio.gather(
        *(visit.service.jobs.some(queue, each, start, start + JOBS_A_PAGE - 1, ascending=False) for each in wanted)
    )
    jobs = [job for some, _ in found for job in some]
    if state == LATEST:
        jobs.sort(key=time_of, reverse=True)
    return jobs[:JOBS_A_PAGE]
