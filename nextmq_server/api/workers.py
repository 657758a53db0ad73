"""/v1/workers and /v1/queues/{queue}/worker: registrations (protocol section 4)."""

from __future__ import annotations

import typing as t

from fastapi import Query
from pydantic import BaseModel

from nextmq_handler.rules.refusals import Refusal

from ..workers.registration import Registration
from ..workers.registry import OlderVersion
from .request import Authorized, Empty, QueueName, router

routes = router("/v1", "workers")

_WORKER = "/queues/{queue}/worker"


class QueueWorker(BaseModel):
    """A queue's registration."""

    queue: str
    registration: Registration


class QueueWorkers(BaseModel):
    """The registrations of a project."""

    workers: list[QueueWorker]


class NotCurrent(BaseModel):
    """The answer to an app of which a newer version holds the queue: its registration changed nothing."""

    current: t.Literal[False] = False


@routes.get("/workers")
async def get_workers(service: Authorized) -> QueueWorkers:
    """List the registrations of the project."""
    held = service.registry.all()
    return QueueWorkers(workers=[QueueWorker(queue=queue, registration=held[queue]) for queue in sorted(held)])


@routes.put(_WORKER)
async def register_worker(
    queue: QueueName,
    registration: Registration,
    service: Authorized,
    replace: bool = False,
    fingerprint: t.Annotated[str | None, Query(max_length=64)] = None,
) -> Registration | NotCurrent:
    """Register the queue's worker. Idempotent: the same registration refreshes `lastSeen`.

    A new version of the app takes the queue over. An older one, whose fingerprint was registered before, changes
    nothing and gets `{"current": false}`. `deploy` takes over in any case, and so does `replace=true` with the
    `fingerprint` of the registration held. Otherwise another URL, or no webhook secret in common, is a conflict.
    """
    if replace and fingerprint is None:
        raise Refusal(422, "invalid_request", "replace=true needs the fingerprint that it replaces")
    if not {secret.id for secret in service.project.secrets} & set(registration.secret_ids):
        raise Refusal(
            422,
            "secret_mismatch",
            "the app has none of this project's webhook secrets: its NEXTMQ_URL or NEXTMQ_WEBHOOK_SECRETS is for "
            "another server",
        )
    dead_letter = registration.options.dead_letter
    if service.registry.leads_back(queue, dead_letter):
        raise Refusal(
            422,
            "invalid_request",
            f"options.deadLetter: jobs that fail in {queue} would come back to it through {dead_letter}: "
            "name a queue whose own dead letters go elsewhere",
        )
    try:
        return await service.workers.register(queue, registration, replace=fingerprint if replace else None)
    except OlderVersion:
        return NotCurrent()


@routes.get(_WORKER)
async def get_worker(queue: QueueName, service: Authorized) -> Registration:
    """Get the queue's registration."""
    registration = service.registry.get(queue)
    if registration is None:
        raise _no_worker(queue)
    return registration


@routes.delete(_WORKER)
async def unregister_worker(queue: QueueName, service: Authorized) -> Empty:
    """Remove the registration. Waiting jobs stay, active deliveries finish."""
    if not await service.workers.unregister(queue):
        raise _no_worker(queue)


def _no_worker(queue: str) -> Refusal:
    return Refusal(404, "not_found", f"queue {queue} has no worker")
