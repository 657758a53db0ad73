"""/v1/queues/{queue}/schedulers: BullMQ's job schedulers."""

from __future__ import annotations

import typing as t

from fastapi import APIRouter, Response
from pydantic import TypeAdapter, ValidationError

from nextmq_handler.rules.cron import InvalidSchedule
from nextmq_handler.rules.models import BoundedData, Name
from nextmq_handler.rules.problems import problem_text
from nextmq_handler.rules.schedules import RepeatModel, SchedulerId, Template, TemplateOptions

from ..engine.queues.jobs import WrongState
from ..engine.queues.schedulers import NoSuchScheduler
from .errors import DOCUMENTED, APIError, ASCIIResponse
from .request import (
    Authorized,
    Closed,
    CreatesJobs,
    PageEnd,
    PageStart,
    PathId,
    QueueName,
    Removed,
    StrictRoute,
    check_page,
)

router = APIRouter(
    prefix="/v1/queues/{queue}/schedulers", tags=["schedulers"], route_class=StrictRoute, responses=DOCUMENTED
)

_id: TypeAdapter[str] = TypeAdapter(SchedulerId)


class NewTemplate(Closed):
    """What the jobs are made of. The name is the scheduler's id without."""

    name: Name | None = None
    data: BoundedData = None
    opts: TemplateOptions = TemplateOptions()


class NewScheduler(Closed):
    """When a job scheduler runs, and what its jobs are made of."""

    repeat: RepeatModel
    template: NewTemplate = NewTemplate()


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


@router.put("/{id}", response_model=UpsertedScheduler, dependencies=[CreatesJobs])
async def upsert_scheduler(queue: QueueName, id: PathId, body: NewScheduler, service: Authorized) -> Response:
    """Make a job scheduler, or change it. One that is the same already keeps its times and its next job."""
    try:
        _id.validate_python(id)
    except ValidationError as exc:
        raise APIError(422, "invalid_request", f"id: {problem_text(exc.errors()[0])}") from None
    template = Template(body.template.name or id, body.template.data, body.template.opts.given())
    try:
        made = await service.upsert_scheduler(queue, id, body.repeat.given(), template)
    except InvalidSchedule as exc:
        raise APIError(422, "invalid_request", f"repeat.{exc}") from None
    except WrongState as exc:
        raise APIError(409, "wrong_state", f"job scheduler {id} of queue {queue} {exc}") from None
    except NoSuchScheduler:
        raise _no_such_scheduler(queue, id) from None
    job = made.next_job and made.next_job._asdict()
    return ASCIIResponse({"scheduler": made.view, "job": job})


@router.get("", response_model=SchedulerPage)
async def get_schedulers(
    queue: QueueName,
    service: Authorized,
    start: PageStart = 0,
    end: PageEnd = 99,
    asc: bool = True,
) -> Response:
    """The job schedulers from `start` to `end`, at most 1,000: what runs next is first, unless `asc=false`."""
    check_page(start, end)
    found = await service.schedulers.page(queue, start, end, ascending=asc)
    count = await service.schedulers.count(queue)
    return ASCIIResponse({"schedulers": [scheduler.view for scheduler in found], "count": count})


@router.get("/{id}", response_model=SchedulerView)
async def get_scheduler(queue: QueueName, id: PathId, service: Authorized) -> Response:
    """A job scheduler."""
    try:
        return ASCIIResponse((await service.schedulers.get(queue, id)).view)
    except NoSuchScheduler:
        raise _no_such_scheduler(queue, id) from None


@router.delete("/{id}")
async def remove_scheduler(queue: QueueName, id: PathId, service: Authorized) -> Removed:
    """Remove a job scheduler with its delayed job; a job that is due already still runs."""
    return Removed(removed=await service.schedulers.remove(queue, id))


def _no_such_scheduler(queue: str, id: str) -> APIError:
    return APIError(404, "not_found", f"queue {queue} has no job scheduler {id}")
