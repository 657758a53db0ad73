"""What routes share: the API key, bounded strict JSON bodies, the names in the path, the idempotency key."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import typing as t
from urllib.parse import unquote

from fastapi import APIRouter, Depends, Header, Path, Query, Request
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer
from pydantic import BaseModel, PlainSerializer
from starlette.responses import Response

from nextmq_handler.errors import ConfigurationError
from nextmq_handler.protocol.arguments import check_queue_name
from nextmq_handler.protocol.messages import PROJECT_HEADER
from nextmq_handler.rules.limits import MAX_NAME, MAX_PAGE_INDEX
from nextmq_handler.rules.log_text import one_line
from nextmq_handler.rules.models import Closed
from nextmq_handler.rules.queries import check_page, check_path_id
from nextmq_handler.rules.refusals import Refusal, stale_delivery
from nextmq_handler.rules.search.redaction import Redaction
from nextmq_handler.telemetry import trace_options

from ...dispatch.delivery_ids import owns
from ...engine.queues.adding import Idempotency
from ...front import caller
from ...projects.roles import MAX_KEY_NAME, ApiKey, Role
from ...service import Service
from ...shares import LARGE_BODY
from ..access import Access, Apps, access_of
from .audited import DELIVERY_HEADER, audited
from .bodies import BulkRequest, StrictRequest
from .errors import DOCUMENTED
from .query import check_query, rules_of


class Done(BaseModel):
    """An empty object."""


Empty = t.Annotated[None, PlainSerializer(lambda _: Done(), return_type=Done)]
"""What a route returns that has nothing to tell: None, sent as an empty object."""


class Removed(Closed):
    """Whether there was anything to remove."""

    removed: bool


class _StrictRoute(APIRoute):
    """A route that checks the API key before it reads the body, and parses JSON as the protocol says."""

    request_class: type[StrictRequest] = StrictRequest

    def get_route_handler(self) -> t.Callable[[Request], t.Coroutine[t.Any, t.Any, Response]]:
        """Return the handler. FastAPI's own would read and parse the body before it checks the key."""
        handler, rules = super().get_route_handler(), rules_of(self.dependant)
        access = access_of(self.methods or (), self.path_format)

        async def strict(request: Request) -> Response:
            service, key = request.state.service, request.state.key = await _find_service(request)
            _check_project(request, service)
            _check_role(access, request, key)
            check_query(request, rules)
            checked = self.request_class(request.scope, request.receive)
            # A large body costs many times its size until it is carried out.
            async with (
                service.shares.large_bodies if checked.is_large else contextlib.nullcontext(),
                audited(access, request, service, key),
            ):
                return await handler(checked)

        return strict


class _BulkRoute(_StrictRoute):
    request_class = BulkRequest


_NO_KEY = "send the API key of the connection string: authorization: Bearer …"
_WRONG_KEY = (
    "no project of this server has the API key that was sent: compare it, and the host, with the connection string"
)

_bearer = HTTPBearer(auto_error=False, description="The API key of the connection string")


def router(prefix: str, tag: str, *, is_bulk: bool = False) -> APIRouter:
    """Return a router whose routes need the API key. The bodies of bulk routes may be larger."""
    return APIRouter(
        prefix=prefix,
        tags=[tag],
        route_class=_BulkRoute if is_bulk else _StrictRoute,
        responses=DOCUMENTED,
        dependencies=[Depends(_bearer)],  # for the OpenAPI document: the route has checked the key
    )


async def _find_service(request: Request) -> tuple[Service, ApiKey]:
    """Return the service of the project whose API key the request has, and the key. Raises Refusal."""
    services: t.Sequence[Service] = request.app.state.services
    sent = await _bearer(request)
    # All are compared, so that the time does not tell whose key it is.
    found = [(one, one.credentials.admit(sent.credentials) if sent else None) for one in services]
    matching = [(service, key) for service, key in found if key is not None]
    if not matching:
        await caller.refuse(request.scope, "sent a wrong API key" if sent else "sent no API key")
        raise Refusal(401, "unauthorized", _WRONG_KEY if sent else _NO_KEY)
    caller.admit(request.scope)
    return matching[0]


def _check_project(request: Request, service: Service) -> None:
    """Raise Refusal if the caller names a project that its key is not for. An older SDK names none."""
    sent = request.headers.get(PROJECT_HEADER)
    if sent is not None and (name := unquote(sent)) != service.project.name:
        shown, own = one_line(name, MAX_NAME), service.project.name
        raise Refusal(
            403,
            "wrong_project",
            f'the API key is of project "{own}", not of "{shown}": correct the project in NEXTMQ_URL, or the key',
        )


def _check_role(access: Access, request: Request, key: ApiKey) -> None:
    """Raise Refusal if the role of the caller's key is not enough for the route."""
    if access.admits(key, in_delivery=DELIVERY_HEADER in request.headers):
        return
    named = f"API key {key.id}" + (f" ({one_line(key.name, MAX_KEY_NAME)})" if key.name else "")
    in_delivery = ", or app with the delivery of its own job" if access.apps is Apps.IN_DELIVERY else ""
    raise Refusal(
        403,
        "forbidden",
        f"the {named} has the role {key.role}: this route needs {access.needed}{in_delivery}",
        role=str(key.role),
        needed=access.needed,
    )


async def get_key(request: Request) -> ApiKey:
    """Return the API key that the route has found."""
    key: ApiKey = request.state.key
    return key


async def get_redaction(request: Request) -> Redaction | None:
    """Return what hides secrets from the caller; None if the caller may see them."""
    key: ApiKey = request.state.key
    return Redaction() if key.role is Role.VIEWER else None


async def get_service(request: Request) -> Service:
    """Return the service that the route has found by the API key."""
    service: Service = request.state.service
    return service


async def get_queue(
    # The pattern is for the OpenAPI document: the check below answers with a code of its own.
    queue: t.Annotated[str, Path(max_length=300, json_schema_extra={"pattern": "^[A-Za-z0-9._~-]{1,100}$"})],
) -> str:
    """Return the queue of the path."""
    try:
        return check_queue_name(unquote(queue))
    except ConfigurationError as exc:
        raise Refusal(422, "invalid_queue_name", str(exc)) from None


async def get_wanted_queue(
    queue: t.Annotated[
        str | None,
        Query(
            max_length=100,
            description="only this queue",
            json_schema_extra={"pattern": "^[A-Za-z0-9._~-]{1,100}$"},
        ),
    ] = None,
) -> str | None:
    """Return the queue that the query names, if it does."""
    return None if queue is None else await get_queue(queue)


async def get_id(id: t.Annotated[str, Path(min_length=1, max_length=3072, description="percent-encoded")]) -> str:
    """Return the id of the path: one segment, which may hold any text as percent-encoded UTF-8."""
    try:
        text = unquote(id, errors="strict")
    except UnicodeDecodeError:
        raise Refusal(422, "invalid_request", "the id in the path is not UTF-8") from None
    return check_path_id(text)


async def get_idempotency(
    request: Request,
    service: t.Annotated[Service, Depends(get_service)],
    idempotency_key: t.Annotated[
        str | None,
        Header(
            pattern="^[!-~]{1,128}$",
            description="Kept for 24 h with the result: the same request with the same key takes effect once",
        ),
    ] = None,
) -> Idempotency | None:
    """Return the idempotency key of the request, with a digest of the request."""
    if idempotency_key is None:
        return None
    request_line = f"{request.method} {request.url.path}\n".encode("latin-1", "replace")
    body = await request.body()
    hashing = hashlib.sha256(request_line)
    if len(body) > LARGE_BODY:  # hashing releases the interpreter's lock
        await asyncio.to_thread(hashing.update, body)
    else:
        hashing.update(body)
    digest = hashing.hexdigest()
    return Idempotency(service.keys("idempotency", idempotency_key), digest)


async def check_storage(service: t.Annotated[Service, Depends(get_service)]) -> None:
    """Refuse to create jobs if Redis is nearly full, or the project."""
    if service.storage.is_full:
        raise Refusal(
            503,
            "storage_full",
            "Redis is near its memory limit: clean finished jobs or raise the limit, then add again",
        )
    if (problem := service.quota.problem) is not None:
        raise Refusal(507, "project_full", f"{problem}: remove jobs (clean, drain), or keep fewer finished ones")


async def get_trace(request: Request) -> dict[str, t.Any]:
    """Return the job options that hand the trace of the request on to the processor."""
    return trace_options(request.headers)


class PageBounds(t.NamedTuple):
    """The first and the last position of a page, both included."""

    start: int
    end: int


async def get_page(
    start: t.Annotated[int, Query(ge=0, le=MAX_PAGE_INDEX)] = 0,
    end: t.Annotated[int, Query(ge=0, le=MAX_PAGE_INDEX, description="included")] = 99,
) -> PageBounds:
    """Return the page to list. Refuses one that ends before it starts, or is too long."""
    check_page(start, end)
    return PageBounds(start, end)


Index = t.Annotated[int, Query(ge=0, le=MAX_PAGE_INDEX)]
LastIndex = t.Annotated[int, Query(ge=-1, le=MAX_PAGE_INDEX, description="included; -1 is the last one")]
Page = t.Annotated[PageBounds, Depends(get_page)]
Authorized = t.Annotated[Service, Depends(get_service)]
Hides = t.Annotated[Redaction | None, Depends(get_redaction)]
CallersKey = t.Annotated[ApiKey, Depends(get_key)]
QueueName = t.Annotated[str, Depends(get_queue)]
OfQueue = t.Annotated[str | None, Depends(get_wanted_queue)]
PathId = t.Annotated[str, Depends(get_id)]
Trace = t.Annotated[dict[str, t.Any], Depends(get_trace)]
IdempotencyKey = t.Annotated[Idempotency | None, Depends(get_idempotency)]
CreatesJobs = Depends(check_storage)
"""A dependency of the routes that create jobs."""
DeliveryId = t.Annotated[
    str | None,
    Header(
        alias=DELIVERY_HEADER,
        max_length=64,
        description="From a processor: refused once that delivery no longer owns the job",
    ),
]


class OwnedJob(t.NamedTuple):
    """The job of the path. If a processor calls, its delivery owns the job."""

    service: Service
    queue: str
    id: str


async def get_job(
    service: Authorized, queue: QueueName, job_id: PathId, delivery_id: DeliveryId = None
) -> OwnedJob:
    """Return the job of the path. Refuses a processor whose delivery no longer owns it (protocol section 5)."""
    # An operator's call has no delivery.
    if delivery_id is not None and not await owns(service.jobs.scripts(queue), job_id, delivery_id):
        raise stale_delivery(job_id)
    return OwnedJob(service, queue, job_id)


Job = t.Annotated[OwnedJob, Depends(get_job)]
