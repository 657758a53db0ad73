"""Search: jobs of all queues that match a filter."""

from __future__ import annotations

import contextlib
import typing as t

from starlette.responses import Response

from nextmq_handler.rules.search.filters import MAX_FILTER, FilterError, parse_filter
from nextmq_handler.rules.search.redaction import Redaction

from ...engine.queues.search.cursors import BadCursor, read_cursor, write_cursor
from ...projects.roles import Role
from ...shares import SearchTurns
from ..visits import Visit, needs

MAX_HITS = 50
"""How many jobs a page of hits has."""

SEARCH_TIMEOUT = 10.0
"""How long, in s, a page waits for a search, its turn included."""

EXAMPLES = ("id:6181", "state:failed since:2h", "error:502 attempts:>2", "data.user.id:42", '"a phrase"')
"""Filters that the page shows to those who have not asked yet."""

_REDACTION = Redaction()


@needs(Role.VIEWER, within=SEARCH_TIMEOUT)
async def page(visit: Visit) -> Response:
    """Show the jobs that match. Who sees no secrets finds nothing by them, either."""
    query = visit.request.query_params
    wanted, cursor = query.get("q", "").strip(), query.get("cursor")
    now = await visit.service.overview.now()
    shown: dict[str, t.Any] = {"wanted": wanted, "found": None, "jobs": [], "cursor": None, "problem": None}
    if wanted:
        try:
            filter, spot = parse_filter(wanted[: MAX_FILTER + 1]), read_cursor(cursor) if cursor else None
        except (FilterError, BadCursor) as exc:
            shown["problem"] = exc
            return visit.page("search.html", section="search", now=now, **shown)
        redaction = None if visit.role.includes(Role.OPERATOR) else _REDACTION
        async with turn(visit):
            found = await visit.service.search.search(
                filter, None, spot, limit=MAX_HITS, now=now, redaction=redaction
            )
        shown |= {
            "found": found,
            "jobs": [(one.queue, _REDACTION.job(one.job)) for one in found.jobs],
            "cursor": found.spot and write_cursor(found.spot),
        }
    return visit.page("search.html", section="search", now=now, examples=EXAMPLES, **shown)


def turn(visit: Visit) -> contextlib.AbstractAsyncContextManager[None]:
    """Wait for the project's turn to search. Raises TooManySearches."""
    searches: SearchTurns = visit.request.app.state.searches
    return searches.one(visit.service.project.name)
