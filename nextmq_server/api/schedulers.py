"""/v1/queues/{queue}/schedulers: BullMQ's job schedulers."""

from __future__ import annotations

import typing as t

from fastapi import Response

from nextmq_handler.rules.bodies import SchedulerBody
from nextmq_handler.rules.models import Closed
from nextmq_handler.rules.refusals import wrong_scheduler_state
from nextmq_handler.rules.schedules import check_scheduler_id

from ..engine.queues.jobs import WrongState
from ..patterns import check_patterns
from .http.errors import ASCIIResponse
from .http.request import Authorized, CreatesJobs, Page, PathId, QueueName, Removed, router

routes = router("/v1/queues/{queue}/schedulers", "schedulers")


class TemplateView(Closed):
    """What the jobs are made of."""

    data: t.Any
    opts: dict[str, t.Any]


class SchedulerView(Closed):
    """A job scheduler. `next` is when its next job is due, ms since the epoch; null once it has ended."""

    id: str
    name: str
    every: int | None
    pattern: str | None
    tz: str | None
    limit: int | None
    offset: int | None
    startDate: int | None
    endDate: int | None
    next: int | None
    iterationCount: int
    template: TemplateView


class NextJobView(Closed):
    """A scheduler's next job, which is due in `delay` ms."""

    id: str
    delay: int


class UpsertedScheduler(Closed):
    """A job scheduler with its next job, null once it has ended."""

    scheduler: SchedulerView
    job: NextJobView | None


class SchedulerPage(Closed):
    """Job schedulers, and how many there are in all."""

    schedulers: list[SchedulerView]
    count: int


@routes.put("/{id}", response_model=UpsertedScheduler, dependencies=[CreatesJobs])
async def upsert_scheduler(queue: QueueName, id: PathId, body: SchedulerBody, service: Authorized) -> Response:
    """Create a job scheduler, or change it. One that stays the same keeps its times and its next job."""
    check_scheduler_id(id)
    await check_patterns(service.shares, {"repeat": body.repeat})
    try:
        made = await service.upsert_scheduler(queue, id, body.repeat.given(), body.template_of(id))
    except WrongState as exc:
        raise wrong_scheduler_state(queue, id, exc) from None
    job = made.next_job and made.next_job._asdict()
    return ASCIIResponse({"scheduler": made.view, "job": job})


@routes.get("", response_model=SchedulerPage)
async def get_schedulers(queue: QueueName, service: Authorized, page: Page, asc: bool = True) -> Response:
    """List the job schedulers from `start` to `end`, at most 1,000.

    The one that runs next is first, unless `asc` is false.
    """
    found = await service.schedulers.page(queue, page.start, page.end, ascending=asc)
    count = await service.schedulers.count(queue)
    return ASCIIResponse({"schedulers": [scheduler.view for scheduler in found], "count": count})


@routes.get("/{id}", response_model=SchedulerView)
async def get_scheduler(queue: QueueName, id: PathId, service: Authorized) -> Response:
    """Get a job scheduler."""
    return ASCIIResponse((await service.schedulers.get(queue, id)).view)


@routes.delete("/{id}")
async def remove_scheduler(queue: QueueName, id: PathId, service: Authorized) -> Removed:
    """Remove a job scheduler with its delayed job. A job that is due already still runs."""
    return Removed(removed=await service.schedulers.remove(queue, id))
