"""/v1/failures: failed jobs and dead letters, grouped by what went wrong."""

from __future__ import annotations

import typing as t

from fastapi import Query, Request, Response

from nextmq_handler.rules.limits import MAX_NAME
from nextmq_handler.rules.models import Closed
from nextmq_handler.rules.search.redaction import Redaction

from ...engine.queues.search.failures import FailureGroup
from ...timers import now_ms
from ..http.errors import ASCIIResponse
from ..http.request import Authorized, Hides, OfQueue, router
from .searching import turn

routes = router("/v1/failures", "search")


class FailureGroupView(Closed):
    """Failures of one queue with one job name and one reason, whose numbers, ids and addresses are `…`.

    `isNew` says that the first one came after the app that works for the queue had started. Times are ms since the
    epoch.
    """

    queue: str
    name: str
    reason: str
    count: int
    first: int
    last: int
    sampleIds: list[str]
    lastStatus: int | None
    deadLetters: int
    isNew: bool


class FailurePage(Closed):
    """The groups, the last failure first; how many jobs were looked at, and how many there are."""

    groups: list[FailureGroupView]
    lookedAt: int
    total: int


@routes.get("", response_model=FailurePage)
async def get_failures(
    request: Request,
    service: Authorized,
    redaction: Hides,
    queue: OfQueue = None,
    name: t.Annotated[str | None, Query(min_length=1, max_length=MAX_NAME, description="of the jobs")] = None,
) -> Response:
    """Group the newest 10,000 failed jobs and dead letters of each queue by what went wrong."""
    async with turn(request, service):
        look = await service.failures.look(queue, name, now=now_ms())
    groups = look.groups if redaction is None else [_shown(group, redaction) for group in look.groups]
    return ASCIIResponse({"groups": groups, "lookedAt": look.looked, "total": look.total})


def _shown(group: FailureGroup, redaction: Redaction) -> FailureGroup:
    return {**group, "name": redaction.text(group["name"]), "reason": redaction.text(group["reason"])}
