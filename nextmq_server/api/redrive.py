"""POST /v1/queues/{queue}/redrive: send dead letters back to the queues they came from."""

from __future__ import annotations

from fastapi import Response

from nextmq_handler.rules.bodies import RedriveBody
from nextmq_handler.rules.dead_letters import Wanted
from nextmq_handler.rules.models import Closed

from ..timers import now_ms
from .errors import ASCIIResponse
from .request import Authorized, CreatesJobs, QueueName, router

routes = router("/v1/queues/{queue}", "queues")


class Redriven(Closed):
    """The ids that the dead letters had in the dead-letter queue."""

    redriven: list[str]


@routes.post("/redrive", response_model=Redriven, dependencies=[CreatesJobs])
async def redrive(queue: QueueName, body: RedriveBody, service: Authorized) -> Response:
    """Send dead letters back, oldest first. Each becomes a new job of its queue, with all its attempts.

    Dead letters that a worker is processing stay, and so do jobs that are not dead letters.
    """
    wanted = Wanted(body.ids, body.name, body.reason)
    redriven = await service.redrive(queue, wanted, limit=body.limit, now=now_ms())
    return ASCIIResponse({"redriven": redriven})
