"""Ways to pass a request to an app in this process, as its server would: ASGI, WSGI, Lambda."""

from __future__ import annotations

import asyncio
import io
import time
import typing as t
from collections.abc import Awaitable, Callable, Iterable

from .deliveries import Message, Sample

CHUNK = 64 * 1024
"""How many bytes an ASGI server reads from the socket at once."""

AsgiApp = Callable[[t.Any, t.Any, t.Any], Awaitable[None]]
WsgiApp = Callable[[dict[str, t.Any], t.Any], Iterable[bytes]]
LambdaApp = Callable[[t.Any, t.Any], dict[str, t.Any]]


class Case(t.NamedTuple):
    """One app and one request: `run(n)` answers it n times and returns the CPU time, in s."""

    run: Callable[[int], float]
    answer: Callable[[], int]
    """Answer it once and return the status."""


class Contender(t.NamedTuple):
    """An app with a request that it must answer with 200, and one that it must refuse."""

    name: str
    valid: Case
    forged: Case


def asgi(name: str, app: AsgiApp, path: str, sample: Sample, *, query: bytes = b"") -> Contender:
    """Make a contender under ASGI; every request gets a fresh scope and its body in chunks."""
    return Contender(name, *(_asgi_case(app, path, message, query) for message in sample))


def wsgi(name: str, app: WsgiApp, path: str, sample: Sample, *, query: str = "") -> Contender:
    """Make a contender under WSGI; every request gets a fresh environ."""
    return Contender(name, *(_sync_case(_wsgi_call(app, path, message, query)) for message in sample))


def aws_lambda(name: str, app: LambdaApp, path: str, sample: Sample, *, query: str = "") -> Contender:
    """Make a contender in Lambda behind a function URL; every invocation gets a fresh event."""
    return Contender(name, *(_sync_case(_lambda_call(app, path, message, query)) for message in sample))


def work(name: str, call: Callable[[], object]) -> Contender:
    """Make a contender from a piece of work that is not an app: it has no delivery to prove."""
    run = _timed(call)
    return Contender(name, Case(run, lambda: 200), Case(run, lambda: 401))


def lambda_event(path: str, message: Message, query: str = "") -> dict[str, t.Any]:
    """Return the event of payload version 2.0."""
    headers = dict(message.headers)
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": query,
        "headers": headers,
        "queryStringParameters": dict(pair.split("=") for pair in query.split("&")) if query else None,
        "requestContext": {
            "accountId": "anonymous",
            "apiId": "abcdefgh",
            "domainName": headers["host"],
            "http": {
                "method": "POST",
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "203.0.113.7",
                "userAgent": headers["user-agent"],
            },
            "requestId": "00000000-0000-0000-0000-000000000000",
            "stage": "$default",
            "timeEpoch": 1_790_000_000_000,
        },
        "body": message.body.decode(),
        "isBase64Encoded": False,
    }


class LambdaContext:
    """The context that the runtime passes beside the event."""

    aws_request_id = "00000000-0000-0000-0000-000000000000"

    def get_remaining_time_in_millis(self) -> int:
        return 60_000


_loop = asyncio.new_event_loop()
asyncio.set_event_loop(_loop)  # Mangum asks for it


def _asgi_case(app: AsgiApp, path: str, message: Message, query: bytes) -> Case:
    headers = [(name.encode(), value.encode()) for name, value in message.headers]
    chunks = [message.body[start : start + CHUNK] for start in range(0, len(message.body), CHUNK)]

    async def call() -> int:
        status = 0
        remaining = iter(range(len(chunks) - 1, -1, -1))

        async def receive() -> dict[str, t.Any]:
            left = next(remaining)
            return {"type": "http.request", "body": chunks[-1 - left], "more_body": left > 0}

        async def send(message: dict[str, t.Any]) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]

        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "server": ("127.0.0.1", 8000),
            "client": ("127.0.0.1", 54321),
            "scheme": "http",
            "method": "POST",
            "root_path": "",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query,
            "headers": [*headers],
            "state": {},
        }
        await app(scope, receive, send)
        return status

    async def run(times: int) -> float:
        start = time.process_time()
        for _ in range(times):
            await call()
        return time.process_time() - start

    return Case(lambda times: _loop.run_until_complete(run(times)), lambda: _loop.run_until_complete(call()))


def _sync_case(call: Callable[[], int]) -> Case:
    return Case(_timed(call), call)


def _wsgi_call(app: WsgiApp, path: str, message: Message, query: str) -> Callable[[], int]:
    headers = {"HTTP_" + name.upper().replace("-", "_"): value for name, value in message.headers}
    fixed = {
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "CONTENT_TYPE": headers.pop("HTTP_CONTENT_TYPE"),
        "CONTENT_LENGTH": headers.pop("HTTP_CONTENT_LENGTH"),
        "SERVER_NAME": "app.example",
        "SERVER_PORT": "8000",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        **headers,
    }

    def call() -> int:
        status = ""

        def start_response(line: str, headers: t.Any, exc_info: t.Any = None) -> None:
            nonlocal status
            status = line

        answer = app({**fixed, "wsgi.input": io.BytesIO(message.body)}, start_response)
        b"".join(answer)
        close = getattr(answer, "close", None)
        if close is not None:
            close()
        return int(status[:3])

    return call


def _lambda_call(app: LambdaApp, path: str, message: Message, query: str) -> Callable[[], int]:
    fixed = lambda_event(path, message, query)
    http = fixed["requestContext"]
    context = LambdaContext()

    def call() -> int:
        event = {**fixed, "headers": {**fixed["headers"]}, "requestContext": {**http, "http": {**http["http"]}}}
        return int(app(event, context)["statusCode"])

    return call


def _timed(call: Callable[[], object]) -> Callable[[int], float]:
    def run(times: int) -> float:
        start = time.process_time()
        for _ in range(times):
            call()
        return time.process_time() - start

    return run
