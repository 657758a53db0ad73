"""GET /v1/queues/{queue}/jobs/{id}/result: what a job ended with; the call can wait for the end."""

from __future__ import annotations

import asyncio
import contextlib
import typing as t

from fastapi import Query, Request, Response

from nextmq_handler.rules.limits import MAX_WAIT
from nextmq_handler.rules.results import JobResult

from ..front.open_calls import OpenCalls
from .http.errors import ASCIIResponse
from .http.request import Authorized, Hides, PathId, QueueName, router

_CLIENT_GONE = 499  # nobody reads it

routes = router("/v1/queues/{queue}/jobs/{id}/result", "jobs")


@routes.get("", response_model=JobResult)
async def get_result(
    request: Request,
    queue: QueueName,
    job_id: PathId,
    service: Authorized,
    redaction: Hides,
    wait: t.Annotated[int, Query(ge=0, le=MAX_WAIT, description="how many ms to wait for the job to end")] = 0,
) -> Response:
    """Get what a job ended with. The result of a job that is not kept stays for about a minute."""
    waits: OpenCalls = request.app.state.waits
    with waits.one(service.project.name) if wait else contextlib.nullcontext():
        result = await _unless_gone(request, service.results.get(queue, job_id, wait=wait))
    if result is None:
        return Response(status_code=_CLIENT_GONE)
    return ASCIIResponse(result if redaction is None else redaction.parts(result))


async def _unless_gone(request: Request, work: t.Coroutine[t.Any, t.Any, JobResult]) -> JobResult | None:
    """Return the result of `work`, or None if the client disconnects, which cancels it."""
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
