"""What routes share: bounded, strict JSON bodies, names in the path, the API key, the idempotency key."""

from __future__ import annotations

import hashlib
import typing as t
from urllib.parse import unquote

from fastapi import Depends, Header, Path, Query, Request
from fastapi.routing import APIRoute
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel
from starlette.responses import Response

from nextmq_handler.errors import ConfigurationError
from nextmq_handler.protocol import strict_json
from nextmq_handler.protocol.names import check_queue_name
from nextmq_handler.rules.models import Closed as Closed  # the routes' models are made of it
from nextmq_handler.telemetry import trace_options

from ..dispatch.delivery_ids import owns
from ..engine.queues.adding import Idempotency
from ..service import Service
from .errors import APIError

MAX_BODY_SIZE = 2 * 1024 * 1024
"""The largest request body, in bytes."""

MAX_PAGE = 1000
"""The most that one answer lists."""

MAX_BULK_SIZE = 16 * 1024 * 1024
"""The largest request body, in bytes, with many jobs in it."""


class Done(BaseModel):
    """Done."""


class Removed(Closed):
    """Whether there was anything to remove."""

    removed: bool


class _StrictRequest(Request):
    max_size = MAX_BODY_SIZE

    async def body(self) -> bytes:
        if not hasattr(self, "_body"):
            declared = self.headers.get("content-length", "")
            if declared.isdecimal() and int(declared[:20]) > self.max_size:
                raise _too_large(self.max_size)
            body = bytearray()
            async for chunk in self.stream():
                body += chunk
                if len(body) > self.max_size:
                    raise _too_large(self.max_size)
            self._body = bytes(body)
        return self._body

    async def json(self) -> t.Any:
        try:
            return strict_json.loads(await self.body())
        except ValueError:
            raise APIError(400, "invalid_json", "the body is not strict JSON, or is nested too deeply") from None


class _BulkRequest(_StrictRequest):
    max_size = MAX_BULK_SIZE


class StrictRoute(APIRoute):
    """A route that looks at the API key first, then parses JSON as the protocol says: no NaN, depth ≤ 100."""

    request_class: type[_StrictRequest] = _StrictRequest

    def get_route_handler(self) -> t.Callable[[Request], t.Coroutine[t.Any, t.Any, Response]]:
        handler = super().get_route_handler()

        async def strict(request: Request) -> Response:
            await get_service(request, await _bearer(request))  # FastAPI would read and parse the body before
            return await handler(self.request_class(request.scope, request.receive))

        return strict


class BulkRoute(StrictRoute):
    """The same for requests with many jobs."""

    request_class = _BulkRequest


_bearer = HTTPBearer(auto_error=False, description="The API key of the connection string")


async def get_service(
    request: Request, credentials: t.Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
) -> Service:
    """The service of the project whose API key the request has."""
    services: t.Sequence[Service] = request.app.state.services
    # All are compared, so that the time tells nothing about whose key it is.
    matching = [one for one in services if credentials and one.credentials.admit(credentials.credentials)]
    if not matching:
        raise APIError(401, "unauthorized", "send the API key of the connection string: authorization: Bearer …")
    return matching[0]


async def get_queue(
    # Said, not enforced: the check below has a code of its own.
    queue: t.Annotated[str, Path(max_length=300, json_schema_extra={"pattern": "^[A-Za-z0-9._~-]{1,100}$"})],
) -> str:
    """The queue of the path."""
    try:
        return check_queue_name(unquote(queue))
    except ConfigurationError as exc:
        raise APIError(422, "invalid_queue_name", str(exc)) from None


async def get_id(id: t.Annotated[str, Path(min_length=1, max_length=3072, description="percent-encoded")]) -> str:
    """The id of the path: one segment, which may hold anything when it is percent-encoded."""
    try:
        text = unquote(id, errors="strict")
    except UnicodeDecodeError:
        raise APIError(422, "invalid_request", "the id in the path is not UTF-8") from None
    if len(text) > 1024:
        raise APIError(422, "invalid_request", "the id in the path is longer than 1024 characters")
    return text


async def get_idempotency(
    request: Request,
    service: t.Annotated[Service, Depends(get_service)],
    idempotency_key: t.Annotated[
        str | None,
        Header(
            pattern="^[!-~]{1,128}$",
            description="Kept for 24 h with the result: the same request with the same key is done once",
        ),
    ] = None,
) -> Idempotency | None:
    """The idempotency key of the request, and what it is of."""
    if idempotency_key is None:
        return None
    request_line = f"{request.method} {request.url.path}\n".encode("latin-1", "replace")
    digest = hashlib.sha256(request_line + await request.body()).hexdigest()
    return Idempotency(service.idempotency_key(idempotency_key), digest)


def _too_large(limit: int) -> APIError:
    return APIError(413, "payload_too_large", f"the body of this request has at most {limit} bytes")


async def check_room(service: t.Annotated[Service, Depends(get_service)]) -> None:
    """Refuse to create jobs where Redis is nearly full."""
    if service.storage.is_full:
        raise APIError(
            503,
            "storage_full",
            "Redis is near its memory limit: clean finished jobs or raise the limit, then add again",
        )


async def get_trace(request: Request) -> dict[str, t.Any]:
    """The job options that carry the trace of the request on to the processor."""
    return trace_options(request.headers)


def check_page(start: int, end: int) -> None:
    """Refuse a page that ends before it starts, or is too long."""
    if not start <= end < start + MAX_PAGE:
        raise APIError(422, "invalid_request", f"end: from start to start + {MAX_PAGE - 1}")


PageStart = t.Annotated[int, Query(ge=0, le=2**31)]
PageEnd = t.Annotated[int, Query(ge=0, le=2**31, description="included")]
Authorized = t.Annotated[Service, Depends(get_service)]
QueueName = t.Annotated[str, Depends(get_queue)]
PathId = t.Annotated[str, Depends(get_id)]
Trace = t.Annotated[dict[str, t.Any], Depends(get_trace)]
IdempotencyKey = t.Annotated[Idempotency | None, Depends(get_idempotency)]
CreatesJobs = Depends(check_room)
"""A dependency of the routes that create jobs."""
DeliveryId = t.Annotated[
    str | None,
    Header(
        alias="x-nextmq-delivery",
        max_length=64,
        description="From a processor: refused once that delivery no longer owns the job",
    ),
]


async def check_delivery(service: Service, queue: str, job_id: str, delivery_id: str | None) -> None:
    """Refuse the call of a processor whose delivery no longer owns the job (protocol section 5)."""
    if delivery_id is None:
        return  # an operator's call, not a processor's
    if not await owns(service.jobs.scripts(queue), job_id, delivery_id):
        raise APIError(
            409, "stale_delivery", f"this delivery no longer owns job {job_id}: it timed out or lost its lock"
        )
