"""POST /v1/queues/{queue}/redrive: dead letters go back to the queues they came from."""

from __future__ import annotations

import typing as t

from fastapi import APIRouter, Response
from pydantic import Field

from nextmq_handler.rules.models import Name

from ..engine.queues.redrive import Wanted
from ..timers import now_ms
from .errors import DOCUMENTED, ASCIIResponse
from .request import Authorized, Closed, CreatesJobs, QueueName, StrictRoute

MAX_REDRIVE = 1000

router = APIRouter(prefix="/v1/queues/{queue}", tags=["queues"], route_class=StrictRoute, responses=DOCUMENTED)


class Redrive(Closed):
    """Which dead letters go back: all that match every member which is not null, `limit` of them at most."""

    ids: t.Annotated[
        list[t.Annotated[str, Field(min_length=1, max_length=1024)]] | None, Field(max_length=MAX_REDRIVE)
    ] = None
    name: Name | None = None
    reason: t.Annotated[str, Field(min_length=1, max_length=4096)] | None = None
    limit: int = Field(default=MAX_REDRIVE, ge=1, le=MAX_REDRIVE)


class Redriven(Closed):
    """The ids that the letters had in the dead-letter queue."""

    redriven: list[str]


@router.post("/redrive", response_model=Redriven, dependencies=[CreatesJobs])
async def redrive(queue: QueueName, body: Redrive, service: Authorized) -> Response:
    """Send dead letters back, oldest first: each is a new job of its queue, with all its attempts.

    Letters that a worker holds stay, and so does what is no dead letter.
    """
    wanted = Wanted(body.ids, body.name, body.reason)
    redriven = await service.redrive(queue, wanted, limit=body.limit, now=now_ms())
    return ASCIIResponse({"redriven": redriven})
