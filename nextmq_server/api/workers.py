"""PUT, GET and DELETE /v1/queues/{queue}/worker: registrations (protocol section 4)."""

from __future__ import annotations

import typing as t

from fastapi import APIRouter

from ..registry import Registration, WorkerConflict
from .errors import APIError
from .request import Authorized, QueueName, StrictRoute

router = APIRouter(prefix="/v1/queues/{queue}/worker", tags=["workers"], route_class=StrictRoute)


@router.put("")
async def register_worker(
    queue: QueueName, registration: Registration, service: Authorized, replace: bool = False
) -> Registration:
    """Register the queue's worker. Idempotent: the same registration refreshes `lastSeen`."""
    if not {secret.id for secret in service.project.secrets} & set(registration.secret_ids):
        raise APIError(
            422,
            "secret_mismatch",
            "the app has none of this project's webhook secrets: its NEXTMQ_URL or NEXTMQ_WEBHOOK_SECRETS is of "
            "another server",
        )
    try:
        return await service.register(queue, registration, replace=replace)
    except WorkerConflict as exc:
        raise APIError(
            409, "worker_conflict", f"another registration holds queue {queue}", fields=exc.fields
        ) from None


@router.get("")
async def get_worker(queue: QueueName, service: Authorized) -> Registration:
    """The queue's registration."""
    registration = service.registry.get(queue)
    if registration is None:
        raise APIError(404, "not_found", f"queue {queue} has no worker")
    return registration


@router.delete("")
async def unregister_worker(queue: QueueName, service: Authorized) -> dict[str, t.Any]:
    """Remove the registration: waiting jobs stay, active deliveries finish."""
    if not await service.unregister(queue):
        raise APIError(404, "not_found", f"queue {queue} has no worker")
    return {}
