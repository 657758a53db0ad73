"""AWS Lambda: function URLs, HTTP APIs, REST APIs and load balancers, one class for each event shape."""

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


class HTTPAPI:
    """Payload version 2.0: function URLs and HTTP APIs. Headers are lower case, repeated ones comma-joined."""

    @staticmethod
    def matches(event: Event) -> bool:
        """Return whether `event` has this shape."""
        return isinstance(_object(event, "requestContext").get("http"), dict)

    @staticmethod
    def request(event: Event) -> Request:
        """Return the request's head. Its path may still hold the mount."""
        http = _object(_object(event, "requestContext"), "http")
        path = _without_stage(event, _text(event.get("rawPath")) or _text(http.get("path")))
        return Request(_text(http.get("method")), path, _headers(event, "headers", None))

    @staticmethod
    def response(response: Response, _event: Event) -> dict[str, t.Any]:
        """Return the answer in this shape."""
        return {**_status_and_body(response), "headers": _single(response)}


class RestAPI:
    """Payload version 1.0: REST APIs, and HTTP APIs set to it. The multi-value headers are complete."""

    @staticmethod
    def matches(event: Event) -> bool:
        """Return whether `event` has this shape."""
        return "httpMethod" in event and "elb" not in _object(event, "requestContext")

    @staticmethod
    def request(event: Event) -> Request:
        """Return the request's head. Its path may still hold the mount."""
        path = _without_stage(event, _text(event.get("path")))
        return Request(_text(event.get("httpMethod")), path, _headers(event, "headers", "multiValueHeaders"))

    @staticmethod
    def response(response: Response, _event: Event) -> dict[str, t.Any]:
        """Return the answer in this shape."""
        return {**_status_and_body(response), "multiValueHeaders": _multi(response)}


class LoadBalancer(RestAPI):
    """Application load balancers. They want the answer in the header style of the request."""

    @staticmethod
    def matches(event: Event) -> bool:
        """Return whether `event` has this shape."""
        return "elb" in _object(event, "requestContext")

    @staticmethod
    def response(response: Response, event: Event) -> dict[str, t.Any]:
        """Return the answer in this shape."""
        style = "multiValueHeaders" if "multiValueHeaders" in event else "headers"
        headers = _multi(response) if style == "multiValueHeaders" else _single(response)
        return {**_status_and_body(response), "statusDescription": str(response.status), style: headers}


_ROUTE = re.compile(r"/queues/[^/]*\Z|/health\Z")
_SHAPES: tuple[type[HTTPAPI | RestAPI], ...] = (HTTPAPI, LoadBalancer, RestAPI)


class LambdaHandler(BaseHandler):
    """A Lambda function's handler: `handler = LambdaHandler(workers=[…])`.

    It takes the events of function URLs, HTTP APIs, REST APIs and load balancers. Register its workers at deploy:
    `nextmq register module:handler`. `HandlerOptions` has the options. Raises ConfigurationError.
    """

    def __init__(self, workers: t.Iterable[Worker], **options: t.Unpack[HandlerOptions]) -> None:
        super().__init__(workers, **options)
        self._driver = SyncDriver(self._receiver, settle=SETTLE_TIME)

    def __call__(self, event: Event, context: Context) -> dict[str, t.Any]:
        shape = _shape_of(event)
        request = shape.request(event)
        request.path = _below_mount(request.path, self._mount())

        def read(plan: ReadPlan) -> bytes | Response:
            try:
                return _body(event)
            except ValueError:
                return self._receiver.unreadable(plan, "isBase64Encoded, and the body is not base64")

        response = self._driver.respond(request, read, time_left=_time_left(context))
        return shape.response(response, event)

    def _mount(self) -> str:
        try:
            return urlsplit(self._receiver.settings.app_url).path.rstrip("/")
        except ConfigurationError:
            return ""


def lambda_handler(workers: t.Iterable[Worker], **options: t.Unpack[HandlerOptions]) -> LambdaHandler:
    """Return a `LambdaHandler` for `workers`, with the same options. Raises ConfigurationError."""
    return LambdaHandler(workers, **options)


def _shape_of(event: t.Any) -> type[HTTPAPI | RestAPI]:
    if isinstance(event, dict):
        for shape in _SHAPES:
            if shape.matches(t.cast("Event", event)):
                return shape
    raise ConfigurationError(
        "this event is not an HTTP request of a function URL, an API Gateway or a load balancer; a NextMQ handler "
        "answers nothing else: give schedules and other sources a function of their own"
    )


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


def _without_stage(event: Event, path: str) -> str:
    stage = _text(_object(event, "requestContext").get("stage"))
    return path.removeprefix(f"/{stage}") if stage and path.startswith(f"/{stage}/") else path


def _headers(event: Event, single: str, multi: str | None) -> Headers:
    """Return the headers that the handler reads. If the event lists repeated ones, that list is complete."""
    lists = _object(event, multi) if multi else {}
    pairs = [(name, value) for name, values in lists.items() for value in _list(values)]
    pairs = pairs or list(_object(event, single).items())
    return Headers([(_bytes(name), _bytes(value)) for name, value in pairs if str(name).lower() in READ_HEADERS])


def _bytes(value: object) -> bytes:
    return str(value).encode("utf-8", "replace")


def _status_and_body(response: Response) -> dict[str, t.Any]:
    return {"statusCode": response.status, "body": response.body.decode("ascii"), "isBase64Encoded": False}


def _single(response: Response) -> dict[str, str]:
    return {name.decode("ascii"): value.decode("ascii") for name, value in response.headers}


def _multi(response: Response) -> dict[str, list[str]]:
    return {name: [value] for name, value in _single(response).items()}


def _object(event: Event, name: str) -> dict[str, t.Any]:
    value = event.get(name)
    return t.cast("dict[str, t.Any]", value) if isinstance(value, dict) else {}


def _list(value: object) -> list[object]:
    return list(t.cast("list[object]", value)) if isinstance(value, list) else [value]


def _text(value: object) -> str:
    return unquote(value) if isinstance(value, str) else ""
