"""AWS Lambda: function URLs, HTTP APIs, REST APIs and load balancers."""

from __future__ import annotations

import base64
import re
import typing as t
from urllib.parse import unquote, urlsplit

from nextmq_handler.errors import ConfigurationError
from nextmq_handler.protocol.messages import READ_HEADERS, Headers, Request, Response
from nextmq_handler.receiver.handler import BaseHandler, HandlerOptions
from nextmq_handler.receiver.receiver import ReadPlan
from nextmq_handler.receiver.sync_driver import SyncDriver
from nextmq_handler.workers.worker import Worker

Event = t.Mapping[str, t.Any]

MARGIN = 0.5
"""How long before the function's own timeout, in s, the answer must leave."""

SETTLE_TIME = 0.5
"""How long an answer waits, in s, for a registration that it started (protocol section 4)."""


class Context(t.Protocol):
    """The part of the runtime's context that the handler uses."""

    def get_remaining_time_in_millis(self) -> int:
        """Return the ms until the runtime ends the invocation."""
        ...


_ROUTE = re.compile(r"/queues/[^/]*\Z|/health\Z")


class LambdaHandler(BaseHandler):
    """A Lambda function's handler: `handler = LambdaHandler(workers=[…])`.

    It takes the events of function URLs, HTTP APIs, REST APIs and load balancers. Register its workers at deploy:
    `nextmq register module:handler`. `HandlerOptions` has the options. Raises ConfigurationError.
    """

    def __init__(self, workers: t.Iterable[Worker], **options: t.Unpack[HandlerOptions]) -> None:
        super().__init__(workers, **options)
        self._driver = SyncDriver(self._receiver, settle=SETTLE_TIME)

    def __call__(self, event: Event, context: Context) -> dict[str, t.Any]:
        request = _request(event)
        request.path = _below_mount(request.path, self._mount())

        def read(plan: ReadPlan) -> bytes | Response:
            try:
                return _body(event)
            except ValueError:
                return self._receiver.unreadable(plan, "isBase64Encoded, and the body is not base64")

        return _answer(self._driver.respond(request, read, time_left=_time_left(context)), event)

    def _mount(self) -> str:
        try:
            return urlsplit(self._receiver.settings.app_url).path.rstrip("/")
        except ConfigurationError:
            return ""


def lambda_handler(workers: t.Iterable[Worker], **options: t.Unpack[HandlerOptions]) -> LambdaHandler:
    """Return a `LambdaHandler` for `workers`, with the same options. Raises ConfigurationError."""
    return LambdaHandler(workers, **options)


def _request(event: Event) -> Request:
    """Return the request's head. Its path may still hold the mount. Raises ConfigurationError for another event.

    Function URLs and HTTP APIs send payload version 2.0, with `requestContext.http`. REST APIs and load balancers
    send version 1.0, and so do HTTP APIs set to it.
    """
    context = _object(event, "requestContext")
    http = _object(context, "http")
    if not isinstance(event, dict) or not (
        "httpMethod" in event or "elb" in context or isinstance(context.get("http"), dict)
    ):
        raise ConfigurationError(
            "this event is not an HTTP request of a function URL, an API Gateway or a load balancer; a NextMQ "
            "handler answers nothing else: give schedules and other sources a function of their own"
        )
    method = http.get("method") or event.get("httpMethod")
    path = _text(event.get("rawPath") or http.get("path") or event.get("path"))
    stage = _text(context.get("stage"))
    if stage and path.startswith(f"/{stage}/"):
        path = path.removeprefix(f"/{stage}")
    return Request(_text(method), path, _headers(event))


def _answer(response: Response, event: Event) -> dict[str, t.Any]:
    """Return the answer in the header style of the event: a load balancer takes no other."""
    answer = {"statusCode": response.status, "body": response.body.decode("ascii"), "isBase64Encoded": False}
    if "elb" in _object(event, "requestContext"):
        answer["statusDescription"] = str(response.status)
    headers = {name.decode("ascii"): value.decode("ascii") for name, value in response.headers}
    if "multiValueHeaders" in event:
        return {**answer, "multiValueHeaders": {name: [value] for name, value in headers.items()}}
    return {**answer, "headers": headers}


def _body(event: Event) -> bytes:
    """Return the raw body. Raises ValueError if it should be base64 and is not."""
    body = event.get("body")
    if not isinstance(body, str):
        return b""
    if event.get("isBase64Encoded"):
        return base64.b64decode(body, validate=True)
    return body.encode("utf-8", "surrogatepass")


def _below_mount(path: str, mount: str) -> str:
    """Return the path below the mount, however much of the mount the event still shows.

    API Gateway shows or hides stages and base paths of custom domains by its own rules, so one of the two may be
    a tail of the other.
    """
    match = _ROUTE.search(path)
    if match is None:
        return path
    route, head = match[0], path[: match.start()]
    return route if mount.endswith(head) or head.endswith(mount) else path


def _time_left(context: t.Any) -> float | None:
    remaining = getattr(context, "get_remaining_time_in_millis", None)
    return None if remaining is None else max(0.0, remaining() / 1000 - MARGIN)


def _headers(event: Event) -> Headers:
    """Return the headers that the handler reads. If the event lists repeated ones, that list is complete."""
    lists = _object(event, "multiValueHeaders").items()
    pairs = [(name, value) for name, values in lists for value in _list(values)]
    pairs = pairs or list(_object(event, "headers").items())
    return Headers([(_bytes(name), _bytes(value)) for name, value in pairs if str(name).lower() in READ_HEADERS])


def _bytes(value: object) -> bytes:
    return str(value).encode("utf-8", "replace")


def _object(event: Event, name: str) -> dict[str, t.Any]:
    value = event.get(name) if isinstance(event, dict) else None
    return t.cast("dict[str, t.Any]", value) if isinstance(value, dict) else {}


def _list(value: object) -> list[object]:
    return list(t.cast("list[object]", value)) if isinstance(value, list) else [value]


def _text(value: object) -> str:
    return unquote(value) if isinstance(value, str) else ""
