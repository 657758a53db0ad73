"""/v1/queues/{queue}/schedulers: BullMQ's job schedulers."""

from __future__ import annotations

import typing as t

from fastapi import Response
from pydantic import ValidationError

from nextmq_handler.rules.bodies import SchedulerBody
from nextmq_handler.rules.models import Closed
from nextmq_handler.rules.refusals import invalid_values, wrong_scheduler_state
from nextmq_handler.rules.schedules import TemplateOptions, check_scheduler_id
from nextmq_handler.rules.search.redaction import Redaction
from nextmq_handler.rules.views import LastRunView

from ..engine.queues.jobs import WrongState
from ..engine.queues.schedulers import SchedulerState
from ..patterns import check_patterns
from ..timers import now_ms
from .http.errors import ASCIIResponse
from .http.request import (
    Authorized,
    CreatesJobs,
    Hides,
    IdempotencyKey,
    Page,
    PathId,
    QueueName,
    Removed,
    Trace,
    router,
)
from .jobs import add_all

routes = router("/v1/queues/{queue}/schedulers", "schedulers")


class TemplateView(Closed):
    """What the jobs are made of."""

    data: t.Any
    opts: dict[str, t.Any]


class SchedulerView(Closed):
    """A job scheduler. `next` is when its next job is due, ms since the epoch; null once it has ended.

    `overdueBy` is for how many ms that job should have started. `last` is the job that was started last.
    """

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
    last: LastRunView | None
    overdueBy: int | None
    template: TemplateView


class NextJobView(Closed):
    """A scheduler's next job, which is due in `delay` ms."""

    id: str
    delay: int


class UpsertedScheduler(Closed):
    """A job scheduler with its next job, null once it has ended."""

    scheduler: SchedulerView
    job: NextJobView | None


class JobId(Closed):
    """The id of a job."""

    id: str


class AddedRun(Closed):
    """The job that was added."""

    job: JobId


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
async def get_schedulers(
    queue: QueueName, service: Authorized, redaction: Hides, page: Page, asc: bool = True
) -> Response:
    """List the job schedulers from `start` to `end`, at most 1,000.

    The one that runs next is first, unless `asc` is false.
    """
    found = await service.schedulers.page(queue, page.start, page.end, ascending=asc)
    count = await service.schedulers.count(queue)
    return ASCIIResponse({"schedulers": [_shown(scheduler, redaction) for scheduler in found], "count": count})


@routes.get("/{id}", response_model=SchedulerView)
async def get_scheduler(queue: QueueName, id: PathId, service: Authorized, redaction: Hides) -> Response:
    """Get a job scheduler."""
    return ASCIIResponse(_shown(await service.schedulers.get(queue, id), redaction))


@routes.post("/{id}/run", status_code=201, response_model=AddedRun, dependencies=[CreatesJobs])
async def run_scheduler(
    queue: QueueName, id: PathId, service: Authorized, trace: Trace, idempotency: IdempotencyKey = None
) -> Response:
    """Add a job of the scheduler now. The times of the scheduler stay as they are."""
    template = (await service.schedulers.get(queue, id)).template
    try:
        opts = TemplateOptions.of_held(template.opts).given()
    except ValidationError as exc:
        problem = invalid_values(exc.errors()).message
        raise wrong_scheduler_state(queue, id, f"has a template of which no job can be made: {problem}") from None
    new = service.jobs.new(queue, template.name, template.data, {**trace, **opts}, now=now_ms())
    [added] = await add_all(service, [new], idempotency)
    return ASCIIResponse({"job": {"id": added.id}}, 201)


@routes.delete("/{id}")
async def remove_scheduler(queue: QueueName, id: PathId, service: Authorized) -> Removed:
    """Remove a job scheduler with its delayed job. A job that is due already still runs."""
    return Removed(removed=await service.schedulers.remove(queue, id))


def _shown(scheduler: SchedulerState, redaction: Redaction | None) -> t.Mapping[str, t.Any]:
    return scheduler.view if redaction is None else redaction.parts(scheduler.view)
