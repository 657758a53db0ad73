"""/v1/queues/{queue}/jobs: add jobs, look at them, and a running job's own calls (protocol section 5)."""

from __future__ import annotations

import json
import typing as t

from fastapi import APIRouter, Header, Path, Response
from pydantic import BaseModel, ConfigDict, Field, field_validator

from nextmq_handler.errors import MAX_TIMESTAMP_MS

from ..engine.jobs import QUEUE_KEYS, NoSuchJob
from .errors import APIError, ASCIIResponse
from .request import Authorized, QueueName, StrictRoute

MAX_DATA_SIZE = 1024 * 1024
"""The largest job data, in bytes of JSON."""

_MAX_DELAY = 10 * 365 * 86_400_000
_MAX_PRIORITY = 2**21
_MAX_NUMBER = 10**12  # BullMQ's scripts keep 14 digits of an option

router = APIRouter(prefix="/v1/queues/{queue}/jobs", tags=["jobs"], route_class=StrictRoute)


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Backoff(_Closed):
    """How long to wait between attempts: `delay` ms, spread by `jitter`, a share of it."""

    type: t.Literal["fixed", "exponential"]
    delay: int = Field(ge=0, le=_MAX_DELAY)
    jitter: float = Field(default=0, ge=0, le=1)


class KeepJobs(_Closed):
    """Which finished jobs stay: at most `count`, none older than `age` s."""

    age: int | None = Field(default=None, ge=0, le=_MAX_NUMBER)
    count: int | None = Field(default=None, ge=0, le=_MAX_NUMBER)


_Keep = bool | t.Annotated[int, Field(ge=0, le=_MAX_NUMBER)] | KeepJobs


class JobOptions(_Closed):
    """BullMQ's job options."""

    attempts: int | None = Field(default=None, ge=1, le=10_000)
    backoff: t.Annotated[int, Field(ge=0, le=_MAX_DELAY)] | Backoff | None = None
    delay: int | None = Field(default=None, ge=0, le=_MAX_DELAY)
    jobId: str | None = Field(default=None, min_length=1, max_length=256)
    keepLogs: int | None = Field(default=None, ge=0, le=_MAX_NUMBER)
    lifo: bool | None = None
    priority: int | None = Field(default=None, ge=0, le=_MAX_PRIORITY)
    removeOnComplete: _Keep | None = None
    removeOnFail: _Keep | None = None
    stackTraceLimit: int | None = Field(default=None, ge=0, le=_MAX_NUMBER)
    timestamp: int | None = Field(default=None, ge=0, lt=MAX_TIMESTAMP_MS)

    @field_validator("jobId")
    @classmethod
    def check_job_id(cls, value: str | None) -> str | None:
        """BullMQ's own rules for custom ids."""
        if value is not None and (":" in value or value.isdecimal() or value in QUEUE_KEYS):
            raise ValueError(
                'a custom job id must not contain ":", be a whole number, or name a part of the queue'
            )
        return value


class NewJob(_Closed):
    """A job to add."""

    name: str = Field(min_length=1, max_length=256)
    data: t.Any = None
    opts: JobOptions = JobOptions()

    @field_validator("data")
    @classmethod
    def check_size(cls, value: t.Any) -> t.Any:
        """Data is bounded."""
        if (size := len(json.dumps(value, separators=(",", ":")))) > MAX_DATA_SIZE:
            raise ValueError(f"the data is {size} bytes, over the limit of {MAX_DATA_SIZE}: store it elsewhere")
        return value


class JobView(BaseModel):
    """A job as it is now. Times are ms since the epoch."""

    id: str
    name: str
    state: str
    data: t.Any
    opts: dict[str, t.Any]
    progress: t.Any
    attemptsMade: int
    attemptsStarted: int
    returnValue: t.Any
    failedReason: str | None
    timestamp: int
    processedOn: int | None
    finishedOn: int | None


class Progress(_Closed):
    """A running job's progress: any JSON."""

    progress: t.Any


# A path, as other clients' ids may hold slashes.
JobId = t.Annotated[str, Path(min_length=1, max_length=256)]


@router.post("", status_code=201, response_model=JobView)
async def add_job(queue: QueueName, job: NewJob, service: Authorized) -> Response:
    """Add a job."""
    opts = job.opts.model_dump(exclude_unset=True, exclude_none=True)
    job_id = await service.jobs.add(queue, job.name, job.data, opts)
    await service.warn_without_worker(queue)
    try:
        added = await service.jobs.get(queue, job_id)
    except NoSuchJob:  # it has finished already, and is removed on completion
        added = service.jobs.removed(job_id, job.name, job.data, opts)
    return ASCIIResponse(added, 201)


@router.get("/{job_id:path}", response_model=JobView)
async def get_job(queue: QueueName, job_id: JobId, service: Authorized) -> Response:
    """A job."""
    try:
        return ASCIIResponse(await service.jobs.get(queue, job_id))
    except NoSuchJob:
        raise _not_found(queue, job_id) from None


@router.put("/{job_id:path}/progress")
async def update_progress(
    queue: QueueName,
    job_id: JobId,
    body: Progress,
    service: Authorized,
    x_nextmq_delivery: t.Annotated[str | None, Header(max_length=64)] = None,
) -> dict[str, t.Any]:
    """Store a job's progress. From a processor, only while its delivery owns the job."""
    await _check_delivery(service, queue, job_id, x_nextmq_delivery)
    try:
        await service.jobs.update_progress(queue, job_id, body.progress)
    except NoSuchJob:
        raise _not_found(queue, job_id) from None
    return {}


async def _check_delivery(service: Authorized, queue: str, job_id: str, delivery_id: str | None) -> None:
    if delivery_id is None:
        return  # an operator's call, not a processor's
    if not await service.deliveries.owns(service.jobs.scripts(queue), job_id, delivery_id):
        raise APIError(
            409, "stale_delivery", f"this delivery no longer owns job {job_id}: it timed out or lost its lock"
        )


def _not_found(queue: str, job_id: str) -> APIError:
    return APIError(404, "not_found", f"queue {queue} has no job {job_id}")
