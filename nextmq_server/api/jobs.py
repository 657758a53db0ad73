"""/v1/queues/{queue}/jobs: add jobs, look at them, remove them."""

from __future__ import annotations

import typing as t

from fastapi import Query, Response
from pydantic import ConfigDict, with_config

from nextmq_handler.rules.bodies import NewJobBody, NewJobsBody
from nextmq_handler.rules.models import Closed
from nextmq_handler.rules.refusals import check_size, parent_refused, wanted_states
from nextmq_handler.rules.states import STORED_STATES
from nextmq_handler.rules.views import JobView

from ..engine.queues.adding import AddResult, Idempotency, JobToAdd, UnusableParent
from ..service import Service
from ..timers import now_ms
from .errors import ASCIIResponse
from .request import (
    Authorized,
    CreatesJobs,
    Empty,
    IdempotencyKey,
    Job,
    Page,
    PathId,
    QueueName,
    Trace,
    router,
)

routes = router("/v1/queues/{queue}/jobs", "jobs")
bulk_routes = router("/v1/queues/{queue}/jobs", "jobs", is_bulk=True)


@with_config(ConfigDict(extra="forbid"))
class AddedJob(JobView):
    """A job that was added. If `deduplicated`, this is the existing job and no new one was made."""

    deduplicated: bool


class BulkJob(Closed):
    """A job of a bulk. `job` is null for a new job, which is as the request has it."""

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


@routes.post("", status_code=201, response_model=AddedJob, dependencies=[CreatesJobs])
async def add_job(
    queue: QueueName, job: NewJobBody, service: Authorized, trace: Trace, idempotency: IdempotencyKey = None
) -> Response:
    """Add a job."""
    new = _new(service, queue, job, trace, "data")
    [added] = await add_all(service, [new], idempotency)
    return ASCIIResponse(await service.jobs.added(new, added), 201)


@bulk_routes.post("/bulk", status_code=201, response_model=AddedJobs, dependencies=[CreatesJobs])
async def add_jobs(
    queue: QueueName, body: NewJobsBody, service: Authorized, trace: Trace, idempotency: IdempotencyKey = None
) -> Response:
    """Add up to 1,000 jobs: all of them or none."""
    new = [_new(service, queue, job, trace, f"jobs.{index}.data") for index, job in enumerate(body.jobs)]
    added = await add_all(service, new, idempotency)
    jobs = [await _bulk_job(service, job, one) for job, one in zip(new, added, strict=True)]
    return ASCIIResponse({"jobs": jobs}, 201)


@routes.get("", response_model=JobPage)
async def get_jobs(
    queue: QueueName,
    service: Authorized,
    page: Page,
    states: t.Annotated[
        str | None, Query(max_length=200, description=f"comma-separated, of {', '.join(STORED_STATES)}")
    ] = None,
    asc: bool = False,
) -> Response:
    """List the jobs from `start` to `end` of each state, at most 1,000 of each.

    The newest are first, unless `asc` is true.
    """
    wanted = wanted_states(states)
    if "waiting" in wanted:
        wanted.append("paused")  # where BullMQ keeps the waiting jobs of a paused queue
    jobs = await service.jobs.page(queue, list(dict.fromkeys(wanted)), page.start, page.end, ascending=asc)
    return ASCIIResponse({"jobs": jobs})


@routes.get("/{id}", response_model=JobView)
async def get_job(queue: QueueName, job_id: PathId, service: Authorized) -> Response:
    """Get a job."""
    return ASCIIResponse(await service.jobs.get(queue, job_id))


@routes.delete("/{id}")
async def remove_job(job: Job, removeChildren: bool = True) -> Empty:
    """Remove a job, with its children unless `removeChildren` is false."""
    await job.service.jobs.remove(job.queue, job.id, with_children=removeChildren)


def _new(service: Service, queue: str, job: NewJobBody, trace: dict[str, t.Any], path: str) -> JobToAdd:
    new = service.jobs.new(queue, job.name, job.data, {**trace, **job.opts.given()}, now=now_ms())
    check_size(new.data, new.opts, path, escaped=new.escaped_size)
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
    """Add the jobs. Raises Refusal for a parent that they cannot have."""
    try:
        return await service.add(jobs, idempotency)
    except UnusableParent as exc:
        held = jobs[exc.index].opts["parent"]
        parent = {"id": held["id"], "queue": held["queue"].rpartition(":")[2]}
        raise parent_refused(exc.index, parent, exc, is_gone=exc.is_gone) from None
