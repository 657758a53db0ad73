"""GET /v1/overview: all queues of the project at a glance."""

from __future__ import annotations

import bisect

from fastapi import Response

from nextmq_handler.rules.models import Closed
from nextmq_handler.rules.views import LastDelivery

from ...overview.states import QueueState
from ..http.paging import From, Piece, answer_list, item
from ..http.request import Authorized, router

routes = router("/v1/overview", "queues")

ROWS_AT_ONCE = 1001
"""How many rows a piece of the answer has: one is some hundred bytes."""


class StandingView(Closed):
    """How a queue stands: its state, the cause in a short sentence, and what it waits for.

    `nearest` is the queue with a worker that was perhaps meant. `oldestWaiting` is how long, in ms, the oldest of
    its next jobs has waited. `deadLettersOf` are the queues whose dead letters it gets.
    """

    state: QueueState
    cause: str | None
    nearest: str | None
    oldestWaiting: int | None
    lastDelivery: LastDelivery | None
    deadLettersOf: list[str]


class OverviewRow(StandingView):
    """A queue at a glance. `since` is ms since the epoch; `workers` counts BullMQ's own, which may run beside."""

    name: str
    since: int | None
    counts: dict[str, int]
    isPaused: bool
    workers: int
    failedLastHour: int
    completedLastHour: int


class OverviewPage(Closed):
    """The project's queues by name. `at` is ms since the epoch; `next` is where to go on, if there is more."""

    at: int
    queues: list[OverviewRow]
    next: str | None = None


@routes.get("", response_model=OverviewPage)
async def get_overview(service: Authorized, position: From = None) -> Response:
    """Show state, counts and last delivery of all queues by name. `next` is the `from` of those beyond 16 MiB."""
    names = await service.queue_names()

    async def read(position: str | None) -> Piece:
        start = bisect.bisect_left(names, position or "")
        rows = await service.overview.rows(names[start : start + ROWS_AT_ONCE])
        return Piece([item(row) for row in rows], next(iter(names[start + ROWS_AT_ONCE :]), None))

    return await answer_list(service.shares, read, position, "queues", at=await service.overview.now())
