"""GET …/why: what keeps a queue or a job from running, and what ends each cause."""

from __future__ import annotations

import typing as t

from fastapi import Response

from nextmq_handler.rules.models import Closed

from ...why.cause import Code
from ..http.errors import ASCIIResponse
from ..http.request import Authorized, PathId, QueueName, router

routes = router("/v1/queues/{queue}", "queues")


class RemedyView(Closed):
    """What ends a cause: in words, and the command if there is one."""

    text: str
    command: str | None


class CauseView(Closed):
    """Why a job does not run. Times are ms since the epoch.

    `age` is how old, in ms, what a server process published is, if the cause is known from that.
    """

    code: Code
    sentence: str
    remedy: RemedyView
    since: int | None
    until: int | None
    age: int | None
    details: dict[str, t.Any]


class WhyView(Closed):
    """All causes, the one that must end first in front. Without causes, nothing keeps it from running."""

    queue: str
    job: str | None
    state: str | None
    at: int
    causes: list[CauseView]


@routes.get("/why", response_model=WhyView)
async def why_queue(queue: QueueName, service: Authorized) -> Response:
    """Tell what keeps the queue's jobs from starting."""
    return ASCIIResponse((await service.why.ask(queue)).view())


@routes.get("/jobs/{id}/why", response_model=WhyView)
async def why_job(queue: QueueName, job_id: PathId, service: Authorized) -> Response:
    """Tell what keeps a job from running. A job that does not exist has the cause `not_found`."""
    return ASCIIResponse((await service.why.ask(queue, job_id)).view())
