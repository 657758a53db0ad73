"""A job: what became of it and why, its deliveries, data, result, stack traces and logs."""

from __future__ import annotations

import asyncio
import itertools
import typing as t

from starlette.responses import Response

from nextmq_handler.errors import ConfigurationError
from nextmq_handler.protocol.arguments import check_queue_name
from nextmq_handler.rules.queries import check_path_id
from nextmq_handler.rules.refusals import Refusal
from nextmq_handler.rules.search.redaction import Redaction

from ...engine.queues.jobs import NoSuchJob
from ...projects.roles import Role
from ..visits import Visit, needs
from ..waterfall import waterfall

LOG_LINES = 200
"""How many of a job's last log lines a page shows."""

_REDACTION = Redaction()


class StackTrace(t.NamedTuple):
    """A stack trace, and of how many attempts in a row it is."""

    text: str
    times: int


@needs(Role.VIEWER)
async def page(visit: Visit) -> Response:
    """Show the job. Secrets in it are hidden."""
    queue, job_id = visit.param("queue"), visit.param("id")
    try:
        check_queue_name(queue)
        check_path_id(job_id)
    except (ConfigurationError, Refusal) as exc:
        return visit.missing(str(exc))
    service = visit.service
    try:
        found, (lines, count), why = await asyncio.gather(
            service.jobs.get(queue, job_id),
            service.logs.some(queue, job_id, 0, LOG_LINES - 1, ascending=False),
            service.why.ask(queue, job_id),
        )
    except NoSuchJob:
        [cause, *_] = (await service.why.ask(queue, job_id)).causes
        return visit.missing(f"{cause.sentence}. {cause.remedy.text}.")
    job = _REDACTION.job(found)
    return visit.page(
        "job.html",
        section="queues",
        now=why.at,
        queue=queue,
        job=job,
        attempts=found["opts"].get("attempts") or 1,
        causes=[cause.view() for cause in why.causes if cause.code not in ("finished", "active")],
        timeline=waterfall(found, why.at),
        traces=folded(job["stacktrace"]),
        logs=[_REDACTION.text(line) for line in reversed(lines)],
        log_count=count,
    )


def folded(traces: object) -> list[StackTrace]:
    """Return the stack traces, the newest first, equal ones in a row as one."""
    if not isinstance(traces, list):  # it was too large to be looked through
        return [StackTrace(str(traces), 1)]
    newest_first = [str(trace) for trace in reversed(t.cast("list[object]", traces))]
    return [StackTrace(text, len(list(group))) for text, group in itertools.groupby(newest_first)]
