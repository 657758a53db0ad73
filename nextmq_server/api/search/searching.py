"""/v1/search: find jobs by a filter."""

from __future__ import annotations

import contextlib
import typing as t

from fastapi import Query, Request, Response

from nextmq_handler.rules.models import Closed
from nextmq_handler.rules.search.filters import MAX_FILTER, parse_filter
from nextmq_handler.rules.views import JobView

from ...engine.queues.search.cursors import MAX_CURSOR, read_cursor, write_cursor
from ...service import Service
from ...shares import SearchTurns
from ...timers import now_ms
from ..http.errors import ASCIIResponse
from ..http.request import Authorized, Hides, OfQueue, router

routes = router("/v1/search", "search")

MAX_HITS = 200
"""The most jobs of one answer."""


class FoundJobView(Closed):
    """A job that was found, and its queue."""

    queue: str
    job: JobView


class SearchPage(Closed):
    """Jobs that match, how many were looked at, and of how many; `cursor` is where to go on, null at the end.

    `backTo` is when the last job that was looked at ended or was added, ms since the epoch.
    """

    jobs: list[FoundJobView]
    lookedAt: int
    total: int
    backTo: int | None
    cursor: str | None


def turn(request: Request, service: Service) -> contextlib.AbstractAsyncContextManager[None]:
    """Wait for the project's turn to search. Raises TooManySearches."""
    searches: SearchTurns = request.app.state.searches
    return searches.one(service.project.name)


@routes.get("", response_model=SearchPage)
async def search(
    request: Request,
    service: Authorized,
    redaction: Hides,
    q: t.Annotated[str, Query(max_length=MAX_FILTER, description="the filter; empty for all jobs")] = "",
    queue: OfQueue = None,
    limit: t.Annotated[int, Query(ge=1, le=MAX_HITS)] = 50,
    cursor: t.Annotated[
        str | None, Query(min_length=1, max_length=MAX_CURSOR, description="the `cursor` of the answer before")
    ] = None,
) -> Response:
    """Find jobs: `state:failed error:502 attempts:>2 since:2h data.user.id:42 "a phrase"`.

    An id is looked up at once. Otherwise the newest jobs of each state come first. One answer looks at up to
    50,000 jobs, for 2 s at most; `cursor` goes on from there.
    """
    filter = parse_filter(q)
    spot = None if cursor is None else read_cursor(cursor)
    async with turn(request, service):
        found = await service.search.search(filter, queue, spot, limit=limit, now=now_ms(), redaction=redaction)
    jobs = [
        {"queue": one.queue, "job": one.job if redaction is None else redaction.job(one.job)} for one in found.jobs
    ]
    return ASCIIResponse(
        {
            "jobs": jobs,
            "lookedAt": found.looked,
            "total": found.total,
            "backTo": found.back_to,
            "cursor": found.spot and write_cursor(found.spot),
        }
    )
