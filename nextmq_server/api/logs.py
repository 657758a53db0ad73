"""/v1/queues/{queue}/jobs/{id}/logs: the log lines of a job."""

from __future__ import annotations

from fastapi import Response

from nextmq_handler.rules.bodies import LogRowBody
from nextmq_handler.rules.limits import MAX_PAGE
from nextmq_handler.rules.models import Closed

from .errors import ASCIIResponse
from .request import Empty, Index, Job, LastIndex, router

routes = router("/v1/queues/{queue}/jobs/{id}/logs", "jobs")


class LogCount(Closed):
    """How many lines there are."""

    count: int


class LogPage(LogCount):
    """Some lines, and how many there are in all."""

    logs: list[str]


@routes.post("")
async def add_log(job: Job, body: LogRowBody) -> LogCount:
    """Add a log line."""
    return LogCount(count=await job.service.logs.add(job.queue, job.id, body.row, body.keepLogs))


@routes.get("", response_model=LogPage)
async def get_logs(job: Job, start: Index = 0, end: LastIndex = -1, asc: bool = True) -> Response:
    """List the log lines from `start` to `end`, at most 1,000."""
    last = start + MAX_PAGE - 1
    end = last if end == -1 else min(end, last)
    rows, count = await job.service.logs.get(job.queue, job.id, start, end, ascending=asc)
    return ASCIIResponse({"logs": rows, "count": count})


@routes.delete("")
async def clear_logs(job: Job, keep: Index = 0) -> Empty:
    """Remove the log lines, except the last `keep`."""
    await job.service.logs.clear(job.queue, job.id, keep)
