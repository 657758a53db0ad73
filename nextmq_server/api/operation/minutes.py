"""GET /v1/queues/{queue}/metrics: how jobs ended, what the app answered, how long jobs waited and ran."""

from __future__ import annotations

import typing as t

from fastapi import Query
from pydantic import Field

from nextmq_handler.rules.models import Closed

from ...minutes.counts import CLASSES
from ...minutes.minutes import RANGES
from ..http.request import Authorized, QueueName, router

routes = router("/v1/queues/{queue}/metrics", "queues")


class Percentiles(Closed):
    """About how long, in ms: interpolated, so each may be wrong by a quarter."""

    p50: int
    p95: int
    p99: int


class MinutesPoint(Closed):
    """What happened in one step, which begins at `at` (ms since the epoch).

    `deliveries` counts by the class of the status; `none` is without an answer. `wait` is from when a job was due
    to its first delivery, `run` is a delivery; null if there was none. `oldestWaiting` is ms.
    """

    at: int
    completed: int
    failed: int
    retried: int
    deliveries: dict[str, int] = Field(description=", ".join(CLASSES))
    wait: Percentiles | None
    run: Percentiles | None
    oldestWaiting: int | None


class MinutesView(Closed):
    """The counts of a queue, the oldest first, in steps of `step` ms, without steps in which no server ran."""

    queue: str
    step: int
    points: list[MinutesPoint]


@routes.get("")
async def get_minutes(
    queue: QueueName,
    service: Authorized,
    range_: t.Annotated[t.Literal["1h", "6h", "24h", "7d", "90d"], Query(alias="range")] = "1h",
) -> MinutesView:
    """Get what happened in the queue, over all servers. The last 10 s may be missing."""
    span = RANGES[range_]
    steps = await service.minutes.read(queue, span)
    points = [MinutesPoint.model_validate({"at": at, **counts.view()}) for at, counts in steps]
    return MinutesView(queue=queue, step=span.step, points=points)
