"""/v1/queues: queues as a whole."""

from __future__ import annotations

import typing as t

from fastapi import Query, Response
from pydantic import Field

from nextmq_handler.rules.bodies import (
    CleanBody,
    DrainBody,
    FinalState,
    ObliterateBody,
    RedriveBody,
    RetryJobsBody,
    TrimEventsBody,
)
from nextmq_handler.rules.models import Closed
from nextmq_handler.rules.queries import priorities_of
from nextmq_handler.rules.refusals import not_deduplicated

from ..engine.queues.overview import AT_ONCE
from ..timers import now_ms
from ..workers.registration import Registration
from .http.errors import ASCIIResponse
from .http.paging import From, Piece, answer_list, named_piece
from .http.request import Authorized, CreatesJobs, Empty, Index, LastIndex, PathId, QueueName, Removed, router
from .overview import StandingView

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


class Ids(Closed):
    """The ids of the jobs that were removed."""

    removed: list[str]


class Trimmed(Closed):
    """How many events were removed."""

    removed: int


class Redriven(Closed):
    """The ids that the dead letters had in the dead-letter queue."""

    redriven: list[str]


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


@routes.post("/{queue}/pause")
async def pause(queue: QueueName, service: Authorized) -> Empty:
    """Pause the queue: no job starts until `resume`. Running jobs finish."""
    await service.queues.pause(queue)


@routes.post("/{queue}/resume")
async def resume(queue: QueueName, service: Authorized) -> Empty:
    """Resume the queue: jobs start again."""
    await service.queues.resume(queue)


@routes.get("/{queue}/maxed")
async def is_maxed(queue: QueueName, service: Authorized) -> dict[str, bool]:
    """Tell whether as many jobs run as the concurrency allows."""
    return {"isMaxed": await service.queues.is_maxed(queue)}


@routes.post("/{queue}/drain")
async def drain(queue: QueueName, body: DrainBody, service: Authorized) -> Empty:
    """Remove the waiting jobs, and with `delayed` the delayed ones."""
    await service.queues.drain(queue, delayed=body.delayed)
    service.results.look_again(queue)


@routes.post("/{queue}/clean", response_model=Ids)
async def clean(queue: QueueName, body: CleanBody, service: Authorized) -> Response:
    """Remove old jobs, and return their ids."""
    removed = await service.queues.clean(queue, body.state, body.grace, body.limit)
    service.results.look_again(queue)
    return ASCIIResponse({"removed": removed})


@routes.post("/{queue}/obliterate")
async def obliterate(queue: QueueName, body: ObliterateBody, service: Authorized) -> Empty:
    """Remove the queue with all its jobs. Its worker stays registered."""
    try:
        await service.obliterate(queue, force=body.force)
    finally:
        service.results.look_again(queue)


@routes.post("/{queue}/retry-jobs")
async def retry_jobs(queue: QueueName, body: RetryJobsBody, service: Authorized) -> Empty:
    """Retry finished jobs: they wait again."""
    now = now_ms()
    before = now if body.timestamp is None else body.timestamp
    await service.queues.retry_jobs(queue, body.state, before)


@routes.post("/{queue}/redrive", response_model=Redriven, dependencies=[CreatesJobs])
async def redrive(queue: QueueName, body: RedriveBody, service: Authorized) -> Response:
    """Send dead letters back, oldest first. The job of each runs again, or is added again, with all its attempts.

    Dead letters that a worker is processing stay, and so do jobs that are not dead letters.
    """
    return ASCIIResponse({"redriven": await service.redrive(queue, body, now=now_ms())})


@routes.post("/{queue}/promote-jobs")
async def promote_jobs(queue: QueueName, service: Authorized) -> Empty:
    """Promote all delayed jobs: they wait now."""
    await service.queues.promote_jobs(queue)


@routes.post("/{queue}/trim-events")
async def trim_events(queue: QueueName, body: TrimEventsBody, service: Authorized) -> Trimmed:
    """Remove old events; about the last `maxLength` stay."""
    return Trimmed(removed=await service.queues.trim_events(queue, body.maxLength))


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
