"""/v1/queues/{queue}/jobs/{id}/logs: the log lines of a job."""

from __future__ import annotations

import typing as t

from fastapi import APIRouter, Query, Response
from pydantic import Field

from nextmq_handler.rules.models import Count

from .errors import DOCUMENTED, ASCIIResponse
from .job_changes import Job
from .request import Closed, Done, StrictRoute

MAX_ROWS = 1000

router = APIRouter(
    prefix="/v1/queues/{queue}/jobs/{id}/logs", tags=["jobs"], route_class=StrictRoute, responses=DOCUMENTED
)


class Row(Closed):
    """A log line; of the lines the last `keepLogs` stay."""

    row: str = Field(max_length=65_536)
    keepLogs: Count | None = None


class LogCount(Closed):
    """How many lines there are."""

    count: int


class LogPage(LogCount):
    """Some lines, and how many there are in all."""

    logs: list[str]


@router.post("")
async def add_log(job: Job, body: Row) -> LogCount:
    """Add a log line."""
    return LogCount(count=await job.do(job.service.logs.add(job.queue, job.id, body.row, body.keepLogs)))


@router.get("", response_model=LogPage)
async def get_logs(
    job: Job,
    start: t.Annotated[int, Query(ge=0, le=2**31)] = 0,
    end: t.Annotated[int, Query(ge=-1, le=2**31)] = -1,
    asc: bool = True,
) -> Response:
    """The lines from `start` to `end`, at most 1,000; -1 stands for the last one."""
    last = start + MAX_ROWS - 1
    end = last if end == -1 else min(end, last)
    rows, count = await job.do(job.service.logs.get(job.queue, job.id, start, end, ascending=asc))
    return ASCIIResponse({"logs": rows, "count": count})


@router.delete("")
async def clear_logs(job: Job, keep: t.Annotated[int, Query(ge=0, le=2**31)] = 0) -> Done:
    """Remove the lines, but for the last `keep`."""
    await job.do(job.service.logs.clear(job.queue, job.id, keep))
    return Done()
