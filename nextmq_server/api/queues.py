"""/v1/queues/{queue}: a queue as a whole."""

from __future__ import annotations

from fastapi import APIRouter

from .request import Authorized, QueueName, StrictRoute

router = APIRouter(prefix="/v1/queues/{queue}", tags=["queues"], route_class=StrictRoute)


@router.get("/counts")
async def get_job_counts(queue: QueueName, service: Authorized) -> dict[str, int]:
    """How many jobs are in each state."""
    return await service.jobs.counts(queue)
