"""/v1/queues/{queue}/jobs: add jobs, look at them, remove them."""

from __future__ import annotations

import typing as t

from fastapi import Query, Response
from pydantic import ConfigDict, with_config

from nextmq_handler.rules.bodies import NewJobBody, NewJobsBody
from nextmq_handler.rules.models import Closed
from nextmq_handler.rules.refusals import check_size, invalid, parent_refused, wanted_states
from nextmq_handler.rules.states import STORED_STATES
from nextmq_handler.rules.views import JobView

from ..engine.queues.adding import AddResult, Idempotency, JobToAdd, UnusableParent
from ..engine.queues.flows import MAX_READ
from ..service import Service
from ..timers import now_ms
from .http.bodies import in_turns
from .http.errors import ASCIIResponse
from .http.paging import From, Piece, answer_list, is_index, item
from .http.request import (
    Authorized,
    CreatesJobs,
    Empty,
    Hides,
    IdempotencyKey,
    Job,
    Page,
    PageBounds,
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
    """A job of a bulk. `job` is null for a new job, which is as the request has it.

    It is null for a job that existed too, if those before it are about 4 MiB.
    """

    id: str
    state: str
    timestamp: int
    deduplicated: bool
    job: JobView | None


class AddedJobs(Closed):
    """The jobs that were added, in the order of the request."""

    jobs: list[BulkJob]


class JobPage(Closed):
    """Jobs of some states. `next` is where to go on, if there is more: an answer has at most 16 MiB of jobs."""

    jobs: list[JobView]
    next: str | None = None


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
    new = list[JobToAdd]()
    async for index, job in in_turns(enumerate(body.jobs)):
        new.append(_new(service, queue, job, trace, f"jobs.{index}.data"))
    added = await add_all(service, new, idempotency)
    shown, left = list[bytes](), MAX_READ
    for sent, one in zip(new, added, strict=True):
        shown.append(item(await _bulk_job(service, sent, one, has_room=left > 0)))
        left -= len(shown[-1])
    return Response(b'{"jobs":[%b]}' % b",".join(shown), 201, media_type="application/json")


@routes.get("", response_model=JobPage)
async def get_jobs(
    queue: QueueName,
    service: Authorized,
    redaction: Hides,
    page: Page,
    states: t.Annotated[
        str | None, Query(max_length=200, description=f"comma-separated, of {', '.join(STORED_STATES)}")
    ] = None,
    asc: bool = False,
    position: From = None,
) -> Response:
    """List the jobs from `start` to `end` of each state, at most 1,000 of each.

    The newest are first, unless `asc` is true. An answer ends at 16 MiB; `next` is then the `from` of the rest.
    """
    wanted = wanted_states(states)
    if "waiting" in wanted:
        wanted.append("paused")  # where BullMQ keeps the waiting jobs of a paused queue
    wanted = list(dict.fromkeys(wanted))

    async def read(position: str | None) -> Piece:
        state, start = _place(position, wanted, page)
        jobs, following = await service.jobs.some(queue, state, start, page.end, ascending=asc)
        if following is None:  # on to the next state
            state, following = next(iter(wanted[wanted.index(state) + 1 :]), ""), page.start
        shown = jobs if redaction is None else map(redaction.job, jobs)
        return Piece([item(job) for job in shown], f"{state}:{following}" if state else None)

    return await answer_list(service.shares, read, position, "jobs")


@routes.get("/{id}", response_model=JobView)
async def get_job(queue: QueueName, job_id: PathId, service: Authorized, redaction: Hides) -> Response:
    """Get a job. A key with the role viewer does not see secrets in it."""
    job = await service.jobs.get(queue, job_id)
    return ASCIIResponse(job if redaction is None else redaction.job(job))


@routes.delete("/{id}")
async def remove_job(job: Job, removeChildren: bool = True) -> Empty:
    """Remove a job, with its children unless `removeChildren` is false."""
    await job.service.jobs.remove(job.queue, job.id, with_children=removeChildren)


def _place(position: str | None, states: list[str], page: PageBounds) -> tuple[str, int]:
    """Return the state and the index of a position. Raises Refusal for one that is not of this list."""
    if position is None:
        return states[0], page.start
    state, _, index = position.partition(":")
    if state not in states or not is_index(index) or not page.start <= int(index) <= page.end:
        raise invalid(
            "from", "not a place in this list: send the `next` of the answer before, with the same query"
        )
    return state, int(index)


def _new(service: Service, queue: str, job: NewJobBody, trace: dict[str, t.Any], path: str) -> JobToAdd:
    new = service.jobs.new(queue, job.name, job.data, {**trace, **job.opts.given()}, now=now_ms())
    check_size(new.data, new.opts, path, escaped=new.escaped_size)
    return new


async def _bulk_job(service: Service, new: JobToAdd, added: AddResult, *, has_room: bool) -> dict[str, t.Any]:
    shown: dict[str, t.Any] = {"id": added.id, "deduplicated": added.deduplicated}
    if not (added.deduplicated or added.replayed):
        return {**shown, "state": new.state, "timestamp": new.timestamp, "job": None}
    job = await service.jobs.added(new, added, has_room=has_room)
    del job["deduplicated"]
    shown |= {"state": job["state"], "timestamp": job["timestamp"]}
    return {**shown, "job": job if has_room else None}


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
