"""/v1/queues/{queue}/jobs: add jobs, look at them, remove them."""

from __future__ import annotations

import typing as t

from fastapi import APIRouter, Query, Response
from pydantic import Field

from nextmq_handler.rules.limits import MAX_DATA_SIZE
from nextmq_handler.rules.models import over_limit
from nextmq_handler.rules.states import STORED_STATES

from ..engine.queues.adding import AddResult, Idempotency, IdempotencyKeyReused, JobToAdd, UnusableParent
from ..engine.queues.jobs import NoSuchJob
from ..service import Service
from ..timers import now_ms
from .errors import DOCUMENTED, APIError, ASCIIResponse, invalid_member, no_such_job
from .job_changes import Job
from .models import AddedJob, JobView, NewJob
from .request import (
    Authorized,
    BulkRoute,
    Closed,
    CreatesJobs,
    Done,
    IdempotencyKey,
    PageEnd,
    PageStart,
    PathId,
    QueueName,
    StrictRoute,
    Trace,
    check_page,
)

MAX_BULK = 1000

_PREFIX = "/v1/queues/{queue}/jobs"

router = APIRouter(prefix=_PREFIX, tags=["jobs"], route_class=StrictRoute, responses=DOCUMENTED)
bulk = APIRouter(prefix=_PREFIX, tags=["jobs"], route_class=BulkRoute, responses=DOCUMENTED)


class NewJobs(Closed):
    """Jobs to add."""

    jobs: list[NewJob] = Field(min_length=1, max_length=MAX_BULK)


class BulkJob(Closed):
    """A job of a bulk. A new one is as the request has it; `job` is one that was there already."""

    id: str
    state: str
    timestamp: int
    deduplicated: bool
    job: JobView | None


class AddedJobs(Closed):
    """The jobs that were added, in the order of the request."""

    jobs: list[BulkJob]


class JobPage(Closed):
    """Jobs of some states."""

    jobs: list[JobView]


@router.post("", status_code=201, response_model=AddedJob, dependencies=[CreatesJobs])
async def add_job(
    queue: QueueName, job: NewJob, service: Authorized, trace: Trace, idempotency: IdempotencyKey = None
) -> Response:
    """Add a job."""
    new = _new(service, queue, job, trace, "data")
    [added] = await add_all(service, [new], idempotency)
    return ASCIIResponse(await service.jobs.added(new, added), 201)


@bulk.post("/bulk", status_code=201, response_model=AddedJobs, dependencies=[CreatesJobs])
async def add_jobs(
    queue: QueueName, body: NewJobs, service: Authorized, trace: Trace, idempotency: IdempotencyKey = None
) -> Response:
    """Add up to 1,000 jobs: all of them or none."""
    new = [_new(service, queue, job, trace, f"jobs.{index}.data") for index, job in enumerate(body.jobs)]
    added = await add_all(service, new, idempotency)
    jobs = [await _bulk_job(service, job, one) for job, one in zip(new, added, strict=True)]
    return ASCIIResponse({"jobs": jobs}, 201)


@router.get("", response_model=JobPage)
async def get_jobs(
    queue: QueueName,
    service: Authorized,
    states: t.Annotated[
        str | None, Query(max_length=200, description=f"comma-separated, of {', '.join(STORED_STATES)}")
    ] = None,
    start: PageStart = 0,
    end: PageEnd = 99,
    asc: bool = False,
) -> Response:
    """The jobs from `start` to `end` of each state, the newest first unless `asc`; at most 1,000 of a state."""
    wanted = states.split(",") if states is not None else list(STORED_STATES)
    unknown = sorted(set(wanted) - set(STORED_STATES))
    if unknown:
        raise APIError(
            422,
            "invalid_request",
            f"states: no such state as {', '.join(unknown)}; there are {', '.join(STORED_STATES)}",
        )
    check_page(start, end)
    if "waiting" in wanted:
        wanted.append("paused")  # where BullMQ keeps the waiting jobs of a paused queue
    jobs = await service.jobs.page(queue, list(dict.fromkeys(wanted)), start, end, ascending=asc)
    return ASCIIResponse({"jobs": jobs})


@router.get("/{id}", response_model=JobView)
async def get_job(queue: QueueName, job_id: PathId, service: Authorized) -> Response:
    """A job."""
    try:
        return ASCIIResponse(await service.jobs.get(queue, job_id))
    except NoSuchJob:
        raise no_such_job(queue, job_id) from None


@router.delete("/{id}")
async def remove_job(job: Job, removeChildren: bool = True) -> Done:
    """Remove a job, with its children unless `removeChildren=false`."""
    await job.do(job.service.jobs.remove(job.queue, job.id, with_children=removeChildren))
    return Done()


def _new(service: Service, queue: str, job: NewJob, trace: dict[str, t.Any], path: str) -> JobToAdd:
    opts = {**trace, **job.opts.given()}
    new = service.jobs.new(queue, job.name, job.data, opts, now=now_ms())
    limit = min(MAX_DATA_SIZE, opts.get("sizeLimit", MAX_DATA_SIZE))
    if new.data_size > limit:
        raise invalid_member(path, over_limit(new.data_size, limit))
    return new


async def _bulk_job(service: Service, new: JobToAdd, added: AddResult) -> dict[str, t.Any]:
    shown: dict[str, t.Any] = {"id": added.id, "deduplicated": added.deduplicated}
    if not (added.deduplicated or added.replayed):
        return {**shown, "state": new.state, "timestamp": new.timestamp, "job": None}
    job = await service.jobs.added(new, added)
    del job["deduplicated"]
    return {**shown, "state": job["state"], "timestamp": job["timestamp"], "job": job}


async def add_all(
    service: Service, jobs: t.Sequence[JobToAdd], idempotency: Idempotency | None
) -> list[AddResult]:
    """Add the jobs; what stands against it is an answer."""
    try:
        return await service.add(jobs, idempotency)
    except IdempotencyKeyReused:
        raise APIError(
            422,
            "idempotency_key_reused",
            "another request had this idempotency key in the last 24 h: use a new one",
        ) from None
    except UnusableParent as exc:
        job = jobs[exc.index]
        parent = {"id": job.opts["parent"]["id"], "queue": job.opts["parent"]["queue"].rpartition(":")[2]}
        text = f"the parent of job {exc.index}, {parent['queue']}/{parent['id']}, {exc}"
        if exc.is_gone:
            raise APIError(404, "not_found", text, parent=parent) from None
        raise APIError(409, "parent_cannot_be_replaced", text, parent=parent) from None
