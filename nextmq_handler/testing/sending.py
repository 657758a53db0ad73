"""Send a request to a handler in this process: an ASGI app, a WSGI app or a Lambda function."""

from __future__ import annotations

import inspect
import typing as t

from ..errors import ConfigurationError
from ..protocol.messages import Response

if t.TYPE_CHECKING:
    import httpx

HeaderList = list[tuple[bytes, bytes]]
Integration = t.Literal["asgi", "wsgi", "lambda"]

_ORIGIN = "http://app.test"
_TARGETS = "an ASGI app, a WSGI app (such as Flask or Django) or a Lambda function"


class _Context:
    """The Lambda runtime's context: the one method that a handler uses."""

    def get_remaining_time_in_millis(self) -> int:
        return 900_000


def integration_of(target: t.Any) -> Integration:
    """Tell by its arguments what `target` is. Raises ConfigurationError if it takes no requests."""
    if not callable(target):
        raise ConfigurationError(f"a delivery goes to {_TARGETS}, not to a {type(target).__name__}")
    names = [
        parameter.name
        for parameter in inspect.signature(target).parameters.values()
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
    ]
    if len(names) == 3:
        return "asgi"
    if len(names) == 2:
        return "wsgi" if names[0] == "environ" else "lambda"
    raise ConfigurationError(f"a delivery goes to {_TARGETS}; this takes {', '.join(names) or 'nothing'}")


async def send_to_asgi(app: t.Any, path: str, headers: HeaderList, body: bytes) -> Response:
    """Return the answer of an ASGI app. Its lifespan is not run."""
    import httpx

    transport = httpx.ASGITransport(app)
    answer = await transport.handle_async_request(_request(path, headers, body))
    return Response(answer.status_code, answer.headers.raw, await answer.aread())


def send_to_wsgi(app: t.Any, path: str, headers: HeaderList, body: bytes) -> Response:
    """Return the answer of a WSGI app."""
    import httpx

    answer = httpx.WSGITransport(app).handle_request(_request(path, headers, body))
    return Response(answer.status_code, answer.headers.raw, answer.read())


def send_to_lambda(function: t.Any, path: str, headers: HeaderList, body: bytes) -> Response:
    """Return the answer of a Lambda function to the event of a function URL."""
    event = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {name.decode("latin-1"): value.decode("latin-1") for name, value in headers},
        "requestContext": {"http": {"method": "POST", "path": path}, "stage": "$default"},
        "body": body.decode("utf-8", "replace"),
        "isBase64Encoded": False,
    }
    answer = function(event, _Context())
    answered = [(name.lower().encode(), value.encode()) for name, value in answer["headers"].items()]
    return Response(answer["statusCode"], answered, answer["body"].encode())


def _request(path: str, headers: HeaderList, body: bytes) -> httpx.Request:
    import httpx

    return httpx.Request("POST", _ORIGIN + path, headers=headers, content=body)
