"""GET /v1/audit: what operators did."""

from __future__ import annotations

import typing as t

from fastapi import Query, Response

from nextmq_handler.rules.models import Closed
from nextmq_handler.rules.search.redaction import HIDDEN, Redaction

from ...audit.entries import ShownEntry
from ..http.errors import ASCIIResponse
from ..http.request import Authorized, Hides, router

MAX_AUDIT_PAGE = 1000
"""The most entries of one answer."""

routes = router("/v1/audit", "audit")

Wanted = t.Annotated[str | None, Query(min_length=1, max_length=300)]


class WhoView(Closed):
    """Who acted: an API key by its id, with its name and role."""

    kind: str
    id: str
    name: str | None
    role: str


class AuditView(Closed):
    """One action. `outcome` is "done", the code of the error, or "started" if no end was noted (yet).

    `ids` are the first 20 of the `count` jobs or other things. `at` is ms since the epoch.
    """

    id: str
    at: int
    who: WhoView
    address: str
    action: str
    queue: str | None
    ids: list[str]
    count: int | None
    filter: str | None
    outcome: str
    requestId: str | None


class AuditList(Closed):
    """Actions, the newest first. `cursor` is where to go on, if there may be more."""

    entries: list[AuditView]
    cursor: str | None


@routes.get("", response_model=AuditList)
async def get_audit(
    service: Authorized,
    redaction: Hides,
    who: Wanted = None,
    action: Wanted = None,
    queue: Wanted = None,
    limit: t.Annotated[int, Query(ge=1, le=MAX_AUDIT_PAGE)] = 100,
    cursor: t.Annotated[str | None, Query(max_length=40, pattern="^[1-9][0-9]{0,17}-[0-9]{1,18}$")] = None,
) -> Response:
    """List what operators did: changes of jobs, queues and settings.

    `who` is the id, the name or the role of a key. What apps and processors do is not in the log.
    """
    page = await service.audit.read(limit=limit, cursor=cursor, who=who, action=action, queue=queue)
    return ASCIIResponse({"entries": [_view(shown, redaction) for shown in page.entries], "cursor": page.cursor})


def _view(shown: ShownEntry, redaction: Redaction | None) -> dict[str, t.Any]:
    """Return what the caller sees. A filter may be a secret that was looked for."""
    entry = shown.entry.model_dump(by_alias=True, exclude={"of"})
    if redaction is not None and entry["filter"] is not None:
        entry["filter"] = HIDDEN
    return {"id": shown.id, "at": shown.at, **entry}
