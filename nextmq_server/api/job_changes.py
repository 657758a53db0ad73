"""/v1/queues/{queue}/jobs/{id}/…: change a job or its log. A processor's calls carry its delivery (section 5)."""

from __future__ import annotations

from fastapi import Response

from nextmq_handler.protocol import strict_json
from nextmq_handler.rules.bodies import DataBody, DelayBody, LogRowBody, PriorityBody, ProgressBody, RetryBody
from nextmq_handler.rules.limits import MAX_PAGE
from nextmq_handler.rules.models import Closed
from nextmq_handler.rules.refusals import invalid

from ..timers import now_ms
from .http.paging import From, Piece, answer_list, is_index, item
from .http.request import Empty, Hides, Index, Job, LastIndex, Removed, router

routes = router("/v1/queues/{queue}/jobs/{id}", "jobs")


class LogCount(Closed):
    """How many lines there are."""

    count: int


class LogPage(LogCount):
    """Some lines, and how many there are in all. `next` is where to go on, if there is more."""

    logs: list[str]
    next: str | None = None


@routes.post("/retry")
async def retry_job(job: Job, body: RetryBody) -> Empty:
    """Retry a finished job: it waits again, with new `data` if the body has it."""
    await job.service.jobs.retry(
        job.queue,
        job.id,
        body.state,
        reset_attempts_made=body.resetAttemptsMade,
        reset_attempts_started=body.resetAttemptsStarted,
        data=strict_json.compact(body.data) if body.has_data else None,
    )


@routes.post("/promote")
async def promote_job(job: Job) -> Empty:
    """Promote a delayed job: it waits now."""
    await job.service.jobs.promote(job.queue, job.id)


@routes.put("/data")
async def update_data(job: Job, body: DataBody) -> Empty:
    """Replace a job's data. The next attempt gets it."""
    await job.service.jobs.update_data(job.queue, job.id, body.data)


@routes.put("/progress")
async def update_progress(job: Job, body: ProgressBody) -> Empty:
    """Report a job's progress."""
    await job.service.jobs.update_progress(job.queue, job.id, body.progress)


@routes.put("/delay")
async def change_delay(job: Job, body: DelayBody) -> Empty:
    """Change how long a delayed job waits, from now on."""
    await job.service.jobs.change_delay(job.queue, job.id, body.delay, now_ms())


@routes.put("/priority")
async def change_priority(job: Job, body: PriorityBody) -> Empty:
    """Change a job's priority."""
    await job.service.jobs.change_priority(job.queue, job.id, body.priority, lifo=body.lifo)


@routes.delete("/deduplication-key")
async def remove_deduplication_key(job: Job) -> Removed:
    """Release a job's deduplication id: other jobs with the id can be added again."""
    return Removed(removed=await job.service.jobs.remove_deduplication_key(job.queue, job.id))


@routes.post("/logs")
async def add_log(job: Job, body: LogRowBody) -> LogCount:
    """Add a log line."""
    return LogCount(count=await job.service.logs.add(job.queue, job.id, body.row, body.keepLogs))


@routes.get("/logs", response_model=LogPage)
async def get_logs(
    job: Job, redaction: Hides, start: Index = 0, end: LastIndex = -1, asc: bool = True, position: From = None
) -> Response:
    """List the log lines from `start` to `end`, at most 1,000. `next` is the `from` of those beyond 16 MiB."""
    last = start + MAX_PAGE - 1
    last = last if end == -1 else min(end, last)
    logs = job.service.logs
    _, count = await logs.some(job.queue, job.id, 0, -1, ascending=asc)

    async def read(position: str | None) -> Piece:
        first = start if position is None else int(position)
        rows, _ = await logs.some(job.queue, job.id, first, last, ascending=asc)
        following = first + len(rows)
        shown = rows if redaction is None else map(redaction.text, rows)
        return Piece([item(row) for row in shown], str(following) if rows and following <= last else None)

    if position is not None and not (is_index(position) and start <= int(position) <= last):
        raise invalid(
            "from", "not a place in this list: send the `next` of the answer before, with the same query"
        )
    return await answer_list(job.service.shares, read, position, "logs", count=count)


@routes.delete("/logs")
async def clear_logs(job: Job, keep: Index = 0) -> Empty:
    """Remove the log lines, except the last `keep`."""
    await job.service.logs.clear(job.queue, job.id, keep)
