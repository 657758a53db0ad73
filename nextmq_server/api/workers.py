"""PUT, GET and DELETE /v1/queues/{queue}/worker: registrations (protocol section 4)."""

from __future__ import annotations

import typing as t

from fastapi import APIRouter, Query
from pydantic import BaseModel

from ..dispatch.egress.rules import EgressRefused
from ..workers.registration import Registration
from ..workers.registry import WorkerConflict
from .errors import DOCUMENTED, APIError, invalid_member
from .request import Authorized, QueueName, StrictRoute

router = APIRouter(
    prefix="/v1/queues/{queue}/worker", tags=["workers"], route_class=StrictRoute, responses=DOCUMENTED
)
all_workers = APIRouter(prefix="/v1/workers", tags=["workers"], route_class=StrictRoute, responses=DOCUMENTED)


class QueueWorker(BaseModel):
    """A queue's registration."""

    queue: str
    registration: Registration


class QueueWorkers(BaseModel):
    """The registrations of a project."""

    workers: list[QueueWorker]


@all_workers.get("")
async def get_workers(service: Authorized) -> QueueWorkers:
    """All registrations of the project."""
    held = service.registry.all()
    return QueueWorkers(workers=[QueueWorker(queue=queue, registration=held[queue]) for queue in sorted(held)])


@router.put("")
async def register_worker(
    queue: QueueName,
    registration: Registration,
    service: Authorized,
    replace: bool = False,
    fingerprint: t.Annotated[str | None, Query(max_length=64)] = None,
) -> Registration:
    """Register the queue's worker. Idempotent: the same registration refreshes `lastSeen`.

    One that differs takes the place of the one held with `replace=true` and the `fingerprint` of that one.
    """
    if replace and fingerprint is None:
        raise APIError(422, "invalid_request", "replace=true needs the fingerprint that it replaces")
    if not {secret.id for secret in service.project.secrets} & set(registration.secret_ids):
        raise APIError(
            422,
            "secret_mismatch",
            "the app has none of this project's webhook secrets: its NEXTMQ_URL or NEXTMQ_WEBHOOK_SECRETS is of "
            "another server",
        )
    dead_letter = registration.options.dead_letter
    if service.registry.leads_back(queue, dead_letter):
        raise APIError(
            422,
            "invalid_request",
            f"options.deadLetter: what fails in {queue} would come back to it by way of {dead_letter}: "
            "name a queue whose own dead letters go elsewhere",
        )
    try:
        return await service.workers.register(queue, registration, replace=fingerprint if replace else None)
    except EgressRefused as exc:
        raise invalid_member("url", str(exc)) from None
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
    if not await service.workers.unregister(queue):
        raise APIError(404, "not_found", f"queue {queue} has no worker")
    return {}
