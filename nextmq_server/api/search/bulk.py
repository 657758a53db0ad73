"""/v1/bulk: change many jobs in the background."""

from __future__ import annotations

import typing as t

from fastapi import Request, Response

from nextmq_handler.rules.models import Closed
from nextmq_handler.rules.search.bulk import BulkAction, BulkBody
from nextmq_handler.rules.search.filters import Filter
from nextmq_handler.rules.search.redaction import HIDDEN, Redaction

from ...engine.queues.bulk.operations import Operation
from ...engine.queues.bulk.runner import sources_for
from ...engine.queues.search.searching import MAX_COUNTED
from ...service import Service
from ...timers import now_ms
from ..http.audited import Noted
from ..http.errors import ASCIIResponse
from ..http.request import Authorized, CallersKey, Hides, PathId, router
from .searching import turn

routes = router("/v1/bulk", "bulk")


class OperationView(Closed):
    """A bulk operation: how many jobs matched so far, were changed, and were left alone, for which reasons.

    `lookedAt` of `total` jobs is how far it is. `problem` says why it failed. Times are ms since the epoch.
    """

    id: str
    action: BulkAction
    queue: str
    filter: str | None
    state: t.Literal["running", "done", "cancelled", "failed"]
    matching: int
    done: int
    skipped: dict[str, int]
    lookedAt: int
    total: int | None
    problem: str | None
    createdAt: int
    finishedAt: int | None
    by: str | None


class OperationList(Closed):
    """The operations of the last week, the newest first, at most 100."""

    operations: list[OperationView]


class BulkCount(Closed):
    """How many jobs an operation would change, how many were looked at for it, and of how many."""

    matching: int
    lookedAt: int
    total: int
    isComplete: bool


@routes.post(
    "",
    status_code=202,
    response_model=OperationView,
    responses={200: {"model": BulkCount, "description": "dryRun"}},
)
async def start_bulk(
    request: Request, body: BulkBody, service: Authorized, key: CallersKey, changes: Noted, dryRun: bool = False
) -> Response:
    """Change the jobs of a queue that match a filter, or that have the ids; with `dryRun` only count them.

    Jobs that come later are not changed. The operation goes on if a server is killed, and changes no job twice.
    """
    filter = body.checked_filter()
    if dryRun:
        return ASCIIResponse(await _count(request, service, body, filter))
    fields = {
        **body.model_dump(),
        "filter": None if body.filter is None else str(filter),
        "by": key.name or key.id,
    }
    if body.ids is not None:
        changes.note_jobs(body.ids)
    changes["queue"] = body.queue
    changes.note_filter(f"{body.action}: {'these ids' if body.filter is None else filter}")
    return ASCIIResponse((await service.bulk.create(fields)).view(), 202)


@routes.get("", response_model=OperationList)
async def get_operations(service: Authorized, redaction: Hides) -> Response:
    """List the bulk operations."""
    return ASCIIResponse({"operations": [_shown(one, redaction) for one in await service.bulk.operations.all()]})


@routes.get("/{id}", response_model=OperationView)
async def get_operation(operation_id: PathId, service: Authorized, redaction: Hides) -> Response:
    """Get a bulk operation."""
    return ASCIIResponse(_shown(await service.bulk.operations.get(operation_id), redaction))


@routes.post("/{id}/cancel", response_model=OperationView)
async def cancel_operation(operation_id: PathId, service: Authorized) -> Response:
    """Cancel a bulk operation: it changes no job from now on. What it has done stays."""
    return ASCIIResponse((await service.bulk.operations.cancel(operation_id)).view())


async def _count(request: Request, service: Service, body: BulkBody, filter: Filter) -> dict[str, t.Any]:
    if body.ids is not None:
        there = await service.search.existing(body.queue, body.ids)
        return {"matching": there, "lookedAt": len(body.ids), "total": len(body.ids), "isComplete": True}
    matching, looked, spot, now = 0, 0, None, now_ms()
    sources = sources_for(body.action, filter)
    while True:
        async with turn(request, service):  # others search in between
            part = await service.search.count(filter, body.queue, sources, spot, now=now)
        matching, looked, spot = matching + part.matching, looked + part.looked, part.spot
        if spot is None or looked >= MAX_COUNTED:
            total = max(looked, part.total) if spot else looked
            return {"matching": matching, "lookedAt": looked, "total": total, "isComplete": spot is None}


def _shown(operation: Operation, redaction: Redaction | None) -> dict[str, t.Any]:
    """Return what the caller sees. A filter may be a secret that was looked for."""
    view = operation.view()
    return view if redaction is None or view["filter"] is None else {**view, "filter": HIDDEN}
