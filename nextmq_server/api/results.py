"""GET /v1/queues/{queue}/jobs/{id}/result: what a job ended with, waited for if need be."""

from __future__ import annotations

import asyncio
import typing as t

from fastapi import APIRouter, Query, Request, Response

from nextmq_handler.rules.results import JobResult

from ..engine.queues.jobs import NoSuchJob
from .errors import DOCUMENTED, ASCIIResponse, no_such_job
from .request import Authorized, Closed, PathId, QueueName, StrictRoute

MAX_WAIT = 60_000
"""The longest wait, in ms."""

_CLIENT_GONE = 499  # nobody reads it

router = APIRouter(
    prefix="/v1/queues/{queue}/jobs/{id}/result", tags=["jobs"], route_class=StrictRoute, responses=DOCUMENTED
)


class Result(Closed):
    """What a job ended with: its state is completed or failed. Of any other state the rest is null."""

    state: str
    returnValue: t.Any
    failedReason: str | None
    stacktrace: list[str] | None
    finishedOn: int | None


@router.get("", response_model=Result)
async def get_result(
    request: Request,
    queue: QueueName,
    job_id: PathId,
    service: Authorized,
    wait: t.Annotated[int, Query(ge=0, le=MAX_WAIT, description="for how many ms to wait for the job's end")] = 0,
) -> Response:
    """What a job ended with. It is there for about a minute after a job is gone that was not kept."""
    try:
        result = await _unless_gone(request, service.results.get(queue, job_id, wait=wait))
    except NoSuchJob:
        raise no_such_job(queue, job_id) from None
    return Response(status_code=_CLIENT_GONE) if result is None else ASCIIResponse(result)


async def _unless_gone(request: Request, work: t.Coroutine[t.Any, t.Any, JobResult]) -> JobResult | None:
    """The result of `work`; None where the client went away, which ends it."""
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_disconnected(request))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else None
    finally:
        working.cancel()
        leaving.cancel()


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
