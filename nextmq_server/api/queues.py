"""/v1/queues: queues as a whole."""

from __future__ import annotations

import typing as t

from fastapi import Query, Response
from pydantic import Field

from nextmq_handler.rules.bodies import FinalState
from nextmq_handler.rules.models import Closed
from nextmq_handler.rules.queries import priorities_of
from nextmq_handler.rules.refusals import not_deduplicated

from ..engine.queues.overview import AT_ONCE
from ..workers.registration import Registration
from .http.errors import ASCIIResponse
from .http.paging import From, Piece, answer_list, named_piece
from .http.request import Authorized, Index, LastIndex, PathId, QueueName, Removed, router
from .operation.overview import StandingView

routes = router("/v1/queues", "queues")


class ConcurrencyView(Closed):
    """How many jobs may run at once: the global limit, and the worker's."""

    global_: int | None = Field(alias="global")
    worker: int | None


class RateLimitView(Closed):
    """At most `max` jobs start in each `duration` ms."""

    max: int
    duration: int


class HoldView(Closed):
    """Why the queue's endpoint gets no deliveries; `since` and `until` are ms since the epoch.

    A disabled endpoint has no `until`: its app must register again.
    """

    kind: t.Literal["unreachable", "throttled", "breaker", "disabled"]
    since: int
    until: int | None
    detail: str


class QueueModel(StandingView):
    """A queue: how it stands, its jobs by state, its limits, its hold and its worker. `rateLimitTtl` is ms."""

    name: str
    isPaused: bool
    counts: dict[str, int]
    concurrency: ConcurrencyView
    rateLimit: RateLimitView | None
    rateLimitTtl: int
    hold: HoldView | None
    worker: Registration | None


class QueueList(Closed):
    """The project's queues: those with a worker, and those that jobs were added to. `next` is where to go on."""

    queues: list[QueueModel]
    next: str | None = None


class BullMQWorker(Closed):
    """A connection of a BullMQ worker; `age` is s."""

    name: str
    id: str
    addr: str
    age: str


class BullMQWorkers(Closed):
    """The BullMQ workers of the queue."""

    workers: list[BullMQWorker]


class PriorityCounts(Closed):
    """How many jobs wait with each priority."""

    counts: dict[str, int]


class MetricsMetaView(Closed):
    """All jobs so far, and the time (ms since the epoch) and count at the last whole minute."""

    count: int
    prevTS: int
    prevCount: int


class MetricsView(Closed):
    """How many jobs ended in each minute, the newest first, and how many minutes are kept."""

    meta: MetricsMetaView
    data: list[int]
    count: int


class DeduplicationHolder(Closed):
    """The job that holds the deduplication id."""

    jobId: str


@routes.get("", response_model=QueueList)
async def get_queues(service: Authorized, position: From = None) -> Response:
    """List all queues of the project by name. `next` is the `from` of those beyond 16 MiB."""
    names = await service.queue_names()

    async def read(position: str | None) -> Piece:
        return await named_piece(names, position, service.overview.views, at_once=AT_ONCE)

    return await answer_list(service.shares, read, position, "queues")


@routes.get("/{queue}", response_model=QueueModel)
async def get_queue(queue: QueueName, service: Authorized) -> Response:
    """Get a queue. A queue that nobody has used yet is empty."""
    [view] = await service.overview.views([queue])
    return ASCIIResponse(view)


@routes.get("/{queue}/counts")
async def get_job_counts(queue: QueueName, service: Authorized) -> dict[str, int]:
    """Count the jobs in each state."""
    return await service.queues.counts(queue)


@routes.get("/{queue}/counts-per-priority")
async def get_counts_per_priority(
    queue: QueueName,
    service: Authorized,
    priorities: t.Annotated[
        str,
        Query(max_length=1000, json_schema_extra={"pattern": "^[0-9]{1,7}(,[0-9]{1,7})*$"}, description="0,1,5"),
    ],
) -> PriorityCounts:
    """Count the waiting jobs of each priority; 0 is none."""
    wanted = priorities_of(priorities)
    return PriorityCounts(counts=await service.queues.counts_per_priority(queue, wanted))


@routes.get("/{queue}/workers", response_model=BullMQWorkers)
async def get_workers(queue: QueueName, service: Authorized) -> Response:
    """List the BullMQ workers that process the queue beside the registered one, as CLIENT LIST shows them."""
    return ASCIIResponse({"workers": await service.queues.workers(queue)})


@routes.get("/{queue}/maxed")
async def is_maxed(queue: QueueName, service: Authorized) -> dict[str, bool]:
    """Tell whether as many jobs run as the concurrency allows."""
    return {"isMaxed": await service.queues.is_maxed(queue)}


@routes.get("/{queue}/metrics/{state}")
async def get_metrics(
    queue: QueueName,
    state: FinalState,
    service: Authorized,
    start: Index = 0,
    end: LastIndex = -1,
) -> MetricsView:
    """Count the jobs that ended in `state`, for each minute of the last two weeks."""
    return MetricsView.model_validate(await service.queues.metrics(queue, state, start, end))


@routes.get("/{queue}/deduplication/{id}")
async def get_deduplication_job_id(
    queue: QueueName, deduplication_id: PathId, service: Authorized
) -> DeduplicationHolder:
    """Get the job that holds this deduplication id."""
    job_id = await service.queues.deduplication_job_id(queue, deduplication_id)
    if job_id is None:
        raise not_deduplicated(queue, deduplication_id)
    return DeduplicationHolder(jobId=job_id)


@routes.delete("/{queue}/deduplication/{id}")
async def remove_deduplication_key(queue: QueueName, deduplication_id: PathId, service: Authorized) -> Removed:
    """Release this deduplication id: jobs with it can be added again."""
    return Removed(removed=await service.queues.remove_deduplication_key(queue, deduplication_id))
