"""/v1/queues: queues as a whole."""

from __future__ import annotations

import typing as t

from fastapi import APIRouter, Query, Response
from pydantic import Field

from nextmq_handler.protocol.times import MAX_TIMESTAMP_MS
from nextmq_handler.rules.limits import MAX_DELAY_MS, MAX_PRIORITY
from nextmq_handler.rules.models import Count

from ..engine.queues.jobs import WrongState
from ..timers import now_ms
from ..workers.registry import Registration
from .errors import DOCUMENTED, APIError, ASCIIResponse
from .request import Authorized, Closed, Done, PathId, QueueName, Removed, StrictRoute

MAX_PRIORITIES = 100

router = APIRouter(prefix="/v1/queues", tags=["queues"], route_class=StrictRoute, responses=DOCUMENTED)


class Concurrency(Closed):
    """How many jobs may run at once: as somebody set it, and as the worker registered."""

    # The words of the answer: `global` is a keyword of Python.
    global_: int | None = Field(alias="global")
    worker: int | None


class RateLimit(Closed):
    """At most `max` starts in each `duration` ms."""

    max: int
    duration: int


class Hold(Closed):
    """Why the queue's endpoint gets no deliveries: since when and until when, in ms since the epoch.

    A disabled one has no `until`: its app has to register again.
    """

    kind: t.Literal["unreachable", "throttled", "breaker", "disabled"]
    since: int
    until: int | None
    detail: str


class QueueView(Closed):
    """A queue: its jobs by state, what holds it, who works for it. `rateLimitTtl` is ms."""

    name: str
    isPaused: bool
    counts: dict[str, int]
    concurrency: Concurrency
    rateLimit: RateLimit | None
    rateLimitTtl: int
    hold: Hold | None
    worker: Registration | None


class QueueList(Closed):
    """The project's queues: those with a worker, and those that the API was asked for jobs."""

    queues: list[QueueView]


class BullMQWorker(Closed):
    """A connection of a BullMQ worker; `age` is s."""

    name: str
    id: str
    addr: str
    age: str


class BullMQWorkers(Closed):
    """BullMQ's own workers on the queue."""

    workers: list[BullMQWorker]


class Drain(Closed):
    """Whether delayed jobs go too."""

    delayed: bool = False


class Clean(Closed):
    """Which jobs go: at most `limit`, in `state` for longer than `grace` ms."""

    grace: int = Field(ge=0, le=MAX_DELAY_MS)
    limit: int = Field(default=1000, ge=1, le=1000)
    state: t.Literal["completed", "wait", "active", "paused", "prioritized", "delayed", "failed"] = "completed"


class Obliterate(Closed):
    """With `force` the jobs that run go too."""

    force: bool = False


class RetryJobs(Closed):
    """Which jobs wait again: those that ended in `state` before `timestamp`, ms since the epoch."""

    state: t.Literal["failed", "completed"] = "failed"
    timestamp: int | None = Field(default=None, ge=0, lt=MAX_TIMESTAMP_MS)


class TrimEvents(Closed):
    """How many events stay, about."""

    maxLength: Count


class Ids(Closed):
    """Job ids."""

    removed: list[str]


class Trimmed(Closed):
    """How many events went."""

    removed: int


class PriorityCounts(Closed):
    """How many jobs wait with each priority."""

    counts: dict[str, int]


class MetricsMeta(Closed):
    """All jobs so far, and when and at which number the last whole minute was noted (ms since the epoch)."""

    count: int
    prevTS: int
    prevCount: int


class Metrics(Closed):
    """Jobs that ended in each minute, the last one first, and how many minutes are kept."""

    meta: MetricsMeta
    data: list[int]
    count: int


class DeduplicationHolder(Closed):
    """The job that keeps others with the deduplication id out."""

    jobId: str


@router.get("", response_model=QueueList)
async def get_queues(service: Authorized) -> Response:
    """All queues of the project."""
    return ASCIIResponse({"queues": [await service.queue_view(name) for name in await service.queue_names()]})


@router.get("/{queue}", response_model=QueueView)
async def get_queue(queue: QueueName, service: Authorized) -> Response:
    """A queue; one that nobody has used yet is an empty one."""
    return ASCIIResponse(await service.queue_view(queue))


@router.get("/{queue}/counts")
async def get_job_counts(queue: QueueName, service: Authorized) -> dict[str, int]:
    """How many jobs are in each state."""
    return await service.queues.counts(queue)


@router.get("/{queue}/counts-per-priority")
async def get_counts_per_priority(
    queue: QueueName,
    service: Authorized,
    priorities: t.Annotated[str, Query(max_length=1000, pattern=r"^\d{1,7}(,\d{1,7})*$", description="0,1,5")],
) -> PriorityCounts:
    """How many jobs wait with each of the priorities; 0 is none."""
    wanted = [int(number) for number in dict.fromkeys(priorities.split(","))]
    if len(wanted) > MAX_PRIORITIES or max(wanted) > MAX_PRIORITY:
        raise APIError(
            422, "invalid_request", f"priorities: at most {MAX_PRIORITIES}, each at most {MAX_PRIORITY}"
        )
    return PriorityCounts(counts=await service.queues.counts_per_priority(queue, wanted))


@router.get("/{queue}/workers", response_model=BullMQWorkers)
async def get_workers(queue: QueueName, service: Authorized) -> Response:
    """BullMQ's own workers that work on the queue beside the registered one, as CLIENT LIST shows them."""
    return ASCIIResponse({"workers": await service.queues.workers(queue)})


@router.post("/{queue}/pause")
async def pause(queue: QueueName, service: Authorized) -> Done:
    """Start no job until `resume`; those that run finish."""
    await service.queues.pause(queue)
    return Done()


@router.post("/{queue}/resume")
async def resume(queue: QueueName, service: Authorized) -> Done:
    """Start jobs again."""
    await service.queues.resume(queue)
    return Done()


@router.get("/{queue}/maxed")
async def is_maxed(queue: QueueName, service: Authorized) -> dict[str, bool]:
    """Whether as many jobs run as the concurrency lets."""
    return {"isMaxed": await service.queues.is_maxed(queue)}


@router.post("/{queue}/drain")
async def drain(queue: QueueName, body: Drain, service: Authorized) -> Done:
    """Remove the jobs that wait, and with `delayed` those that are delayed."""
    await service.queues.drain(queue, delayed=body.delayed)
    service.results.look_again(queue)
    return Done()


@router.post("/{queue}/clean", response_model=Ids)
async def clean(queue: QueueName, body: Clean, service: Authorized) -> Response:
    """Remove old jobs; the ids of those that went."""
    removed = await service.queues.clean(queue, body.state, body.grace, body.limit)
    service.results.look_again(queue)
    return ASCIIResponse({"removed": removed})


@router.post("/{queue}/obliterate")
async def obliterate(queue: QueueName, body: Obliterate, service: Authorized) -> Done:
    """Remove the queue with all its jobs. Its worker stays registered."""
    try:
        await service.obliterate(queue, force=body.force)
    except WrongState as exc:
        raise APIError(409, "wrong_state", f"queue {queue} {exc}") from None
    finally:
        service.results.look_again(queue)
    return Done()


@router.post("/{queue}/retry-jobs")
async def retry_jobs(queue: QueueName, body: RetryJobs, service: Authorized) -> Done:
    """Let finished jobs wait again."""
    now = now_ms()
    before = now if body.timestamp is None else body.timestamp
    await service.queues.retry_jobs(queue, body.state, before)
    return Done()


@router.post("/{queue}/promote-jobs")
async def promote_jobs(queue: QueueName, service: Authorized) -> Done:
    """Let all delayed jobs wait now."""
    await service.queues.promote_jobs(queue)
    return Done()


@router.post("/{queue}/trim-events")
async def trim_events(queue: QueueName, body: TrimEvents, service: Authorized) -> Trimmed:
    """Keep about the last `maxLength` events."""
    return Trimmed(removed=await service.queues.trim_events(queue, body.maxLength))


@router.get("/{queue}/metrics/{state}")
async def get_metrics(
    queue: QueueName,
    state: t.Literal["completed", "failed"],
    service: Authorized,
    start: t.Annotated[int, Query(ge=0, le=2**31)] = 0,
    end: t.Annotated[int, Query(ge=-1, le=2**31)] = -1,
) -> Metrics:
    """How many jobs ended in `state` in each minute of the last two weeks."""
    return Metrics.model_validate(await service.queues.metrics(queue, state, start, end))


@router.get("/{queue}/deduplication/{id}")
async def get_deduplication_job_id(
    queue: QueueName, deduplication_id: PathId, service: Authorized
) -> DeduplicationHolder:
    """The job that keeps others with this deduplication id out."""
    job_id = await service.queues.deduplication_job_id(queue, deduplication_id)
    if job_id is None:
        raise APIError(404, "not_found", f"queue {queue} has no job with deduplication id {deduplication_id}")
    return DeduplicationHolder(jobId=job_id)


@router.delete("/{queue}/deduplication/{id}")
async def remove_deduplication_key(queue: QueueName, deduplication_id: PathId, service: Authorized) -> Removed:
    """Let jobs with this deduplication id in again."""
    return Removed(removed=await service.queues.remove_deduplication_key(queue, deduplication_id))
