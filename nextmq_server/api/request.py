"""What every route shares: bounded, strict JSON bodies, the queue name in the path, the API key."""

from __future__ import annotations

import typing as t

from fastapi import Depends, Path, Request
from fastapi.routing import APIRoute
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.responses import Response

from nextmq_handler import strict_json
from nextmq_handler.errors import ConfigurationError
from nextmq_handler.names import check_queue_name

from ..service import Service
from .errors import APIError

MAX_BODY_SIZE = 2 * 1024 * 1024
"""The largest request body, in bytes."""


class _StrictRequest(Request):
    async def body(self) -> bytes:
        if not hasattr(self, "_body"):
            declared = self.headers.get("content-length", "")
            if declared.isdecimal() and int(declared[:20]) > MAX_BODY_SIZE:
                raise _too_large()
            body = bytearray()
            async for chunk in self.stream():
                body += chunk
                if len(body) > MAX_BODY_SIZE:
                    raise _too_large()
            self._body = bytes(body)
        return self._body

    async def json(self) -> t.Any:
        try:
            return strict_json.loads(await self.body())
        except ValueError:
            raise APIError(400, "invalid_json", "the body is not strict JSON, or is nested too deeply") from None


class StrictRoute(APIRoute):
    """A route that looks at the API key first, then parses JSON as the protocol says: no NaN, depth ≤ 100."""

    def get_route_handler(self) -> t.Callable[[Request], t.Coroutine[t.Any, t.Any, Response]]:
        handler = super().get_route_handler()

        async def strict(request: Request) -> Response:
            get_service(request, await _bearer(request))  # FastAPI would read and parse the body before
            return await handler(_StrictRequest(request.scope, request.receive))

        return strict


_bearer = HTTPBearer(auto_error=False, description="The API key of the connection string")


def get_service(
    request: Request, credentials: t.Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
) -> Service:
    """The service, for a request with the project's API key."""
    service: Service = request.app.state.service
    if credentials is None or not service.project.has_key(credentials.credentials):
        raise APIError(401, "unauthorized", "send the API key of the connection string: authorization: Bearer …")
    return service


def get_queue(queue: t.Annotated[str, Path(max_length=100)]) -> str:
    """The queue of the path."""
    try:
        return check_queue_name(queue)
    except ConfigurationError as exc:
        raise APIError(422, "invalid_queue_name", str(exc)) from None


def _too_large() -> APIError:
    return APIError(413, "payload_too_large", f"a request body has at most {MAX_BODY_SIZE} bytes")


Authorized = t.Annotated[Service, Depends(get_service)]
QueueName = t.Annotated[str, Depends(get_queue)]
