"""/v1/queues/{queue}/…: change a queue, or many of its jobs. `dryRun=true` counts them instead."""

from __future__ import annotations

import typing as t

from fastapi import Query, Response

from nextmq_handler.rules.bodies import (
    CleanBody,
    DrainBody,
    ObliterateBody,
    RedriveBody,
    RetryJobsBody,
    TrimEventsBody,
)
from nextmq_handler.rules.models import Closed

from ...engine.queues.matching import Matching
from ...service import Service
from ...timers import now_ms
from ..http.audited import Noted
from ..http.errors import ASCIIResponse
from ..http.request import Authorized, CreatesJobs, Done, Empty, QueueName, router

routes = router("/v1/queues", "queues")
project_routes = router("/v1", "queues")

DryRun = t.Annotated[
    bool, Query(alias="dryRun", description="change nothing, and tell how many jobs match at the moment")
]


class Matched(Closed):
    """The answer to a dry run: how many jobs match."""

    matching: int


class Ids(Closed):
    """The ids of the jobs that were removed."""

    removed: list[str]


class Trimmed(Closed):
    """How many events were removed."""

    removed: int


class Redriven(Closed):
    """The ids that the dead letters had in the dead-letter queue."""

    redriven: list[str]


class QueueNames(Closed):
    """The queues that were paused or resumed."""

    queues: list[str]


@routes.post("/{queue}/pause")
async def pause(queue: QueueName, service: Authorized) -> Empty:
    """Pause the queue: no job starts until `resume`. Running jobs finish."""
    await service.queues.pause(queue)


@routes.post("/{queue}/resume")
async def resume(queue: QueueName, service: Authorized) -> Empty:
    """Resume the queue: jobs start again."""
    await service.queues.resume(queue)


@project_routes.post("/pause", response_model=QueueNames)
async def pause_all(service: Authorized) -> Response:
    """Pause all queues of the project. A queue that is new after this is not paused."""
    return await _to_all(service, service.queues.pause)


@project_routes.post("/resume", response_model=QueueNames)
async def resume_all(service: Authorized) -> Response:
    """Resume all queues of the project, also those that were paused one by one."""
    return await _to_all(service, service.queues.resume)


@routes.post("/{queue}/drain", response_model=Done | Matched)
async def drain(
    queue: QueueName, body: DrainBody, service: Authorized, changes: Noted, dry_run: DryRun = False
) -> Response:
    """Remove the waiting jobs, and with `delayed` the delayed ones."""
    if dry_run:
        return _matched(await _matching(service, queue).drain(delayed=body.delayed))
    changes.note_filter("waiting and delayed jobs" if body.delayed else "waiting jobs")
    await service.queues.drain(queue, delayed=body.delayed)
    service.results.look_again(queue)
    return ASCIIResponse({})


@routes.post("/{queue}/clean", response_model=Ids | Matched)
async def clean(
    queue: QueueName, body: CleanBody, service: Authorized, changes: Noted, dry_run: DryRun = False
) -> Response:
    """Remove old jobs, at most `limit`, and return their ids. A dry run counts all that match."""
    if dry_run:
        async with service.shares.reads:
            return _matched(await _matching(service, queue).clean(body.state, body.grace))
    changes.note_filter(f"state:{body.state} older than {body.grace} ms, at most {body.limit}")
    removed = await service.queues.clean(queue, body.state, body.grace, body.limit)
    changes.note_jobs(removed)
    service.results.look_again(queue)
    return ASCIIResponse({"removed": removed})


@routes.post("/{queue}/obliterate", response_model=Done | Matched)
async def obliterate(
    queue: QueueName, body: ObliterateBody, service: Authorized, dry_run: DryRun = False
) -> Response:
    """Remove the queue with all its jobs. Its worker stays registered."""
    if dry_run:
        return _matched(await _matching(service, queue).obliterate())
    try:
        await service.obliterate(queue, force=body.force)
    finally:
        service.results.look_again(queue)
    return ASCIIResponse({})


@routes.post("/{queue}/retry-jobs", response_model=Done | Matched)
async def retry_jobs(
    queue: QueueName, body: RetryJobsBody, service: Authorized, changes: Noted, dry_run: DryRun = False
) -> Response:
    """Retry finished jobs: they wait again."""
    now = now_ms()
    before = now if body.timestamp is None else body.timestamp
    if dry_run:
        return _matched(await _matching(service, queue).finished(body.state, before))
    changes.note_filter(f"state:{body.state}")
    await service.queues.retry_jobs(queue, body.state, before)
    return ASCIIResponse({})


@routes.post("/{queue}/redrive", response_model=Redriven | Matched, dependencies=[CreatesJobs])
async def redrive(
    queue: QueueName, body: RedriveBody, service: Authorized, changes: Noted, dry_run: DryRun = False
) -> Response:
    """Send dead letters back, oldest first. The job of each runs again, or is added again, with all its attempts.

    Dead letters that a worker is processing stay, and so do jobs that are not dead letters. A dry run counts up to
    `limit`.
    """
    if dry_run:
        async with service.shares.reads:
            return _matched(await service.redriver.matching(queue, body, now=now_ms()))
    redriven = await service.redrive(queue, body, now=now_ms())
    changes.note_jobs(redriven)
    return ASCIIResponse({"redriven": redriven})


@routes.post("/{queue}/promote-jobs", response_model=Done | Matched)
async def promote_jobs(queue: QueueName, service: Authorized, dry_run: DryRun = False) -> Response:
    """Promote all delayed jobs: they wait now."""
    if dry_run:
        return _matched(await _matching(service, queue).delayed())
    await service.queues.promote_jobs(queue)
    return ASCIIResponse({})


@routes.post("/{queue}/trim-events")
async def trim_events(queue: QueueName, body: TrimEventsBody, service: Authorized) -> Trimmed:
    """Remove old events; about the last `maxLength` stay."""
    return Trimmed(removed=await service.queues.trim_events(queue, body.maxLength))


def _matching(service: Service, queue: str) -> Matching:
    return Matching(service.jobs.scripts(queue))


def _matched(number: int) -> Response:
    return ASCIIResponse({"matching": number})


async def _to_all(service: Service, change: t.Callable[[str], t.Awaitable[None]]) -> Response:
    names = await service.queue_names()
    for name in names:
        await change(name)
    return ASCIIResponse({"queues": names})
