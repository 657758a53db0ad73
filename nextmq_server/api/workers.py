"""/v1/workers and /v1/queues/{queue}/worker: registrations (protocol section 4)."""

from __future__ import annotations

import typing as t

from fastapi import Query, Request, Response
from pydantic import BaseModel

from nextmq_handler.rules.limits import MAX_SCHEMAS
from nextmq_handler.rules.models import Closed
from nextmq_handler.rules.refusals import Refusal

from ..dispatch.probe import ProbeVerdict
from ..front.open_calls import OpenCalls
from ..patterns import check_patterns
from ..workers.differences import differences
from ..workers.registration import Registration
from ..workers.registry import OlderVersion
from .http.errors import ASCIIResponse
from .http.paging import From, Piece, answer_list, named_piece
from .http.request import Authorized, Empty, QueueName, router

routes = router("/v1", "workers")

_WORKER = "/queues/{queue}/worker"


class QueueWorker(BaseModel):
    """A queue's registration."""

    queue: str
    registration: Registration


class QueueWorkers(BaseModel):
    """The registrations of a project. `next` is where to go on, if there is more."""

    workers: list[QueueWorker]
    next: str | None = None


class NotCurrent(BaseModel):
    """The answer to an app of which a newer version holds the queue: its registration changed nothing."""

    current: t.Literal[False] = False


class ProbeView(BaseModel):
    """What a probe found, and what to do about it. `status` is null if no HTTP answer came; it took `ms`."""

    reached: bool
    verdict: ProbeVerdict
    url: str
    status: int | None
    ms: int
    detail: str
    fix: str


class ComparedWorker(Closed):
    """What registering would change, as in "concurrency 4 → 8". Nothing was changed."""

    isRegistered: bool
    differences: list[str]


@routes.get("/workers", response_model=QueueWorkers)
async def get_workers(service: Authorized, position: From = None) -> Response:
    """List the registrations of the project by queue. `next` is the `from` of those beyond 16 MiB."""
    held = service.registry.all()

    async def views(queues: t.Sequence[str]) -> list[object]:
        return [{"queue": queue, "registration": held[queue].view()} for queue in queues]

    async def read(position: str | None) -> Piece:
        return await named_piece(sorted(held), position, views, at_once=1)

    return await answer_list(service.shares, read, position, "workers")


@routes.put(_WORKER, response_model=Registration | NotCurrent | ComparedWorker)
async def register_worker(
    queue: QueueName,
    registration: Registration,
    service: Authorized,
    replace: bool = False,
    fingerprint: t.Annotated[str | None, Query(max_length=64)] = None,
    dry_run: t.Annotated[bool, Query(alias="dryRun")] = False,
) -> Response:
    """Register the queue's worker. Idempotent: the same registration refreshes `lastSeen`.

    A new version of the app takes the queue over. An older one, whose fingerprint was registered before, changes
    nothing and gets `{"current": false}`. `deploy` takes over in any case, and so does `replace=true` with the
    `fingerprint` of the registration held. Otherwise another URL, or no webhook secret in common, is a conflict.
    `dryRun=true` checks the registration, tells what differs from the one held, and changes nothing.
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
    if registration.schemas is not None and (size := len(registration.schemas)) > MAX_SCHEMAS:
        raise Refusal(
            422,
            "schemas_too_large",
            f"schemas: they are {size} bytes, over the limit of {MAX_SCHEMAS}: register without them (null)",
        )
    dead_letter = registration.options.dead_letter
    if service.registry.leads_back(queue, dead_letter):
        raise Refusal(
            422,
            "invalid_request",
            f"options.deadLetter: jobs that fail in {queue} would come back to it through {dead_letter}: "
            "name a queue whose own dead letters go elsewhere",
        )
    await check_patterns(
        service.shares, {f"schedules.{index}": schedule for index, schedule in enumerate(registration.schedules)}
    )
    if dry_run:
        service.workers.check(registration)
        current = service.registry.get(queue)
        found = [] if current is None else differences(current, registration)
        return ASCIIResponse(ComparedWorker(isRegistered=current is not None, differences=found).model_dump())
    try:
        held = await service.workers.register(queue, registration, replace=fingerprint if replace else None)
    except OlderVersion:
        return ASCIIResponse(NotCurrent().model_dump())
    return ASCIIResponse(held.view())


@routes.get(_WORKER, response_model=Registration)
async def get_worker(queue: QueueName, service: Authorized) -> Response:
    """Get the queue's registration."""
    registration = service.registry.get(queue)
    if registration is None:
        raise _no_worker(queue)
    return ASCIIResponse(registration.view())


@routes.delete(_WORKER)
async def unregister_worker(queue: QueueName, service: Authorized) -> Empty:
    """Remove the registration. Waiting jobs stay, active deliveries finish."""
    if not await service.workers.unregister(queue):
        raise _no_worker(queue)


@routes.post(f"{_WORKER}/probe", response_model=ProbeView)
async def probe_worker(request: Request, queue: QueueName, service: Authorized) -> Response:
    """Send a signed delivery without a job to the queue's endpoint: is it reached, with the right secret?

    No processor runs. A handler refuses a body of `{}` with 400, but only after it has verified the signature.
    """
    probes: OpenCalls = request.app.state.probes
    with probes.one(service.project.name):
        found = await service.workers.probe(queue)
    if found is None:
        raise _no_worker(queue)
    return ASCIIResponse(found.view())


def _no_worker(queue: str) -> Refusal:
    return Refusal(404, "not_found", f"queue {queue} has no worker")
